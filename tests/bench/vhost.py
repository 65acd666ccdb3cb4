# SPDX-License-Identifier: BSD-2-Clause
"""Between guests: four benchmarks of vhost-user ports.

vhost         64-byte frames that go round. dpdk-testpmd plays both guests on the generator's core:
              what it receives by one virtio-user port it sends by the other, so the frames of the
              beginning bounce for ever, and the slower of the two programs decides how fast.
vhost_stream  1500-byte frames and 64 KiB TCP packets that stay whole, copied at both ends.
vhost_afxdp   64-byte frames from a guest to a veth device by AF_XDP, and back.
vhost_idle    processor time of connected guests who are silent, and how long a frame takes to the
              other guest's ring when the switch has to wake up for it (peers that poll do not).

The last three have guests of our own (vhost_guests.c), on the generator's core too; the switch has
the other core for its worker. As in forward.py, all contenders stand side by side, frozen but for
one, and take turns, each with guests of its own.
"""

import contextlib
import functools
import json
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
STREAMS = (("1500 bytes", 1514, False), ("64 KiB, TSO", 65226, True))
GAPS_US = (100, 5000)  # between frames, for latency
PINGS = 400
IDLE_SECONDS = 2


class Rings:
    """How the guests' rings look, and what they send."""

    def __init__(self, name, options, is_mixed=False):
        self.name, self.options, self.is_mixed = name, options, is_mixed


RINGS = (Rings("split", "mrg_rxbuf=1,queue_size=256"),
         Rings("packed", "mrg_rxbuf=1,packed_vq=1,queue_size=256"),
         Rings("split, 1024 flows", "mrg_rxbuf=1,queue_size=1024", True))


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


class Guests:
    """One guest or two that poll by our own program, see vhost_guests.c."""

    def __init__(self, lab, sockets, size, is_tso=False):
        self.lab = lab
        command = [lab.tools.vhost_guests, *(["--tso"] if is_tso else []), str(size), *sockets]
        self.process = lab.start(["taskset", "-c", str(lab.generator_core), *command],
                                 pinned=False, name="guests")
        self.process.wait_log("ready", timeout=30)
        self.n_lines = 1

    def begin(self, text):
        self.process.child.stdin.write(f"{text}\n".encode())
        self.process.child.stdin.flush()

    def answer(self, timeout=60):
        line = wait_for("the guests' answer", self._read_answer, timeout)
        self.n_lines += 1
        return json.loads(line)

    def _read_answer(self):
        self.process.check()
        with open(self.process.log, errors="replace") as log:
            lines = log.read().split("\n")
        return lines[self.n_lines] if len(lines) > self.n_lines + 1 else None

    def ask(self, text, timeout=60):
        self.begin(text)
        return self.answer(timeout)


class Field:
    """Contenders that stand ready, each frozen in its lab. set_up(lab, contender): what guests there
    are, when the contender forwards between them."""

    def __init__(self, tools, options, contestants, set_up, problems):
        self.tools, self.options, self.problems = tools, options, problems
        self.contestants, self.set_up = contestants, set_up
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
                guests = self.set_up(lab, contender)
            except BenchError as problem:
                self.problems[contestant.name] = str(problem)
                return
            lab.freeze(True)
            self.ready[contestant.name] = lab, contender, guests
            stack.push(attempt.pop_all())

    def measure(self, name, function, *arguments):
        """What function(contender, guests, ...) measures while only this contender runs, or None."""
        if name not in self.ready:
            return None
        lab, contender, guests = self.ready[name]
        lab.freeze(False)
        try:
            return function(contender, guests, *arguments)
        except BenchError as problem:
            self.problems[name] = str(problem)
            return None
        finally:
            lab.freeze(True)


def choose(options, *kinds):
    return [kind for kind in kinds if not options.only or kind.name in options.only]


def sockets_in(lab, count=2):
    return [os.path.join(lab.dir, f"guest{number}") for number in range(count)]


class Figures:
    """By contender and by what was measured: Mpps or Gbit/s, and the switch's time for each unit."""

    def __init__(self, contestants, cases):
        self.contestants, self.cases = contestants, cases
        self.values = {c.name: {case: {"rate": [], "ns": []} for case in cases}
                       for c in contestants}
        self.problems = {}

    def add(self, name, case, result):
        for key, value in zip(("rate", "ns"), result or (None, None)):
            self.values[name][case][key].append(value)

    def show(self, title, ours, unit, digits=2):
        rows = []
        for case in self.cases:
            for contestant in self.contestants:
                theirs = self.values[contestant.name][case]
                row = [case, contestant.name, report.spread(theirs["rate"], digits),
                       report.spread(theirs["ns"], 0)]
                if ours in self.values and contestant.name != ours:
                    mine = self.values[ours][case]
                    row += [report.spread(report.ratios(mine["rate"], theirs["rate"])),
                            report.spread(report.ratios(theirs["ns"], mine["ns"]))]
                rows.append(row + [""] * (6 - len(row)))
        report.table(f"{title}: min median max",
                     ["what", "contender", unit[0], unit[1], f"{ours} / theirs",
                      "the same a core second"], rows)
        report.problems(self.problems)

    def result(self):
        return {"figures": self.values, "problems": self.problems}


def watch(contender, function):
    """(what function() gives, nanoseconds of the contender's busiest thread meanwhile)."""
    before = contender.process.thread_times()
    result = function()
    return result, contender.process.busiest_thread(before)


# ---- frames that go round ------------------------------------------------------------------

def bounce(contender, guests, seconds):
    """(Mpps, nanoseconds a packet of the contender's busiest thread)."""
    time.sleep(WARM_UP)
    guests.rate()
    start = time.monotonic()
    took, busiest = watch(contender, lambda: time.sleep(seconds) or time.monotonic() - start)
    mpps = guests.rate()
    if not mpps:
        raise BenchError("frames do not go round")
    return mpps, busiest / (mpps * took) / 1e6


def bouncing(tools, options):
    kinds = choose(options, vhost_contenders.Vswitchd, vhost_contenders.OvsDpdk,
                   vhost_contenders.Testpmd, vhost_contenders.Bare)
    figures = Figures(kinds, [rings.name for rings in RINGS])

    def set_up(lab, contender, rings):
        contender.start(lab, sockets_in(lab))
        guests = Testpmd(lab, rings, sockets_in(lab))
        guests.start(rings.is_mixed)
        bounce(contender, guests, 0.2)
        return guests

    for number in range(options.rounds):
        for rings in RINGS:
            with Field(tools, options, kinds, functools.partial(set_up, rings=rings),
                       figures.problems) as field:
                for _ in range(TURNS_A_SETUP):
                    for kind in kinds:
                        figures.add(kind.name, rings.name,
                                    field.measure(kind.name, bounce, options.seconds))
        options.progress(f"vhost: set-up {number + 1} of {options.rounds}")
    figures.show(f"guest to guest, 64 bytes, one core, {options.rounds * TURNS_A_SETUP} turns",
                 options.ours, ("Mpps", "core ns a packet"))
    return figures.result()


# ---- long frames ---------------------------------------------------------------------------

def stream(contender, guests, seconds):
    """(Gbit/s, nanoseconds of the contender's busiest thread a kilobyte)."""
    guests.ask(f"send {WARM_UP}")
    result, busiest = watch(contender, lambda: guests.ask(f"send {seconds}"))
    if not result["bytes"]:
        raise BenchError("nothing arrives")
    return result["bytes"] * 8 / result["seconds"] / 1e9, busiest / result["bytes"] * 1e3


def streaming(tools, options):
    kinds = choose(options, vhost_contenders.Vswitchd, vhost_contenders.OvsDpdk,
                   vhost_contenders.OvsDpdkTso)
    figures = Figures(kinds, [case for case, _, _ in STREAMS])

    def set_up(lab, contender, size, is_tso):
        contender.start(lab, sockets_in(lab))
        guests = Guests(lab, sockets_in(lab), size, is_tso)
        wait_for("frames at the other guest", lambda: guests.ask("send 0.1")["received"])
        return guests

    for number in range(options.rounds):
        for case, size, is_tso in STREAMS:
            able = [kind for kind in kinds if kind.takes_tso or not is_tso]
            with Field(tools, options, able,
                       functools.partial(set_up, size=size, is_tso=is_tso),
                       figures.problems) as field:
                for _ in range(TURNS_A_SETUP):
                    for kind in kinds:
                        figures.add(kind.name, case,
                                    field.measure(kind.name, stream, options.seconds))
        options.progress(f"vhost_stream: set-up {number + 1} of {options.rounds}")
    figures.show(f"guest to guest, copied at both ends, one core, "
                 f"{options.rounds * TURNS_A_SETUP} turns",
                 options.ours, ("Gbit/s", "core ns a kB"), 1)
    return figures.result()


# ---- between a guest and a network device --------------------------------------------------

def receive_from_guest(contender, guests, seconds):
    """(Mpps at the far end of the device, nanoseconds a packet)."""
    lab = guests.lab
    guests.ask(f"send {WARM_UP}")

    def run():
        before = lab.received("s1")
        seconds_taken = guests.ask(f"send {seconds}")["seconds"]
        return (lab.received("s1") - before) / seconds_taken

    rate, busiest = watch(contender, run)
    if not rate:
        raise BenchError("nothing arrives at the device")
    return rate / 1e6, busiest / rate / seconds


def receive_at_guest(contender, guests, seconds):
    """(Mpps that the guest receives, nanoseconds a packet)."""
    lab = guests.lab
    sender = lab.start(lab.within(lab.outside, [
        lab.tools.trafficgen, "send", "--tx", "s1", "--rx", "g0", "--core",
        str(lab.generator_core), "--size", "64", "--warmup", "0", "--seconds",
        str(seconds + 3 * WARM_UP)]), pinned=False, name="sender")
    try:
        guests.ask(f"receive {2 * WARM_UP}")
        result, busiest = watch(contender, lambda: guests.ask(f"receive {seconds}"))
    finally:
        sender.child.wait(10)
    if not result["received"]:
        raise BenchError("nothing arrives at the guest")
    return result["received"] / result["seconds"] / 1e6, busiest / result["received"]


def to_devices(tools, options):
    kinds = choose(options, vhost_contenders.Vswitchd, vhost_contenders.OvsDpdk,
                   vhost_contenders.Testpmd)
    ways = {"guest to AF_XDP": receive_from_guest, "AF_XDP to guest": receive_at_guest}
    figures = Figures(kinds, list(ways))

    def set_up(lab, contender):
        lab.add_traffic_pairs()
        contender.start(lab, sockets_in(lab, 1), "s0")
        guests = Guests(lab, sockets_in(lab, 1), 64)
        for function in ways.values():
            function(contender, guests, 0.2)
        return guests

    for number in range(options.rounds):
        with Field(tools, options, kinds, set_up, figures.problems) as field:
            for _ in range(TURNS_A_SETUP):
                for case, function in ways.items():
                    for kind in kinds:
                        figures.add(kind.name, case,
                                    field.measure(kind.name, function, options.seconds))
        options.progress(f"vhost_afxdp: set-up {number + 1} of {options.rounds}")
    figures.show(f"between a guest and a veth device, 64 bytes, one core, "
                 f"{options.rounds * TURNS_A_SETUP} turns",
                 options.ours, ("Mpps", "core ns a packet"))
    return figures.result()


# ---- guests with little to do --------------------------------------------------------------

def idle_and_wake(contender, guests):
    """Percent of a core while nothing happens, then latencies by gap."""
    time.sleep(1)
    start = time.monotonic()
    _, busiest = watch(contender, lambda: time.sleep(IDLE_SECONDS))
    figures = {"percent": busiest / (time.monotonic() - start) / 1e7}
    for gap in GAPS_US:
        figures[gap] = guests.ask(f"ping {PINGS} {gap}")
    return figures


def idling(tools, options):
    kinds = choose(options, vhost_contenders.Vswitchd, vhost_contenders.OvsDpdk,
                   vhost_contenders.Testpmd)
    problems, results = {}, {kind.name: [] for kind in kinds}

    def set_up(lab, contender):
        contender.start(lab, sockets_in(lab))
        guests = Guests(lab, sockets_in(lab), 64)
        wait_for("frames at the other guest", lambda: guests.ask("send 0.1")["received"])
        return guests

    with Field(tools, options, kinds, set_up, problems) as field:
        for number in range(options.rounds):
            for kind in kinds:
                figures = field.measure(kind.name, idle_and_wake)
                if figures:
                    results[kind.name].append(figures)
            options.progress(f"vhost_idle: round {number + 1} of {options.rounds}")
    rows = []
    for name, rounds in results.items():
        for gap in GAPS_US:
            rows.append([name, report.spread([figures["percent"] for figures in rounds], 1),
                         gap / 1000] + [
                             report.spread([figures[gap].get(p) for figures in rounds], 1)
                             for p in ("p0", "p50", "p99")] + [
                                 sum(figures[gap]["lost"] for figures in rounds)])
    report.table(f"guests that send a frame now and then, {options.rounds} rounds of {PINGS} "
                 "frames, microseconds from kick to the other guest's ring: min median max",
                 ["contender", "% of a core, idle", "gap, ms", "fastest", "median", "99 %", "lost"],
                 rows)
    report.problems(problems)
    return {"figures": results, "problems": problems}
