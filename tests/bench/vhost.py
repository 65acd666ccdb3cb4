# SPDX-License-Identifier: BSD-2-Clause
"""Between two guests: frames bounced by dpdk-testpmd through two virtio-user ports.

testpmd plays both guests on the generator's core: what it receives by one port it sends by the same
pair's other one, so the frames of the beginning go round for ever, and the slower one of the two
programs decides how fast. The switch has the other core for its worker.

As in forward.py, all contenders stand side by side, frozen but for one, and take turns; each with a
generator of its own.
"""

import contextlib
import os
import re
import time

import report
import vhost_contenders
from lab import BenchError, Lab, wait_for

MEMORY = 512  # MiB
WARM_UP = 0.1  # seconds
TURNS_A_SETUP = 4
PROMPT = "testpmd> "
BURSTS = 8  # of 32 that each port sends at first


class Kind:
    """How the guests' rings look, and what they send."""

    def __init__(self, name, options, is_mixed=False):
        self.name, self.options, self.is_mixed = name, options, is_mixed


KINDS = (Kind("split", "mrg_rxbuf=1,queue_size=256"),
         Kind("packed", "mrg_rxbuf=1,packed_vq=1,queue_size=256"),
         Kind("split, 1024 flows", "mrg_rxbuf=1,queue_size=1024", True))


class Testpmd:
    """Both guests."""

    def __init__(self, lab, kind, sockets):
        runtime = os.path.join(lab.dir, "generator")
        os.mkdir(runtime)
        devices = [word for number, path in enumerate(sockets) for word in (
            "--vdev", f"net_virtio_user{number},path={path},server=1,{kind.options}")]
        self.seen = 0
        self.process = lab.start(
            ["stdbuf", "-oL", "dpdk-testpmd",
             f"--lcores=0@{lab.generator_core},1@{lab.generator_core}", "--no-huge", "-m",
             str(MEMORY), "--no-pci", "--no-telemetry", *devices, "--", "-i", "--nb-cores=1",
             "--burst=32", "--total-num-mbufs=8192", "--no-flush-rx", "--tx-udp=5000,5001",
             "--flowgen-flows=1024"],
            pinned=False, settings={"RUNTIME_DIRECTORY": runtime}, name="guests")
        wait_for("testpmd's prompt", self._read_answer, 60)
        self.seen = len(self._read_answer())

    def command(self, text, timeout=20):
        """Give a command; what was printed until the next prompt."""
        self.process.child.stdin.write(f"{text}\n".encode())
        self.process.child.stdin.flush()
        lines = wait_for(f"testpmd's answer to '{text}'", self._read_answer, timeout)
        self.seen += len(lines)
        return lines

    def _read_answer(self):
        self.process.check()
        with open(self.process.log, errors="replace") as log:
            lines = log.read()[self.seen:]
        return lines if lines.endswith(PROMPT) else None

    def start(self, is_mixed):
        """Let frames go round, of one flow or of many."""
        if is_mixed:
            self.command("set fwd flowgen")
            self.command("start")
            time.sleep(0.3)
            self.command("stop")
            self.command("set fwd io")
            self.command("start")
        else:
            self.command(f"start tx_first {BURSTS}")

    def rate(self):
        """Millions of frames a second that the guests received since the last call."""
        text = self.command("show port stats all")
        return sum(int(number) for number in re.findall(r"Rx-pps: +(\d+)", text)) / 1e6


def measure(contender, guests, seconds):
    """(Mpps, nanoseconds a packet of the contender's busiest thread)."""
    time.sleep(WARM_UP)
    guests.rate()
    before, start = contender.process.thread_times(), time.monotonic()
    time.sleep(seconds)
    busiest, took = contender.process.busiest_thread(before), time.monotonic() - start
    mpps = guests.rate()
    if not mpps:
        raise BenchError("frames do not go round")
    return mpps, busiest / (mpps * took) / 1e6


class Field:
    """The contenders that stand ready for frames of one kind, each frozen in its lab."""

    def __init__(self, tools, options, kind, contestants, problems):
        self.tools, self.options, self.kind, self.problems = tools, options, kind, problems
        self.contestants = contestants
        self.ready = {}

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for contestant in self.contestants:
                self._set_up(stack, contestant)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *exc):
        self.stack.close()

    def _set_up(self, stack, contestant):
        with contextlib.ExitStack() as attempt:
            lab = attempt.enter_context(Lab(self.tools, self.options.cores))
            contender = contestant()
            try:
                sockets = [os.path.join(lab.dir, f"guest{number}") for number in (0, 1)]
                contender.start(lab, sockets)
                guests = Testpmd(lab, self.kind, sockets)
                guests.start(self.kind.is_mixed)
                measure(contender, guests, 0.2)
            except BenchError as problem:
                self.problems[contestant.name] = str(problem)
                return
            lab.freeze(True)
            self.ready[contestant.name] = lab, contender, guests
            stack.push(attempt.pop_all())

    def measure(self, name):
        """As measure() above, or nothing but None."""
        if name not in self.ready:
            return None, None
        lab, contender, guests = self.ready[name]
        lab.freeze(False)
        try:
            return measure(contender, guests, self.options.seconds)
        except BenchError as problem:
            self.problems[name] = str(problem)
            return None, None
        finally:
            lab.freeze(True)


def choose(options):
    return [kind for kind in (vhost_contenders.Vswitchd, vhost_contenders.OvsDpdk,
                              vhost_contenders.Testpmd, vhost_contenders.Bare)
            if not options.only or kind.name in options.only]


def main(tools, options):
    contestants = choose(options)
    figures = {c.name: {kind.name: {"mpps": [], "ns": []} for kind in KINDS} for c in contestants}
    problems = {}
    for number in range(options.rounds):
        for kind in KINDS:
            with Field(tools, options, kind, contestants, problems) as field:
                for _ in range(TURNS_A_SETUP):
                    for contestant in contestants:
                        mpps, nanoseconds = field.measure(contestant.name)
                        figures[contestant.name][kind.name]["mpps"].append(mpps)
                        figures[contestant.name][kind.name]["ns"].append(nanoseconds)
        options.progress(f"vhost: set-up {number + 1} of {options.rounds}")
    rows = []
    ours = figures.get(options.ours)
    for kind in KINDS:
        for contestant in contestants:
            theirs = figures[contestant.name][kind.name]
            row = [kind.name, contestant.name, report.spread(theirs["mpps"]),
                   report.spread(theirs["ns"], 0)]
            if ours and contestant.name != options.ours:
                row += [report.spread(report.ratios(ours[kind.name]["mpps"], theirs["mpps"]))]
            rows.append(row + [""] * (5 - len(row)))
    report.table(f"guest to guest, 64 bytes, one core, {options.rounds * TURNS_A_SETUP} turns: "
                 "min median max",
                 ["rings", "contender", "Mpps", "core ns a packet", f"{options.ours} / theirs"],
                 rows)
    report.problems(problems)
    return {"figures": figures, "problems": problems}
