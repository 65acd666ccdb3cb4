# SPDX-License-Identifier: BSD-2-Clause
"""What the daemon tests share: a daemon of one's own, vswitchctl, raw control connections, capture files.

The daemon runs without privileges: started by root it has no capabilities left. Everything lies in
a temporary directory, which is removed when the test ends.
"""

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import unittest

BUILD = os.environ.get("top_builddir", ".")
VSWITCHD = os.path.join(BUILD, "vswitchd", "vswitchd")
VSWITCHCTL = os.path.join(BUILD, "ctl", "vswitchctl")

# sanitizer builds on a busy machine take their time
PATIENCE = 60


def unprivileged():
    """Words ahead of a command that take all capabilities away."""
    if os.getuid() != 0:
        return []
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]


def wait_until(condition, what, seconds=PATIENCE):
    """Polls; fails the test when `condition` does not come true."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


class Result:
    """What one run of vswitchctl came to."""

    def __init__(self, args, process):
        self.args = args
        self.status = process.returncode
        self.out = process.stdout
        self.err = process.stderr

    def __str__(self):
        return (f"vswitchctl {' '.join(self.args)}: exit status {self.status}\n"
                f"{self.out[-2000:]}{self.err[-2000:]}")


class Connection:
    """A control connection without the manners of vswitchctl."""

    def __init__(self, path, timeout=PATIENCE):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)  # waits while the daemon's queue is full
        self.socket.settimeout(timeout)
        self.rest = b""
        self.last_id = 0

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def read_line(self):
        """The next line, or None at the end."""
        while b"\n" not in self.rest:
            data = self.socket.recv(1 << 16)
            if not data:
                return None
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        return line

    def read(self):
        line = self.read_line()
        return None if line is None else json.loads(line)

    def request(self, method, **params):
        self.last_id += 1
        return (json.dumps({"jsonrpc": "2.0", "id": self.last_id, "method": method,
                            "params": params}) + "\n").encode()

    def call(self, method, **params):
        """The whole answer to one request."""
        self.send(self.request(method, **params))
        return self.read()


class DaemonTest(unittest.TestCase):
    """A test with a work directory and, from start() on, a daemon."""

    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="vswitch-test.")
        self.rundir = os.path.join(self.work, "run")
        self.statedir = os.path.join(self.work, "state")
        self.log = os.path.join(self.work, "log")
        self.daemon = None
        self.addCleanup(self.clean_up)

    def clean_up(self):
        if self.daemon:
            self.daemon.kill()
            self.daemon.wait()
            self.daemon = None
        # a sanitizer's report is a failure, whatever the test looked at
        log = self.read_log()
        shutil.rmtree(self.work, ignore_errors=True)
        for word in ("Sanitizer", "runtime error:"):
            self.assertNotIn(word, log)

    def read_log(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def path(self, name):
        return os.path.join(self.work, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    # ---- the daemon

    def spawn(self, *args, prefix=()):
        with open(self.log, "ab") as log:
            return subprocess.Popen(
                [*unprivileged(), *prefix, VSWITCHD, "--foreground", "--rundir", self.rundir,
                 "--statedir", self.statedir, "--cores", "none", "--no-libvirt", *args],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start(self, *args, prefix=()):
        """Starts the daemon; returns when it answers."""
        self.daemon = self.spawn(*args, prefix=prefix)

        def answers():
            self.assertIsNone(self.daemon.poll(), self.read_log())
            return self.run_ctl("version").status == 0
        wait_until(answers, "the daemon answers")

    def stop(self):
        """SIGTERM, and a clean end."""
        self.daemon.send_signal(signal.SIGTERM)
        status = self.daemon.wait(PATIENCE)
        self.daemon = None
        self.assertEqual(status, 0, self.read_log())
        self.assertFalse(os.path.exists(os.path.join(self.rundir, "control.sock")))

    def kill(self):
        """As a crash would."""
        self.daemon.kill()
        self.daemon.wait()
        self.daemon = None

    def restart(self, *args):
        self.stop()
        self.start(*args)

    # ---- vswitchctl

    def run_ctl(self, *args, stdin=""):
        args = [str(a) for a in args]
        process = subprocess.run([VSWITCHCTL, "--rundir", self.rundir, *args], input=stdin,
                                 capture_output=True, text=True, timeout=PATIENCE * 2, check=False)
        return Result(args, process)

    def ctl(self, *args, stdin=""):
        """A command that must succeed, in silence on standard error; what it prints."""
        result = self.run_ctl(*args, stdin=stdin)
        self.assertEqual((result.status, result.err), (0, ""), result)
        return result.out

    def json(self, *args, stdin=""):
        """The same with --json, parsed."""
        return json.loads(self.ctl("--json", *args, stdin=stdin))

    def refused(self, *args, says="", stdin=""):
        """A command that is refused with exit status 1, one line, nothing printed."""
        result = self.run_ctl(*args, stdin=stdin)
        self.assertEqual(result.status, 1, result)
        self.assertEqual(result.out, "", result)
        self.assertEqual(result.err.count("\n"), 1, result)
        self.assertIn(says, result.err)

    def misused(self, *args, says=""):
        """A command line that vswitchctl does not take: exit status 2."""
        result = self.run_ctl(*args)
        self.assertEqual(result.status, 2, result)
        self.assertEqual(result.out, "", result)
        self.assertIn(says, result.err)

    def connect(self):
        connection = Connection(os.path.join(self.rundir, "control.sock"))
        self.addCleanup(connection.close)
        return connection

    # ---- what the switch has

    def rules(self, bridge="br0"):
        """The rules without their counters, as printed."""
        return [f"table={r['table']},priority={r['priority']},{r['match']} actions={r['actions']}"
                for r in self.json("dump-flows", bridge)["rules"]]

    def counters(self, bridge="br0"):
        return {p["port"]: p for p in self.json("dump-ports", bridge)["ports"]}

    def export(self):
        return self.ctl("export")


# ---- capture files and packets

def mac(n):
    return bytes((2, 0, 0x5e, 0, 0x53, n))


def udp(src=1, dst=2, sport=1000, dport=2000, size=60, ip_src="192.0.2.1", ip_dst="192.0.2.2"):
    """An Ethernet frame with an IPv4 UDP packet, checksums right or absent."""
    payload = b"x" * (size - 42)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0,
                         socket.inet_aton(ip_src), socket.inet_aton(ip_dst))
    total = sum(struct.unpack("!10H", header))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    header = header[:10] + struct.pack("!H", total ^ 0xffff) + header[12:]
    return (mac(dst) + mac(src) + b"\x08\x00" + header +
            struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload)


def write_pcap(path, frames):
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for i, frame in enumerate(frames):
            f.write(struct.pack("<IIII", i, 0, len(frame), len(frame)))
            f.write(frame)
    return path


def read_pcap(path):
    frames = []
    with open(path, "rb") as f:
        f.read(24)
        while head := f.read(16):
            frames.append(f.read(struct.unpack("<IIII", head)[2]))
    return frames


def main():
    unittest.main(verbosity=2)
