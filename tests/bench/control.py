# SPDX-License-Identifier: BSD-2-Clause
"""What is not packets a second: loading rules, cost of a miss, idle processor time, the first packet
after an idle time, resident memory. Ours, and Open vSwitch beside it where it has the same thing."""

import json
import os
import time

import contenders
import report
import workload
from lab import BenchError, Lab, run

N_RULES = 100000
N_PORTS = 64
N_FLOWS = 100000
IDLE_SECONDS = 5
GAPS_US = (1000, 20000)  # idle time before each packet
PACKETS = 300


def attempt(problems, name, measure, *arguments):
    try:
        return measure(*arguments)
    except BenchError as problem:
        problems[name] = str(problem)
        return None


def time_of(function, *arguments):
    started = time.monotonic()
    function(*arguments)
    return time.monotonic() - started


def rules_once(tools, options, kind):
    """Seconds to load the rules, resident KiB afterwards."""
    with Lab(tools, options.cores) as lab:
        lab.add_traffic_pairs()
        switch = kind()
        switch.start_ports(lab, ("g1", "s0"))
        path = os.path.join(lab.dir, "rules")
        workload.write_rules(path, N_RULES, 1, 2)
        figures = {"add-flows": time_of(switch.add_flows, path)}
        figures["rss_kib"] = switch.process.rss_kib()
        if kind is contenders.OvsAfxdp:
            switch.ofctl("del-flows", "br0")
            figures["--bundle"] = time_of(switch.ofctl, "--bundle", "add-flows", "br0", path)
        return figures


def rules(tools, options):
    problems, results, rows = {}, {"vswitchd": [], "ovs-afxdp": []}, []
    for _ in range(options.rounds):
        for kind in (contenders.Vswitchd, contenders.OvsAfxdp):
            figures = attempt(problems, kind.name, rules_once, tools, options, kind)
            if figures:
                results[kind.name].append(figures)
    ours = [figures["add-flows"] for figures in results["vswitchd"]]
    for name, key in (("vswitchd", "add-flows"), ("ovs-afxdp", "add-flows"),
                      ("ovs-afxdp", "--bundle")):
        seconds = [figures[key] for figures in results[name]]
        memory = [figures["rss_kib"] / 1024 for figures in results[name]]
        rows.append([name, key, report.spread(seconds, 3), report.spread(memory, 0),
                     "" if name == "vswitchd" else report.spread(report.ratios(ours, seconds), 3)])
    report.table(f"{N_RULES} rules from a file, {options.rounds} rounds: min median max",
                 ["switch", "how", "seconds", "resident MiB", "ours / theirs"], rows)
    report.problems(problems)
    return results


def add_ports(lab, switch, total):
    """Fills up the bridge, which has g1 and s0, to so many ports."""
    for number in range(total - 2):
        lab.add_pair(f"op{number}", f"p{number}")
        switch.add_port(f"p{number}")


def misses(tools, options):
    """What a look-up costs that misses all caches, with as many rules: the tables alone."""
    problems, rows, results = {}, [], []
    with Lab(tools, options.cores) as lab:
        pcap, path = os.path.join(lab.dir, "packets.pcap"), os.path.join(lab.dir, "rules")
        workload.write((20000, N_RULES, "overlap"), pcap, path, "in", "out")
        for _ in range(options.rounds):
            line = attempt(problems, "vswitch", run, [
                "taskset", "-c", str(lab.core), tools.classify, "--pcap", pcap, "--rules", path,
                "--misses"])
            if line:
                results.append(json.loads(line))
    for name in ("median_ns", "mean_ns", "p99_ns"):
        rows.append([name, report.spread([result[name] for result in results], 0)])
    report.table(f"translation of a packet that misses the caches, {N_RULES} rules, "
                 f"{options.rounds} rounds", ["of 20000 packets", "min median max"], rows)
    report.problems(problems)
    return results


def idle_once(tools, options, kind, n_ports):
    """Percent of a core used with one rule and no packets."""
    with Lab(tools, options.cores) as lab:
        lab.add_traffic_pairs()
        switch = kind()
        switch.start(lab)
        add_ports(lab, switch, n_ports)
        time.sleep(1)
        before = switch.process.cpu_seconds()
        time.sleep(IDLE_SECONDS)
        return 100 * (switch.process.cpu_seconds() - before) / IDLE_SECONDS


def idle(tools, options):
    problems, results, rows = {}, {}, []
    for kind in (contenders.Vswitchd, contenders.OvsAfxdp):
        for n_ports in (2, N_PORTS):
            percent = attempt(problems, kind.name, idle_once, tools, options, kind, n_ports)
            results[f"{kind.name}, {n_ports} ports"] = percent
            rows.append([kind.name, n_ports, report.spread([percent], 1).split()[0]])
    report.table(f"idle for {IDLE_SECONDS} s", ["switch", "ports", "% of a core"], rows)
    report.problems(problems)
    return results


def latency_once(tools, options, kind):
    with Lab(tools, options.cores) as lab:
        lab.add_traffic_pairs()
        kind().start(lab)
        return {gap: lab.traffic("latency", "--count", PACKETS, "--gap-us", gap)
                for gap in GAPS_US}


def latency(tools, options):
    problems, results, rows = {}, {}, []
    for kind in (contenders.Vswitchd, contenders.OvsAfxdp, contenders.Bridge):
        results[kind.name] = attempt(problems, kind.name, latency_once, tools, options, kind)
        for gap, figures in (results[kind.name] or {}).items():
            rows.append([kind.name, gap / 1000] + [figures.get(name, "-") for name in (
                "p0", "p10", "p50", "p90", "p99", "p100", "lost")])
    report.table(f"first packet after idle, {PACKETS} packets, microseconds from send to receipt",
                 ["contender", "idle ms", "min", "10 %", "median", "90 %", "99 %", "max", "lost"],
                 rows)
    report.problems(problems)
    return results


def memory_once(tools, options, kind):
    """Resident KiB as ports, rules and cached flows are added."""
    figures = {}
    with Lab(tools, options.cores) as lab:
        lab.add_traffic_pairs()
        switch = kind()
        switch.start_ports(lab, ("g1", "s0"))
        figures["2 ports"] = switch.process.rss_kib()
        add_ports(lab, switch, N_PORTS)
        figures[f"{N_PORTS} ports"] = switch.process.rss_kib()
        path = os.path.join(lab.dir, "rules")
        workload.write_exact_rules(path, N_FLOWS, 1, 2)
        switch.add_flows(path)
        figures["rules too"] = switch.process.rss_kib()
        lab.traffic("send", "--flows", N_FLOWS, "--warmup", 2, "--seconds", 4)
        figures["traffic too"] = switch.process.rss_kib()
        figures["cached flows"] = switch.cached_flows()
    return figures


def memory(tools, options):
    problems, results, rows = {}, {}, []
    columns = ["2 ports", f"{N_PORTS} ports", "rules too", "traffic too"]
    for kind in (contenders.Vswitchd, contenders.OvsAfxdp):
        figures = attempt(problems, kind.name, memory_once, tools, options, kind)
        results[kind.name] = figures
        if figures:
            rows.append([kind.name] + [f"{figures[name] / 1024:.0f}" for name in columns] +
                        [figures["cached flows"]])
    report.table(f"resident MiB: 2 ports, {N_PORTS} ports, {N_FLOWS} rules, traffic of as many flows",
                 ["switch", *columns, "cached flows"], rows)
    report.problems(problems)
    return results
