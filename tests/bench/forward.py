# SPDX-License-Identifier: BSD-2-Clause
"""Packets a second from veth to veth through each contender, 64 bytes, one core for the contender.

Every round sets up each contender once, one after the other (A B C, A B C, ...), and measures it
with 1, 1024 and 16384 flows. Only the difference of the sink's counters counts, after a warm-up.
"""

import contenders
import report
from lab import BenchError, Lab

FLOWS = (1, 1024, 16384)
SIZE = 64


def measure(lab, flows, options):
    """Mpps at the sink."""
    result = lab.traffic("send", "--flows", flows, "--size", SIZE, "--warmup", 0.5,
                         "--seconds", options.seconds)
    if not result["received"]:
        raise BenchError("nothing arrives")
    return result["received"] / result["seconds"] / 1e6


def one_round(tools, options, chosen, figures, problems):
    for kind in chosen:
        try:
            with Lab(tools, options.cores) as lab:
                lab.add_traffic_pairs()
                kind().start(lab)
                for flows in FLOWS:
                    figures[kind.name][flows].append(measure(lab, flows, options))
        except BenchError as problem:
            problems[kind.name] = str(problem)
        for flows in FLOWS:
            column = figures[kind.name][flows]
            column.extend([None] * (options.round + 1 - len(column)))


def main(tools, options):
    chosen = [kind for kind in contenders.FORWARDING
              if not options.only or kind.name in options.only]
    figures = {kind.name: {flows: [] for flows in FLOWS} for kind in chosen}
    problems = {}
    for options.round in range(options.rounds):
        one_round(tools, options, chosen, figures, problems)
        options.progress(f"forward: round {options.round + 1} of {options.rounds}")
    rows = []
    ours = figures.get(contenders.Vswitchd.name)
    for kind in chosen:
        for flows in FLOWS:
            values = figures[kind.name][flows]
            against = report.ratios(ours[flows], values) if ours else []
            rows.append([kind.name, flows, report.spread(values),
                         report.spread(against) if kind is not contenders.Vswitchd else ""])
    report.table(f"veth to veth, {SIZE} bytes, one core, {options.rounds} rounds: "
                 "min median max", ["contender", "flows", "Mpps", "ours / theirs"], rows)
    report.problems(problems)
    return {"mpps": figures, "problems": problems}
