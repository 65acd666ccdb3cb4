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
                "tier0_share": carried(before, after), "flows": table["flows"],
                "tables_mib": table["bytes"] / 2 ** 20, "rss_mib": rss / 1024,
                "insert_us": table["insert_ns"] / inserts / 1e3 if inserts else 0}


def main(tools, options):
    costs = [json.loads(run([tools.tier0_cost])) for _ in range(options.rounds)]
    options.progress("tier0: program alone")
    report.table("tier 0's XDP program alone, ns a packet: min median max",
                 ["what", "ns"],
                 [[name, report.spread([cost[name] for cost in costs], 0)] for name in costs[0]])
    figures, problems, rows = {}, {}, []
    for flows in FLOWS:
        try:
            figures[flows] = figure = measure(tools, options, flows)
        except BenchError as problem:
            problems[flows] = str(problem)
            continue
        rows.append([flows, figure["flows"], f"{figure['mpps']:.2f}",
                     f"{100 * figure['tier0_share']:.1f}", f"{figure['insert_us']:.2f}",
                     f"{figure['tables_mib']:.0f}", f"{figure['rss_mib']:.0f}"])
        options.progress(f"tier0: {flows} flows")
    report.table(f"the daemon with exact flows, {SIZE} bytes",
                 ["flows", "in tier 0", "Mpps", "% by tier 0", "us an insertion", "tables MiB",
                  "resident MiB"], rows)
    report.problems(problems)
    return {"cost": costs, "daemon": figures, "problems": problems}
