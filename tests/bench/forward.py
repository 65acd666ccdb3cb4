# SPDX-License-Identifier: BSD-2-Clause
"""Packets a second from veth to veth through each contender, 64 bytes, one core for the contender.

On a machine that shares its cores with others, speed changes by a third for seconds at a time, so
figures can only be compared when they were taken moments apart. Therefore each contender is set up
in a lab of its own, all at once, and frozen. A turn takes each peer together with ours, a quarter of a
second of traffic for the one, then for the other (A B, the next turn B A, ...), with 1, then 1024, then
16384 flows; ratios are those of such a pair. After every few turns all are set up anew, for where
memory happens to lie makes a difference, too. Only the difference of the sink's counters counts,
after a warm-up.

Figures: packets a second; the processor time that the contender's busiest thread took for each,
which other work on the machine does not change; and how many of them arrived by the generator's
core: those who work in place (ours in tier 0, the bridge, xdp-redirect-in-place) have no other core,
those with a thread of their own have the contender's to themselves.
"""

import contextlib

import contenders
import report
from lab import BenchError, Lab

FLOWS = (1, 1024, 16384)
SIZE = 64
WARM_UP = 0.1  # seconds
TURNS_A_SETUP = 4
LEAST_NS = 10  # what a thread takes that only keeps house, while the kernel moves the packets
FIGURES = ("mpps", "ns", "in_place")


def measure(lab, process, flows, seconds):
    """Mpps at the sink; nanoseconds a packet of the contender's busiest thread, None if no thread moves
    them; percent that arrived by the generator's core."""
    watch = ("--watch", process.pid) if process else ()
    result = lab.traffic("send", "--flows", flows, "--size", SIZE, "--warmup", WARM_UP,
                         "--seconds", seconds, *watch)
    packets = result["received"]
    if not packets:
        raise BenchError("nothing arrives")
    nanoseconds = result["thread_seconds"] * 1e9 / packets
    return {"mpps": packets / result["seconds"] / 1e6,
            "ns": nanoseconds if nanoseconds >= LEAST_NS else None,
            "in_place": 100 * result["on_core"] / packets}


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
        """As measure() above, or nothing."""
        if name not in self.ready:
            return {}
        lab, contender = self.ready[name]
        lab.freeze(False)
        try:
            return measure(lab, contender.process, flows, self.options.seconds / 2)
        except BenchError as problem:
            self.problems[name] = str(problem)
            return {}
        finally:
            lab.freeze(True)


def run_turn(field, turn, kinds, figures):
    """Each kind beside ours, if we take part. figures[kind][flows] gets what came of both."""
    ours = field.options.ours
    for flows in FLOWS:
        for kind in kinds:
            pair = [kind.name] if kind.name == ours else [ours, kind.name]
            results = {name: field.measure(name, flows) for name in pair[::(-1) ** turn]}
            for figure in FIGURES:
                values = figures[kind.name][flows]
                values[figure].append(results[kind.name].get(figure))
                values[f"ours_{figure}"].append(results.get(ours, {}).get(figure))


def main(tools, options):
    kinds = [kind for kind in contenders.FORWARDING
             if not options.only or kind.name in options.only]
    names = (*FIGURES, *(f"ours_{figure}" for figure in FIGURES))
    figures = {kind.name: {flows: {name: [] for name in names} for flows in FLOWS}
               for kind in kinds}
    problems = {}
    for number in range(options.rounds):
        with Field(tools, options, kinds, problems) as field:
            for turn in range(TURNS_A_SETUP):
                run_turn(field, turn, kinds, figures)
        options.progress(f"forward: set-up {number + 1} of {options.rounds}")
    rows = []
    for kind in kinds:
        for flows in FLOWS:
            values = figures[kind.name][flows]
            row = [kind.name, flows, report.spread(values["mpps"]), report.spread(values["ns"], 0),
                   report.spread(values["in_place"], 0)]
            if kind.name != options.ours:
                row += [report.spread(report.ratios(values["ours_mpps"], values["mpps"])),
                        report.spread(report.ratios(values["ns"], values["ours_ns"]))]
            rows.append(row + [""] * (7 - len(row)))
    report.table(f"veth to veth, {SIZE} bytes, one core, {options.rounds * TURNS_A_SETUP} turns: "
                 "min median max",
                 ["contender", "flows", "Mpps", "core ns a packet", "% in place",
                  f"{options.ours} / theirs", "the same a core second"], rows)
    report.problems(problems)
    return {"figures": figures, "problems": problems}
