# SPDX-License-Identifier: BSD-2-Clause
"""What the kernel's tier costs: a packet behind 1, 8 and 16 masks, with many flows, and an insertion.

The first half asks the XDP program alone (tier0_cost). The second half is the daemon under traffic:
as many exact flows as rules, each of which gets hot and goes in; then packets a second, the share
that tier 0 carried, memory, and how long an insertion took in the worker.
"""

import json
import os

import contenders
import report
from lab import BenchError, Lab, run, wait_for

FLOWS = (64, 10000, 100000)
SIZE = 64
# As tests/bench/trafficgen.h has flows.
HOSTS = 64
PORT_BASE = 1024
PORT_BITS = 15
FILL_SECONDS = 90
# Of the daemon: name, title, digits.
COLUMNS = (("flows", "in tier 0", 0), ("mpps", "Mpps", 2), ("percent", "% by tier 0", 1),
           ("insert_us", "us an insertion", 2), ("tables_mib", "tables MiB", 0),
           ("rss_mib", "resident MiB", 0))


def write_rules(path, flows):
    """A rule for each flow of the generator, under one mask."""
    with open(path, "w") as out:
        for flow in range(flows):
            source = f"198.18.{flow >> PORT_BITS}.{1 + flow % HOSTS}"
            port = PORT_BASE + flow % (1 << PORT_BITS)
            out.write(f"priority=20,udp,in_port=g1,nw_src={source},tp_src={port},"
                      "actions=output:s0\n")


def tier0(switch):
    return json.loads(switch.ctl("--json", "workers"))


def carried(before, after):
    """The share of packets that tier 0 carried between two answers of `workers`."""
    def total(answer, name):
        return sum(worker[name] for worker in answer["workers"])
    kernel = total(after, "hits_tier0") - total(before, "hits_tier0")
    user = total(after, "rx_packets") - total(before, "rx_packets")
    return kernel / (kernel + user) if kernel + user else 0


def measure(tools, options, flows):
    with Lab(tools, options.cores) as lab:
        switch = contenders.Vswitchd()
        lab.add_traffic_pairs()
        switch.start_ports(lab, ("g1", "s0"))
        rules = os.path.join(lab.dir, "rules")
        write_rules(rules, flows)
        switch.add_flows(rules)
        send = ("--flows", flows, "--size", SIZE, "--warmup", 0.2)

        def is_full():
            lab.traffic("send", *send, "--seconds", 2)
            return tier0(switch)["tier0"]["flows"] > flows * 0.99
        wait_for(f"{flows} flows in tier 0", is_full, FILL_SECONDS)
        rss = switch.process.rss_kib()
        before = tier0(switch)
        result = lab.traffic("send", *send, "--seconds", max(options.seconds, 1))
        after = tier0(switch)
        table = after["tier0"]
        inserts = table["inserted"] + table["refused"]
        return {"mpps": result["received"] / result["seconds"] / 1e6,
                "percent": 100 * carried(before, after), "flows": table["flows"],
                "tables_mib": table["bytes"] / 2 ** 20, "rss_mib": rss / 1024,
                "insert_us": table["insert_ns"] / inserts / 1e3 if inserts else 0}


def main(tools, options):
    costs = [json.loads(run([tools.tier0_cost])) for _ in range(options.rounds)]
    options.progress("tier0: program alone")
    report.table("tier 0's XDP program alone, ns a packet: min median max",
                 ["what", "ns"],
                 [[name, report.spread([cost[name] for cost in costs], 0)] for name in costs[0]])
    figures, problems = {flows: [] for flows in FLOWS}, {}
    for number in range(options.rounds):
        for flows in FLOWS:
            try:
                figures[flows].append(measure(tools, options, flows))
            except BenchError as problem:
                problems[f"{flows} flows"] = str(problem)
        options.progress(f"tier0: round {number + 1} of {options.rounds}")
    rows = [[flows, *(report.spread([figure[name] for figure in figures[flows]], digits)
                      for name, _, digits in COLUMNS)] for flows in FLOWS]
    report.table(f"the daemon with exact flows, {SIZE} bytes, {options.rounds} rounds: "
                 "min median max", ["flows", *(title for _, title, _ in COLUMNS)], rows)
    report.problems(problems)
    return {"cost": costs, "daemon": figures, "problems": problems}
