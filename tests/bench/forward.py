# SPDX-License-Identifier: BSD-2-Clause
"""Packets a second from veth to veth through each contender, 64 bytes, one core for the contender.

On a machine that shares its cores with others, speed changes by a third for seconds at a time, so
figures can only be compared when they were taken moments apart. Therefore each contender is set up
in a lab of its own, all at once, and frozen. A turn thaws them one after the other (A B C, A B C, ...)
for a fraction of a second of traffic each, with 1, then 1024, then 16384 flows. Ratios are taken
within a turn. After every few turns all are set up anew, for where memory happens to lie makes a
difference, too. Only the difference of the sink's counters counts, after a warm-up.

Two figures: packets a second, and the processor time that the contender's busiest thread took for
each, which other work on the machine does not change.
"""

import contextlib

import contenders
import report
from lab import BenchError, Lab

FLOWS = (1, 1024, 16384)
SIZE = 64
WARM_UP = 0.15  # seconds
TURNS_A_SETUP = 4


def measure(lab, process, flows, seconds):
    """(Mpps at the sink, nanoseconds a packet of the contender's busiest thread or None)."""
    watch = ("--watch", process.pid) if process else ()
    result = lab.traffic("send", "--flows", flows, "--size", SIZE, "--warmup", WARM_UP,
                         "--seconds", seconds, *watch)
    packets = result["received"]
    if not packets:
        raise BenchError("nothing arrives")
    return packets / result["seconds"] / 1e6, result["thread_seconds"] * 1e9 / packets or None


class Field:
    """The contenders that stand ready, each frozen in its lab."""

    def __init__(self, tools, options, kinds, problems):
        self.tools, self.options, self.problems = tools, options, problems
        self.kinds = kinds
        self.ready = {}
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for kind in self.kinds:
                self._set_up(stack, kind)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *exc):
        self.stack.close()

    def _set_up(self, stack, kind):
        with contextlib.ExitStack() as attempt:
            lab = attempt.enter_context(Lab(self.tools, self.options.cores))
            contender = kind()
            try:
                lab.add_traffic_pairs()
                contender.start(lab)
                for flows in reversed(FLOWS):
                    measure(lab, contender.process, flows, 0.2)
            except BenchError as problem:
                self.problems[kind.name] = str(problem)
                return
            lab.freeze(True)
            self.ready[kind.name] = lab, contender
            stack.push(attempt.pop_all())

    def measure(self, name, flows):
        """As measure() above, or nothing but None."""
        if name not in self.ready:
            return None, None
        lab, contender = self.ready[name]
        lab.freeze(False)
        try:
            return measure(lab, contender.process, flows, self.options.seconds)
        except BenchError as problem:
            self.problems[name] = str(problem)
            return None, None
        finally:
            lab.freeze(True)


def run_turns(tools, options, kinds, turns, figures, problems):
    with Field(tools, options, kinds, problems) as field:
        for _ in range(turns):
            for flows in FLOWS:
                for kind in kinds:
                    mpps, nanoseconds = field.measure(kind.name, flows)
                    figures[kind.name][flows]["mpps"].append(mpps)
                    figures[kind.name][flows]["ns"].append(nanoseconds)


def main(tools, options):
    kinds = [kind for kind in contenders.FORWARDING
             if not options.only or kind.name in options.only]
    figures = {kind.name: {flows: {"mpps": [], "ns": []} for flows in FLOWS} for kind in kinds}
    problems = {}
    turns = options.rounds * TURNS_A_SETUP
    for number in range(options.rounds):
        run_turns(tools, options, kinds, TURNS_A_SETUP, figures, problems)
        options.progress(f"forward: set-up {number + 1} of {options.rounds}")
    rows = []
    ours = figures.get(options.ours)
    for kind in kinds:
        for flows in FLOWS:
            theirs = figures[kind.name][flows]
            row = [kind.name, flows, report.spread(theirs["mpps"]), report.spread(theirs["ns"], 0)]
            if ours and kind.name != options.ours:
                row += [report.spread(report.ratios(ours[flows]["mpps"], theirs["mpps"])),
                        report.spread(report.ratios(theirs["ns"], ours[flows]["ns"]))]
            rows.append(row + [""] * (6 - len(row)))
    report.table(f"veth to veth, {SIZE} bytes, one core, {turns} turns: min median max",
                 ["contender", "flows", "Mpps", "core ns a packet", f"{options.ours} / theirs",
                  "the same a core second"], rows)
    report.problems(problems)
    return {"figures": figures, "problems": problems}
