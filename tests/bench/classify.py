# SPDX-License-Identifier: BSD-2-Clause
"""Classification alone: the same packets replayed from memory, cycles a packet, no kernel in the way.

Ours is tests/bench/classify, the real datapath and rule tables between two mem ports, measured by
the processor's time stamp counter in rounds that alternate with OVS-DPDK's, and once under callgrind,
whose count of instructions does not depend on what else the machine does.
"""

import json
import os
import re

import contenders
import report
import workload
from lab import BenchError, Lab, run

SCENARIOS = ((1, 1, "one"), (1000, 1, "one"), (20000, 1, "one"), (20000, 2000, "apart"),
             (20000, 2000, "overlap"))
CALLGRIND_PACKETS = 200000


def files(lab, scenario, port_in, port_out):
    pcap, rules = os.path.join(lab.dir, "packets.pcap"), os.path.join(lab.dir, "rules")
    workload.write(scenario, pcap, rules, port_in, port_out)
    return pcap, rules


def measure_ours(tools, options, scenario):
    with Lab(tools, options.cores) as lab:
        pcap, rules = files(lab, scenario, "in", "out")
        line = run([tools.classify, "--pcap", pcap, "--rules", rules, "--core", str(lab.core),
                    "--seconds", str(options.seconds)], timeout=options.seconds + 60)
        result = json.loads(line)
        return result["cycles"] / result["packets"]


def measure_instructions(tools, options, scenario):
    """Instructions a packet: two runs of different length, so that setting up does not count."""
    with Lab(tools, options.cores) as lab:
        pcap, rules = files(lab, scenario, "in", "out")

        def total(packets):
            run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={lab.dir}/callgrind",
                 tools.classify, "--pcap", pcap, "--rules", rules, "--packets", str(packets)],
                timeout=600)
            with open(f"{lab.dir}/callgrind", errors="replace") as counts:
                return int(re.search(r"^(?:totals|summary): (\d+)", counts.read(),
                                     re.MULTILINE).group(1))
        base = max(CALLGRIND_PACKETS, 10 * scenario[0])
        return (total(2 * base) - total(base)) / base


def measure_ovs(tools, options, scenario):
    with Lab(tools, options.cores) as lab:
        pcap, rules = files(lab, scenario, 1, 2)
        ovs = contenders.OvsDpdk()
        ovs.start(lab, pcap, rules)
        ovs.wait_warm()
        return ovs.cycles(options.seconds)


def main(tools, options):
    problems = {}

    def attempt(name, measure, scenario):
        try:
            return measure(tools, options, scenario)
        except BenchError as problem:
            problems[name] = str(problem)
            return None

    rows, results = [], {}
    for scenario in SCENARIOS:
        ours, theirs = [], []
        for turn in range(options.rounds):
            ours.append(attempt("vswitch", measure_ours, scenario))
            theirs.append(attempt("ovs-dpdk", measure_ovs, scenario))
            options.progress(f"classify {scenario}: round {turn + 1} of {options.rounds}")
        instructions = attempt("callgrind", measure_instructions, scenario)
        rows.append([*scenario, report.spread(ours, 0), report.spread([instructions], 0).split()[0],
                     report.spread(theirs, 0), report.spread(report.ratios(ours, theirs))])
        results["{} flows, {} rules, {}".format(*scenario)] = {
            "vswitch_cycles": ours, "vswitch_instructions": instructions, "ovs_dpdk_cycles": theirs}
    report.table(f"classification from memory, cycles a packet, {options.rounds} rounds: "
                 "min median max",
                 ["flows", "rules", "kind", "vswitch", "instructions", "OVS-DPDK", "ours / theirs"], rows)
    report.problems(problems)
    return results
