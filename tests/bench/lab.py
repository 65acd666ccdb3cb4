# SPDX-License-Identifier: BSD-2-Clause
"""The place where a benchmark happens: namespaces, veth pairs, processes, and how all of it goes away.

A Lab is a context manager that owns everything a measurement makes. Whatever is acquired is pushed
on one stack and released in reverse, on success, on an exception and on SIGTERM or SIGINT alike
(run.py turns the signals into SystemExit). Should Python itself be killed, its children die with it
(parent death signal), and the next run removes the namespaces of processes that are gone: their
names carry the process id, so two runs never meet.

The layout, one direction of traffic, one queue a device so that one core does the work:

    namespace "out", generator and sink           namespace "in" where the contender runs
      g0  ------------------ veth -----------------  g1   frames come in here
      s1  ------------------ veth -----------------  s0   and have to leave here

More pairs (x0, x1, ...) can be added for tests that need many ports.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

NETNS_DIR = "/run/netns"
PREFIX = "vsbench"
ENV = dict(os.environ, LC_ALL="C")


class BenchError(Exception):
    """A contender could not be set up or measured; the text says what failed, for a person."""


def run(command, check=True, timeout=60, settings=None):
    """Run a command to its end and return its standard output. settings: more environment."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env=dict(ENV, **(settings or {})), timeout=timeout, check=False)
    except FileNotFoundError as missing:
        raise BenchError(f"{missing.filename}: not there") from missing
    except subprocess.TimeoutExpired as late:
        raise BenchError(f"{' '.join(command)}: no end after {timeout} s") from late
    if check and done.returncode:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no message"]
        raise BenchError(f"{' '.join(command)}: exit {done.returncode}: {words[-1]}")
    return done.stdout


def succeeds(command):
    """Whether a command ends with status 0."""
    try:
        run(command)
    except BenchError:
        return False
    return True


def wait_for(what, test, timeout=10.0):
    """Poll until test() is true, and return what it gave."""
    end = time.monotonic() + timeout
    while True:
        value = test()
        if value:
            return value
        if time.monotonic() > end:
            raise BenchError(f"{what}: not after {timeout:g} s")
        time.sleep(0.02)


def is_left_behind(name):
    """Whether this is the name of a namespace or folder of an earlier run whose process is gone."""
    pid = name[len(PREFIX):].split("-")[0]
    return name.startswith(PREFIX) and pid.isdigit() and not os.path.exists(f"/proc/{pid}")


def sweep():
    """Remove namespaces of earlier runs whose process is gone, and what they mounted: with a bpffs,
    what is pinned there."""
    for name in os.listdir(NETNS_DIR) if os.path.isdir(NETNS_DIR) else ():
        if is_left_behind(name):
            run(["ip", "netns", "del", name], check=False)
    with open("/proc/self/mounts") as mounts:
        places = [line.split()[1] for line in mounts]
    for place in places:
        folder = os.path.relpath(place, tempfile.gettempdir()).split("/")[0]
        if is_left_behind(folder):
            run(["umount", place], check=False)
            shutil.rmtree(os.path.join(tempfile.gettempdir(), folder), ignore_errors=True)


class Process:
    """A child with its output in a file of the lab's folder."""

    def __init__(self, name, command, settings, log):
        self.name = name
        self.log = log
        with open(log, "wb") as output:
            self.child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command], env=dict(ENV, **settings),
                stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.PIPE)
        self.pid = self.child.pid
        self.frozen = False

    def tail(self):
        with open(self.log, errors="replace") as log:
            return " | ".join(log.read().strip().splitlines()[-3:])

    def check(self):
        """Raise when the process has ended by itself."""
        if self.child.poll() is not None:
            raise BenchError(f"{self.name} ended, status {self.child.returncode}: {self.tail()}")
        return True

    def wait_log(self, text, timeout=20.0):
        def seen():
            with open(self.log, errors="replace") as log:
                return text in log.read() or not self.check()
        wait_for(f"{self.name}: '{text}' in its output", seen, timeout)

    def freeze(self, frozen):
        """Stop the process as it is, or let it go on."""
        if self.child.poll() is None and frozen != self.frozen:
            os.kill(self.pid, signal.SIGSTOP if frozen else signal.SIGCONT)
            self.frozen = frozen

    def stop(self, timeout=10.0):
        if self.child.poll() is None:
            self.freeze(False)
            self.child.terminate()
            try:
                self.child.wait(timeout)
            except subprocess.TimeoutExpired:
                self.child.kill()
        self.child.wait()
        self.child.stdin.close()

    def cpu_seconds(self):
        """Processor time of all threads so far."""
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def thread_times(self):
        """Processor time of each thread so far, nanoseconds: {thread: time}."""
        times = {}
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            with contextlib.suppress(OSError):
                with open(f"/proc/{self.pid}/task/{thread}/schedstat") as text:
                    times[thread] = int(text.read().split()[0])
        return times

    def busiest_thread(self, before):
        """The most that one thread ran since thread_times() gave `before`, nanoseconds."""
        return max(now - before.get(thread, now) for thread, now in self.thread_times().items())

    def rss_kib(self):
        """Resident memory, kibibytes."""
        with open(f"/proc/{self.pid}/status") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
        raise BenchError(f"{self.name}: no resident memory")


class Lab:
    """Namespaces "out" and "in", devices, processes; see the top of this file."""

    serial = 0

    def __init__(self, tools, cores=(0, 1)):
        self.tools = tools
        self.generator_core, self.core = cores
        self.stack = contextlib.ExitStack()
        self.processes = []
        self.base = None  # with what the names of namespaces begin

    def __enter__(self):
        Lab.serial += 1
        self.base = base = f"{PREFIX}{os.getpid()}-{Lab.serial}"
        try:
            self.dir = tempfile.mkdtemp(prefix=f"{base}-")
            self.stack.callback(shutil.rmtree, self.dir, ignore_errors=True)
            self.outside = self._add_netns(base + "o")
            self.inside = self._add_netns(base + "i")
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *exc):
        self.stack.close()

    def add_netns(self, suffix):
        """One more namespace; its name."""
        return self._add_netns(self.base + suffix)

    def _add_netns(self, name):
        run(["ip", "netns", "add", name])
        self.stack.callback(run, ["ip", "netns", "del", name], check=False)
        for scope in ("all", "default"):
            run(self.within(name, ["sysctl", "-qw", f"net.ipv6.conf.{scope}.disable_ipv6=1"]))
        run(["ip", "-n", name, "link", "set", "lo", "up"])
        return name

    @staticmethod
    def within(netns, command):
        return ["nsenter", f"--net={NETNS_DIR}/{netns}", *command]

    def within_sysfs(self, command):
        """In "in" with that namespace's /sys, which nsenter does not show."""
        return ["ip", "netns", "exec", self.inside, *command]

    def add_pair(self, outer, inner):
        queues = ["numrxqueues", "1", "numtxqueues", "1"]
        run(["ip", "link", "add", outer, *queues, "netns", self.outside, "type", "veth",
             "peer", "name", inner, *queues, "netns", self.inside])
        run(["ip", "-n", self.outside, "link", "set", outer, "up"])
        run(["ip", "-n", self.inside, "link", "set", inner, "up"])

    def add_traffic_pairs(self):
        """g0 - g1 and s0 - s1. A veth takes frames from XDP only while the receiving end has NAPI, which
        an XDP program or GRO switches on; so that this does not depend on the contender, GRO is on."""
        self.add_pair("g0", "g1")
        self.add_pair("s1", "s0")
        self.inner(["ethtool", "-K", "g1", "gro", "on"])
        self.outer(["ethtool", "-K", "s1", "gro", "on"])

    def inner(self, command, **kwargs):
        return run(self.within(self.inside, command), **kwargs)

    def outer(self, command, **kwargs):
        return run(self.within(self.outside, command), **kwargs)

    def received(self, device):
        """Packets that a device outside has received so far."""
        links = json.loads(self.outer(["ip", "-s", "-j", "link", "show", "dev", device]))
        return links[0]["stats64"]["rx"]["packets"]

    def traffic(self, mode, *arguments, timeout=120):
        """Run trafficgen between g0 and s1; its result."""
        return json.loads(self.outer(
            [self.tools.trafficgen, mode, "--tx", "g0", "--rx", "s1", "--core",
             str(self.generator_core), *map(str, arguments)], timeout=timeout))

    def start(self, command, pinned=True, settings=None, name=None):
        """Start a process in "in", on the contender's core or on any; settings: environment. name: for
        messages and the log file, when the program's own says too little."""
        name = name or os.path.basename(command[0])
        if pinned:
            command = ["taskset", "-c", str(self.core), *command]
        process = Process(name, self.within(self.inside, command), settings or {},
                          os.path.join(self.dir, f"{name}.log"))
        self.processes.append(process)
        self.stack.callback(process.stop)
        return process

    def freeze(self, frozen):
        """Freeze or unfreeze all processes started here, so that several labs can stand side by side
        and only one of them runs."""
        for process in self.processes:
            process.freeze(frozen)

    def mount(self, kind, name, options=()):
        """Mount a file system of that kind in a folder of the lab, for as long as there is a lab; the
        folder."""
        folder = os.path.join(self.dir, name)
        os.mkdir(folder)
        run(["mount", "-t", kind, *options, "none", folder])
        self.stack.callback(run, ["umount", folder], check=False)
        return folder

    def mac(self, device):
        """Hardware address of a device outside."""
        words = run(["ip", "-n", self.outside, "-br", "link", "show", "dev", device]).split()
        return words[2]

    def use_napi_thread(self, device):
        """Move a veth's receive work from the sender's core to a kernel thread on ours. The device
        needs a NAPI instance first: an XDP program, or GRO."""
        find = ["pgrep", "-x", rf"napi/{device}-[0-9]+"]
        before = set(run(find, check=False).split())
        run(self.within_sysfs(["sh", "-c", f"echo 1 > /sys/class/net/{device}/threaded"]))
        for pid in set(run(find, check=False).split()) - before:
            run(["taskset", "-cp", str(self.core), pid])
            os.setpriority(os.PRIO_PROCESS, int(pid), os.nice(0))


def on_signal(number, _frame):
    raise SystemExit(128 + number)


def catch_signals():
    """Let SIGTERM, SIGINT and SIGHUP unwind the stacks."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
