#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What was acknowledged is there again after a stop, a crash, and on a full disk; one daemon at a time."""

import os
import random
import resource
import threading
import unittest

import harness


class Persistence(harness.DaemonTest):
    def fill(self):
        self.ctl("add-br", "br0", "local=no", "mac-ageing=60")
        self.ctl("add-port", "br0", "p1", "type=mem", "queues=2")
        self.ctl("add-port", "br0", "p2", "type=mem", "ofport_request=40")
        self.ctl("add-port", "br0", "p3", "type=mem")
        self.ctl("del-port", "br0", "p1")
        self.ctl("add-port", "br0", "p4", "type=mem", "tag=9")
        self.ctl("fdb-add", "br0", "p4", "02:00:5e:00:53:04", "vlan=9")
        self.ctl("add-flow", "br0", "cookie=0x77,priority=5,udp,in_port=p2 actions=p3,p4")

    def test_restart(self):
        self.start()
        self.fill()
        before = self.export()
        for _ in range(3):
            self.restart()
            self.assertEqual(self.export(), before)
        self.assertEqual([p["state"] for p in self.json("show")["bridges"][0]["ports"]],
                         ["up"] * 3)
        self.assertEqual([e["mac"] for e in self.json("fdb-show", "br0")["entries"]],
                         ["02:00:5e:00:53:04"])
        # rules have the numbers that the ports had
        self.assertIn("table=0,priority=5,udp,in_port=p2 actions=output:p3,output:p4",
                      self.rules())

    def test_each_way_to_change_rules(self):
        self.start()
        self.fill()
        self.ctl("add-flows", "br0", "-", stdin="priority=1,arp actions=p2\n"
                                                "priority=2,icmp actions=p2\n"
                                                "priority=3,tcp actions=p2\n"
                                                "priority=4,tcp6 actions=p2\n")
        self.ctl("mod-flows", "br0", "cookie=0x9,ip actions=p3")
        self.ctl("del-flows", "--strict", "br0", "priority=1,arp")
        self.ctl("del-flows", "br0", "tcp6")
        self.ctl("add-flow", "br0", "priority=0 actions=drop")
        before = self.export()
        self.kill()
        self.start()
        self.assertEqual(self.export(), before)
        self.ctl("replace-flows", "br0", "-", stdin="priority=8,arp actions=p2\n")
        before = self.export()
        self.kill()
        self.start()
        self.assertEqual(self.export(), before)
        self.assertEqual(self.rules(), ["table=0,priority=8,arp actions=output:p2"])

    def test_missing_device(self):
        self.start()
        self.fill()
        replay = harness.write_pcap(self.path("in.pcap"), [harness.udp()])
        self.ctl("add-port", "br0", "p5", "type=mem", f"rx={replay}")
        self.ctl("add-flow", "br0", "priority=6,in_port=p5 actions=drop")
        before = self.export()
        self.stop()
        os.rename(replay, replay + ".away")
        self.start()
        port = [p for p in self.json("show")["bridges"][0]["ports"] if p["port"] == "p5"][0]
        self.assertEqual(port["state"], "missing")
        self.assertIn("in.pcap", port["error"])
        self.assertIn("in.pcap", self.ctl("show"))
        self.assertEqual(self.export(), before)
        self.assertIn("missing", self.ctl("dump-ports", "br0", "p5"))
        self.assertIn("table=0,priority=6,in_port=p5 actions=drop", self.rules())
        # rules may name it, addresses wait for it, and it comes back by itself
        self.ctl("add-flow", "br0", "priority=7,arp actions=p5")
        self.ctl("fdb-add", "br0", "p5", "02:00:5e:00:53:05")
        os.rename(replay + ".away", replay)
        harness.wait_until(lambda: "missing" not in self.ctl("show"), "the port opens")
        self.assertIn("02:00:5e:00:53:05",
                      [e["mac"] for e in self.json("fdb-show", "br0")["entries"]])
        self.ctl("del-port", "br0", "p5")

    def test_killed_under_changes(self):
        """Changes in a loop, kill -9 in the middle: what was acknowledged is there."""
        seed = int(os.environ.get("VS_SEED", "24301"), 0)
        rng = random.Random(seed)
        self.start()
        self.ctl("add-br", "br0", "local=no")
        self.ctl("add-port", "br0", "p1", "type=mem")
        rules, ports = set(), set()
        for _ in range(8):
            unsure = self.change_until_killed(rng, rules, ports)
            self.start()
            found = {r["priority"] for r in self.json("dump-flows", "br0", "udp")["rules"]}
            there = set(self.ctl("list-ports", "br0").split()) - {"p1"}
            message = f"seed {seed}, unsure about {unsure}"
            # the change under way at the end may be there or not
            self.assertEqual(found - {unsure}, rules - {unsure}, message)
            self.assertEqual(there - {unsure}, ports - {unsure}, message)
            rules, ports = found, there

    def change_until_killed(self, rng, rules, ports):
        """Makes changes and notes what is acknowledged; returns what was not."""
        connection = self.connect()
        timer = threading.Timer(rng.uniform(0.05, 0.5), self.daemon.kill)
        timer.start()
        try:
            while True:
                number = rng.randrange(1, 200)
                there = number in rules
                name = f"m{number % 8}"
                if rng.random() < 0.2:
                    unsure, method, params, there = name, "del-port" if name in ports else \
                        "add-port", {"port": name}, name in ports
                    if not there:
                        params["type"] = "mem"
                    known = ports
                else:
                    unsure, known = number, rules
                    method = "del-flows" if there else "add-flow"
                    params = {"match": f"priority={number},udp", "strict": True} if there else \
                        {"rule": f"priority={number},udp actions=p1"}
                try:
                    answer = connection.call(method, bridge="br0", **params)
                except (ConnectionError, BrokenPipeError):
                    answer = None
                if answer is None:
                    return unsure
                self.assertIn("result", answer)
                if there:
                    known.discard(unsure)
                else:
                    known.add(unsure)
        finally:
            timer.join()
            self.daemon.wait()
            self.daemon = None

    def test_many_rules(self):
        self.start()
        self.ctl("add-br", "br0", "local=no")
        script = "".join(f"priority={i % 1000 + 1},tcp,nw_dst=198.18.{i >> 8}.{i & 255} actions=drop\n"
                         for i in range(20000))
        self.assertEqual(self.json("add-flows", "br0", "-", stdin=script)["added"], 20000)
        self.kill()
        self.start()
        self.assertEqual(self.json("show")["bridges"][0]["rules"], 20001)
        self.ctl("del-flows", "br0")
        self.restart()
        self.assertEqual(self.json("show")["bridges"][0]["rules"], 0)


class FullDisk(harness.DaemonTest):
    """The daemon may write files up to a size only: for the store that is a full disk."""

    def start_limited(self, kilobytes):
        self.start(prefix=["prlimit", f"--fsize={kilobytes << 10}"])

    @unittest.skipIf(resource.getrlimit(resource.RLIMIT_FSIZE)[1] != resource.RLIM_INFINITY,
                     "files are limited already")
    def test_nothing_of_a_refused_change(self):
        self.start_limited(200)
        self.ctl("add-br", "br0", "local=no")
        self.ctl("add-port", "br0", "p1", "type=mem")
        before = self.export()
        script = "".join(f"priority={i},udp actions=drop\n" for i in range(1, 20000))
        self.refused("add-flows", "br0", "-", stdin=script, says="vswitch.db")
        self.assertEqual(self.export(), before)
        self.refused("replace-flows", "br0", "-", stdin=script, says="vswitch.db")
        self.assertEqual(self.export(), before)
        self.refused("apply", "-", stdin=before + "".join(
            f"add-flow br0 'priority={i},udp actions=drop'\n" for i in range(1, 9000)) +
            "add-port br0 p7 type=mem\ndel-flows br0\nadd-br br1 local=no\n" + "".join(
                f"add-flow br1 'priority={i},udp actions=drop'\n" for i in range(1, 9000)),
            says="vswitch.db")
        self.assertEqual(self.export(), before)
        # small changes fill the log up, one by one, until one is refused: ports too
        last = self.fill_up()
        self.assertEqual(self.export(), last)
        self.refused("add-port", "br0", "p6", "type=mem", says="vswitch.db")
        self.refused("del-port", "br0", "p1", says="vswitch.db")
        self.refused("add-br", "br2", "local=no", says="vswitch.db")
        self.refused("fdb-add", "br0", "p1", "02:00:5e:00:53:01", says="vswitch.db")
        self.assertEqual(self.export(), last)
        self.kill()
        self.start()
        self.assertEqual(self.export(), last)

    def fill_up(self):
        """Adds rules until one is refused; the export before that."""
        connection = self.connect()
        for i in range(1, 20000):
            answer = connection.call("add-flow", bridge="br0",
                                     rule=f"priority={i},udp actions=drop")
            if "error" in answer:
                self.assertIn("vswitch.db", answer["error"]["message"])
                return self.export()
        self.fail("the disk does not fill up")


class DamagedStore(harness.DaemonTest):
    def test_set_aside(self):
        self.start()
        self.ctl("add-br", "br0", "local=no")
        self.stop()
        with open(os.path.join(self.statedir, "vswitch.db"), "wb") as f:
            f.write(b"no database " * 1000)
        self.start()
        self.assertEqual(self.ctl("list-br"), "")
        self.assertIn("attention: the configuration store was damaged", self.ctl("show"))
        self.assertIn(".damaged-", self.json("show")["store_note"])
        self.assertIn("damaged", self.read_log())
        aside = [n for n in os.listdir(self.statedir) if ".damaged-" in n]
        self.assertEqual(len(aside), 1)
        with open(os.path.join(self.statedir, aside[0]), "rb") as f:
            self.assertTrue(f.read().startswith(b"no database"))
        self.ctl("add-br", "br1", "local=no")
        self.restart()
        self.assertEqual(self.ctl("list-br"), "br1\n")
        self.assertNotIn("attention", self.ctl("show"))

    def test_unusable(self):
        with open(self.statedir, "w", encoding="utf-8"):
            pass
        daemon = self.spawn()
        self.assertEqual(daemon.wait(harness.PATIENCE), 1)
        self.assertIn("not a directory", self.read_log())


class OneDaemon(harness.DaemonTest):
    def test_second_on_the_same_rundir(self):
        self.start()
        second = self.spawn("--statedir", self.path("state2"))
        self.assertEqual(second.wait(harness.PATIENCE), 1)
        self.assertIn(f"another vswitchd (pid {self.daemon.pid}) runs on {self.rundir}",
                      self.read_log())
        self.ctl("add-br", "br0", "local=no")

    def test_second_on_the_same_statedir(self):
        self.start()
        second = self.spawn("--rundir", self.path("run2"))
        self.assertEqual(second.wait(harness.PATIENCE), 1)
        self.assertIn("in use by another process", self.read_log())
        self.ctl("add-br", "br0", "local=no")

    def test_after_a_crash(self):
        self.start()
        self.kill()
        self.assertTrue(os.path.exists(os.path.join(self.rundir, "control.sock")))
        self.refused("show", says="vswitchd is not running")
        self.start()
        self.ctl("show")


if __name__ == "__main__":
    harness.main()
