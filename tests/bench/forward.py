# SPDX-License-Identifier: BSD-2-Clause
"""Packets a second from veth to veth through each contender, 64 bytes, one core for the contender.

On a machine that shares its cores with others, speed changes by a third for seconds at a time, so
figures can only be compared when they were taken moments apart. Therefore each contender is set up
in a lab of its own, all at once, and frozen. A turn thaws them one after the other (A B C, A B C, ...)
for a fraction of a second of traffic each, with 1, then 1024, then 16384 flows. Ratios are taken
within a turn. After every few turns all are set up anew, for where memory happens to lie makes a
difference, too. Only the difference of the sink's counters counts, after a warm-up.
"""

import contextlib

import contenders
import report
from lab import BenchError, Lab

FLOWS = (1, 1024, 16384)
SIZE = 64
WARM_UP = 0.15  # seconds
TURNS_A_SETUP = 4


def measure(lab, flows, seconds):
    """Mpps at the sink."""
    result = lab.traffic("send", "--flows", flows, "--size", SIZE, "--warmup", WARM_UP,
                         "--seconds", seconds)
    if not result["received"]:
        raise BenchError("nothing arrives")
    return result["received"] / result["seconds"] / 1e6


class Field:
    """The contenders that stand ready, each frozen in its lab."""

    def __init__(self, tools, options, kinds, problems):
        self.tools, self.options, self.problems = tools, options, problems
        self.kinds = kinds
        self.labs = {}
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
            try:
                lab.add_traffic_pairs()
                kind().start(lab)
                for flows in reversed(FLOWS):
                    measure(lab, flows, 0.2)
            except BenchError as problem:
                self.problems[kind.name] = str(problem)
                return
            lab.freeze(True)
            self.labs[kind.name] = lab
            stack.push(attempt.pop_all())

    def measure(self, name, flows):
        """Mpps, or None."""
        lab = self.labs.get(name)
        if not lab:
            return None
        lab.freeze(False)
        try:
            return measure(lab, flows, self.options.seconds)
        except BenchError as problem:
            self.problems[name] = str(problem)
            return None
        finally:
            lab.freeze(True)


def run_turns(tools, options, kinds, turns, figures, problems):
    with Field(tools, options, kinds, problems) as field:
        for _ in range(turns):
            for flows in FLOWS:
                for kind in kinds:
                    figures[kind.name][flows].append(field.measure(kind.name, flows))


def main(tools, options):
    kinds = [kind for kind in contenders.FORWARDING
             if not options.only or kind.name in options.only]
    figures = {kind.name: {flows: [] for flows in FLOWS} for kind in kinds}
    problems = {}
    turns = options.rounds * TURNS_A_SETUP
    for number in range(options.rounds):
        run_turns(tools, options, kinds, TURNS_A_SETUP, figures, problems)
        options.progress(f"forward: set-up {number + 1} of {options.rounds}")
    rows = []
    ours = figures.get(options.ours)
    for kind in kinds:
        for flows in FLOWS:
            values = figures[kind.name][flows]
            against = report.ratios(ours[flows], values) if ours else []
            rows.append([kind.name, flows, report.spread(values),
                         report.spread(against) if kind.name != options.ours else ""])
    report.table(f"veth to veth, {SIZE} bytes, one core, {turns} turns: min median max",
                 ["contender", "flows", "Mpps", f"{options.ours} / theirs"], rows)
    report.problems(problems)
    return {"mpps": figures, "problems": problems}
