#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The control socket under malformed, huge, many and stuck clients, and the daemon's own options."""

import json
import os
import random
import signal
import socket
import stat
import subprocess
import threading
import time

import harness


class Control(harness.DaemonTest):
    def setUp(self):
        super().setUp()
        self.start()

    def test_socket_is_private(self):
        mode = os.stat(os.path.join(self.rundir, "control.sock")).st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(mode & 0o777, 0o600)

    def test_malformed(self):
        connection = self.connect()
        for line, code in ((b"nonsense", -32700), (b"{", -32700), (b"\xff\xfe", -32700),
                           (b'{"a":1,"a":2}', -32700), (b"[" * 100, -32700),
                           (b"1", -32700), (b'""', -32700), (b"[]", -32600), (b"{}", -32600),
                           (b'{"jsonrpc":"2.0","method":5,"id":1}', -32600),
                           (b'{"jsonrpc":"2.0","method":"x","id":1}', -32601),
                           (b'{"jsonrpc":"2.0","method":"add-br","id":1}', -32602),
                           (b'{"jsonrpc":"2.0","method":"add-br","id":1,"params":{"bridge":7}}',
                            -32602)):
            connection.send(line + b"\n")
            answer = connection.read()
            self.assertEqual(answer["error"]["code"], code, line)
            self.assertTrue(answer["error"]["message"])
        # it is still the same connection
        self.assertIn("version", connection.call("version")["result"])

    def test_framing(self):
        connection = self.connect()
        connection.send(b"\n\r\n  \n" + connection.request("version").replace(b"\n", b"\r\n"))
        self.assertEqual(connection.read()["id"], 1)
        # byte by byte, and several at once
        for byte in connection.request("list-br"):
            connection.send(bytes([byte]))
        self.assertEqual(connection.read()["id"], 2)
        connection.send(b"".join(connection.request("version") for _ in range(500)))
        self.assertEqual([connection.read()["id"] for _ in range(500)], list(range(3, 503)))
        # a request without id gets no answer
        connection.send(b'{"jsonrpc":"2.0","method":"list-br"}\n')
        self.assertEqual(connection.call("version")["id"], 503)

    def test_half_closed(self):
        connection = self.connect()
        connection.send(connection.request("version"))
        connection.socket.shutdown(1)
        self.assertIn("result", connection.read())
        self.assertIsNone(connection.read_line())

    def test_garbage(self):
        seed = int(os.environ.get("VS_SEED", "7"), 0)
        rng = random.Random(seed)
        good = self.connect().request("add-flows", bridge="br0", text="tcp actions=drop")
        for _ in range(300):
            data = bytearray(good)
            for _ in range(rng.randrange(1, 8)):
                data[rng.randrange(len(data) - 1)] = rng.choice(b"\"{}[]\\,:0a\xff\x00-")
            connection = harness.Connection(os.path.join(self.rundir, "control.sock"))
            connection.send(bytes(data) + b'{"jsonrpc":"2.0","id":"end","method":"list-br"}\n')
            # what lost its id gets no answer, all else an error
            answer = connection.read()
            if answer["id"] != "end":
                self.assertIn("error", answer, f"seed {seed}")
                self.assertEqual(connection.read()["id"], "end", f"seed {seed}")
            connection.close()

    def test_too_long(self):
        connection = self.connect()
        answer = None
        try:
            for _ in range(66):
                connection.send(b"x" * (1 << 20))
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            answer = connection.read()
        except ConnectionResetError:
            pass
        if answer:
            self.assertIn("too long", answer["error"]["message"])
        self.assertIn("too long", self.read_log())
        self.ctl("version")
        self.assertLess(self.json("mem")["resident_bytes"], 600 << 20)

    def test_large_request(self):
        self.ctl("add-br", "br0", "local=no")
        script = "priority=1,udp actions=drop\n" + "# comment\n" * 1000000
        connection = self.connect()
        answer = connection.call("add-flows", bridge="br0", text=script, file="big")
        self.assertEqual(answer["result"]["added"], 1)

    def test_many_clients(self):
        self.ctl("add-br", "br0", "local=no")
        connections = [self.connect() for _ in range(50)]
        failures = []

        def work(number, connection):
            for i in range(20):
                rule = f"priority={number * 100 + i},udp actions=drop"
                if "result" not in connection.call("add-flow", bridge="br0", rule=rule):
                    failures.append((number, i))
        threads = [threading.Thread(target=work, args=item) for item in enumerate(connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(len(self.rules()), 50 * 20 + 1)

    def test_more_clients_than_fit(self):
        connections = [self.connect() for _ in range(300)]
        for connection in connections[:10]:
            self.assertIn("result", connection.call("version"))
        for connection in connections[:200]:
            connection.close()
        for connection in connections[290:]:
            self.assertIn("result", connection.call("version"))
        self.ctl("version")

    def test_stuck_clients(self):
        """Clients that ask for much and read nothing, or stop in the middle, hold nobody up."""
        self.ctl("add-br", "br0", "local=no")
        self.ctl("add-flows", "br0", "-", stdin="".join(
            f"priority={i},udp actions=drop\n" for i in range(1, 5000)))
        stuck = [self.connect() for _ in range(10)]
        for connection in stuck:
            connection.socket.settimeout(0.5)
            try:
                connection.send(connection.request("dump-flows", bridge="br0") * 50)
            except TimeoutError:
                pass
        half = [self.connect() for _ in range(10)]
        for connection in half:
            connection.send(b'{"jsonrpc":"2.0",')
        start = time.monotonic()
        for _ in range(20):
            self.ctl("list-br")
        self.assertLess(time.monotonic() - start, 30)
        # at most one answer waits for each of them
        self.assertLess(self.json("mem")["resident_bytes"], 800 << 20)
        self.stop()

    def test_stop_with_clients(self):
        connections = [self.connect() for _ in range(20)]
        for connection in connections:
            connection.send(connection.request("version"))
        connections[0].read()
        self.stop()

    def test_drops_live(self):
        self.ctl("add-br", "br0", "local=no")
        self.ctl("del-flows", "br0")
        replay = harness.write_pcap(self.path("in.pcap"), [harness.udp()])
        live = subprocess.Popen([harness.VSWITCHCTL, "--rundir", self.rundir, "--json", "drops",
                                 "--live"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(live.stdout.close)
        self.ctl("add-port", "br0", "p1", "type=mem", f"rx={replay}", "loop=forever", "rate=1000")
        text = ""
        while not text.endswith("}\n") or text.count("{") != text.count("}"):
            text += live.stdout.readline()
        live.kill()
        live.wait()
        drop = json.loads(text)["drops"][0]
        self.assertEqual((drop["port"], drop["reason"]), ("p1", "no_rule"))
        self.assertLess(drop["packets"], 20000)


class Options(harness.DaemonTest):
    def run_daemon(self, *args):
        return subprocess.run([*harness.unprivileged(), harness.VSWITCHD, *args],
                              capture_output=True, text=True, timeout=harness.PATIENCE, check=False)

    def test_help(self):
        for option in ("--help", "-h"):
            process = self.run_daemon(option)
            self.assertEqual(process.returncode, 0)
            self.assertIn("usage: vswitchd", process.stdout)
        self.assertTrue(self.run_daemon("--version").stdout.startswith("vswitchd "))

    def test_misuse(self):
        for args, says in ((["--workers", "0"], "must be a number from 1"),
                           (["--workers", "x"], "must be a number"),
                           (["--cores", "1-"], "list of processors"),
                           (["--workers", "2", "--cores", "0"], "leave one out"),
                           (["--frames", "1"], "must be a number from 1024"),
                           (["--log-level", "loud"], "must be error"),
                           (["more"], "there are only options"),
                           (["--nonsense"], "unrecognized option")):
            process = self.run_daemon(*args)
            self.assertEqual(process.returncode, 2, args)
            self.assertIn(says, process.stderr)

    def test_background(self):
        """The command returns when the daemon answers, and says why if it cannot start."""
        args = ["--rundir", self.rundir, "--statedir", self.statedir, "--cores", "none"]
        process = self.run_daemon(*args)
        self.assertEqual((process.returncode, process.stderr), (0, ""))
        pid = self.json("version")["pid"]
        self.addCleanup(self.kill_pid, pid)
        with open(os.path.join(self.rundir, "vswitchd.pid"), encoding="utf-8") as f:
            self.assertEqual(int(f.read()), pid)
        self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), "/")
        self.assertEqual(os.readlink(f"/proc/{pid}/fd/2"), "/dev/null")
        process = self.run_daemon(*args)
        self.assertEqual(process.returncode, 1)
        self.assertIn(f"another vswitchd (pid {pid})", process.stderr)
        os.kill(pid, signal.SIGTERM)
        harness.wait_until(lambda: not os.path.exists(os.path.join(self.rundir, "vswitchd.pid")),
                           "the daemon stops")

    def kill_pid(self, pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def test_rundir(self):
        process = self.run_daemon("--rundir", "/nowhere/at/all", "--foreground")
        self.assertEqual(process.returncode, 1)
        self.assertIn("cannot make the run directory", process.stderr)
        process = self.run_daemon("--rundir", self.path("x" * 100), "--statedir", self.statedir,
                                  "--foreground")
        self.assertEqual(process.returncode, 1)
        self.assertIn("choose a shorter --rundir", process.stderr)

    def test_pidfile_and_workers(self):
        self.start("--pidfile", self.path("pid"), "--workers", "3", "--frames", "4096")
        with open(self.path("pid"), encoding="utf-8") as f:
            self.assertEqual(int(f.read()), self.daemon.pid)
        self.assertEqual(len(self.json("workers")["workers"]), 3)
        self.assertEqual(self.json("mem")["frames"], 4096)
        self.daemon.send_signal(signal.SIGHUP)
        self.ctl("version")
        self.daemon.send_signal(signal.SIGINT)
        self.assertEqual(self.daemon.wait(harness.PATIENCE), 0)
        self.daemon = None
        self.assertFalse(os.path.exists(self.path("pid")))

    def test_environment(self):
        self.start()
        process = subprocess.run([harness.VSWITCHCTL, "version"], check=False, capture_output=True,
                                 env=dict(os.environ, VSWITCH_RUNDIR=self.rundir))
        self.assertEqual(process.returncode, 0)

    def test_notifies_systemd(self):
        path = self.path("notify")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(listener.close)
        listener.bind(path)
        listener.settimeout(harness.PATIENCE)
        os.environ["NOTIFY_SOCKET"] = path
        self.addCleanup(os.environ.pop, "NOTIFY_SOCKET")
        probe = subprocess.run(["ldd", harness.VSWITCHD], capture_output=True, text=True,
                               check=False)
        if "libsystemd" not in probe.stdout:
            self.skipTest("built without libsystemd")
        self.start()
        self.assertIn(b"READY=1", listener.recv(1000))
        self.stop()
        self.assertIn(b"STOPPING=1", listener.recv(1000))


if __name__ == "__main__":
    harness.main()
