#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Packets through the real daemon on mem ports: rules, counters, drops, caches, changes and a stop under traffic."""

import random

import harness


class Traffic(harness.DaemonTest):
    def make(self, *daemon_args):
        self.start(*daemon_args)
        self.ctl("add-br", "br0", "local=no")
        self.ctl("add-port", "br0", "p2", "type=mem", f"tx={self.path('out2.pcap')}")
        self.ctl("add-port", "br0", "p3", "type=mem", f"tx={self.path('out3.pcap')}")

    def replay(self, frames, port="p1", *options):
        """Adds a port that receives these frames."""
        capture = harness.write_pcap(self.path(f"{port}.pcap"), frames)
        self.ctl("add-port", "br0", port, "type=mem", f"rx={capture}", *options)

    def wait_received(self, port, packets):
        harness.wait_until(lambda: self.counters()[port]["rx_packets"] >= packets,
                           f"{port} receives {packets} packets")

    def assert_balance(self):
        totals = self.json("drops")
        self.assertEqual(totals["rx_packets"] + totals["copies"],
                         totals["tx_packets"] + totals["dropped"])

    def test_rule_and_counters(self):
        self.make()
        self.ctl("add-flow", "br0", "priority=5,udp,tp_dst=53 actions=p2")
        self.ctl("add-flow", "br0", "priority=5,udp,tp_dst=54 actions=p2,p3")
        frames = [harness.udp(dport=53), harness.udp(dport=54, size=100), harness.udp(dport=55)]
        self.ctl("mod-flows", "--strict", "br0", "priority=0 actions=drop")
        self.replay(frames * 10)
        self.wait_received("p1", 30)
        ports = self.counters()
        self.assertEqual((ports["p1"]["rx_packets"], ports["p1"]["rx_bytes"]), (30, 10 * 220))
        self.assertEqual((ports["p2"]["tx_packets"], ports["p2"]["tx_bytes"]), (20, 10 * 160))
        self.assertEqual((ports["p3"]["tx_packets"], ports["p3"]["tx_bytes"]), (10, 10 * 100))
        self.assertEqual(ports["p1"]["drops"], {"rule_drop": 10})
        rules = {r["match"]: (r["n_packets"], r["n_bytes"])
                 for r in self.json("dump-flows", "br0")["rules"]}
        self.assertEqual(rules, {"udp,tp_dst=53": (10, 600), "udp,tp_dst=54": (10, 1000),
                                 "": (10, 600)})
        drop = self.json("drops")["drops"]
        self.assertEqual([(d["port"], d["reason"], d["packets"]) for d in drop],
                         [("p1", "rule_drop", 10)])
        self.assertIn("a rule says drop", self.ctl("drops"))
        self.assertIn("rule_drop=10", self.ctl("dump-ports", "br0", "p1"))
        self.assert_balance()
        self.ctl("del-port", "br0", "p1")
        self.assertEqual([(d["port"], d["packets"]) for d in self.json("drops")["drops"]],
                         [("(removed)", 10)])
        self.assert_balance()
        self.stop()
        self.assertEqual(harness.read_pcap(self.path("out3.pcap")), [frames[1]] * 10)
        self.assertEqual(sorted(harness.read_pcap(self.path("out2.pcap"))),
                         sorted(frames[:2] * 10))

    def test_cache(self):
        self.make()
        self.ctl("add-flow", "br0", "priority=5,udp,nw_dst=192.0.2.0/24 actions=p2")
        self.ctl("add-flow", "br0", "priority=4,udp,tp_dst=9 actions=drop")
        # without end, for cached flows go when they carry nothing
        self.replay([harness.udp(sport=i) for i in range(1, 100)], "p1", "loop=forever",
                    "rate=2000")
        self.wait_received("p1", 500)
        flows = self.json("dump-cache")["flows"]
        self.assertEqual(len(flows), 1)
        self.assertEqual((flows[0]["worker"], flows[0]["actions"], flows[0]["tier0"]),
                         (0, "output(p2)", False))
        self.assertIn("nw_dst=192.0.2.0/24", flows[0]["match"])
        self.assertIn("in_port=p1", flows[0]["match"])
        self.assertNotIn("tp_", flows[0]["match"])
        self.assertIn("output(p2)", self.ctl("dump-cache", "--worker", 0))
        worker = self.json("workers")["workers"][0]
        self.assertEqual(worker["misses"] + worker["hits_signature"] + worker["hits_megaflow"],
                         worker["rx_packets"])
        self.assertLess(worker["misses"], 10)

    def test_learning(self):
        self.make()
        self.replay([harness.udp(src=1, dst=2)] * 3, "p1")
        self.wait_received("p1", 3)
        self.replay([harness.udp(src=2, dst=1)] * 3, "p4")
        self.wait_received("p4", 3)
        entries = {e["mac"]: e["port"] for e in self.json("fdb-show", "br0")["entries"]}
        self.assertEqual(entries, {"02:00:5e:00:53:01": "p1", "02:00:5e:00:53:02": "p4"})
        ports = self.counters()
        self.assertEqual((ports["p1"]["tx_packets"], ports["p2"]["tx_packets"],
                          ports["p3"]["tx_packets"]), (3, 3, 3))
        self.assert_balance()
        self.assertEqual(self.json("fdb-flush", "br0")["flushed"], 2)
        self.assertEqual(self.json("fdb-show", "br0")["entries"], [])

    def test_static_address(self):
        self.make()
        self.ctl("fdb-add", "br0", "p3", "02:00:5e:00:53:02")
        self.replay([harness.udp(src=1, dst=2)] * 5)
        self.wait_received("p1", 5)
        ports = self.counters()
        self.assertEqual((ports["p2"]["tx_packets"], ports["p3"]["tx_packets"]), (0, 5))

    def test_rules_change_under_traffic(self):
        """Once a command has returned, packets meet the new rule."""
        self.make("--workers", "2")
        self.replay([harness.udp(sport=i) for i in range(1, 200)], "p1", "loop=forever",
                    "rate=20000", "queues=2")
        self.ctl("del-flows", "br0")
        for i in range(20):
            self.ctl("add-flow", "br0", f"priority=1,udp actions=p{2 + i % 2}")
            before = self.counters()
            if i % 2:
                self.assertEqual(before["p2"]["tx_packets"],
                                 self.counters()["p2"]["tx_packets"])
            else:
                self.assertEqual(before["p3"]["tx_packets"],
                                 self.counters()["p3"]["tx_packets"])
        self.ctl("del-flows", "br0")
        self.ctl("del-port", "br0", "p1")
        self.assertEqual(self.json("mem")["frames_lent"], 0)

    def test_ports_come_and_go_under_traffic(self):
        self.make("--workers", "2")
        self.replay([harness.udp(sport=i) for i in range(1, 50)], "p1", "loop=forever",
                    "rate=50000", "queues=2")
        frames = self.json("mem")["frames"]
        for _ in range(10):
            self.ctl("del-port", "br0", "p3")
            self.ctl("add-port", "br0", "p3", "type=mem")
            self.ctl("set-port", "br0", "p2", "queues=2")
            self.ctl("set-port", "br0", "p2", "queues=")
        self.ctl("del-port", "br0", "p1")
        for port in ("p2", "p3"):
            self.ctl("del-port", "br0", port)
        harness.wait_until(lambda: self.json("mem")["frames_lent"] == 0, "all frames come back")
        self.assertEqual(self.json("mem")["frames"], frames)

    def test_bridge_removed_under_traffic(self):
        self.make()
        self.replay([harness.udp()], "p1", "loop=forever", "rate=50000")
        self.wait_received("p1", 10)
        self.ctl("del-br", "br0")
        self.assertEqual(self.json("show")["bridges"], [])
        self.ctl("add-br", "br0", "local=no")
        self.replay([harness.udp()], "p1", "loop=forever", "rate=50000")
        self.wait_received("p1", 10)

    def test_stop_under_traffic(self):
        self.make("--workers", "2")
        self.replay([harness.udp(sport=i) for i in range(1, 50)], "p1", "loop=forever",
                    "rate=0", "queues=2")
        self.wait_received("p1", 1000)
        self.stop()
        self.start()
        self.wait_received("p1", 10)
        self.kill()
        self.start()
        self.wait_received("p1", 10)

    def test_wire_between_bridges(self):
        self.make()
        self.ctl("add-br", "br1", "local=no")
        self.ctl("add-port", "br1", "w1", "type=mem", "peer=w0")
        self.ctl("add-port", "br0", "w0", "type=mem", "peer=w1")
        self.ctl("add-port", "br1", "out", "type=mem")
        self.replay([harness.udp()] * 7)
        harness.wait_until(lambda: self.counters("br1")["out"]["tx_packets"] == 7,
                           "the packets arrive")
        self.assert_balance()

    def test_malformed_packets(self):
        """Cut and mangled frames: each is out or counted."""
        self.make()
        rng = random.Random(5)
        frames = []
        for i in range(500):
            frame = bytearray(harness.udp(size=60 + i % 40))
            for _ in range(rng.randrange(6)):
                frame[rng.randrange(12, len(frame))] = rng.randrange(256)
            frames.append(bytes(frame[:rng.randrange(1, len(frame) + 1)]))
        self.ctl("add-flow", "br0", "priority=5,ip actions=dec_ttl,mod_nw_src:192.0.2.9,"
                                    "mod_tp_dst:7,p2,p3")
        self.replay(frames)
        self.wait_received("p1", 500 - sum(len(f) < 14 for f in frames))
        harness.wait_until(lambda: self.balanced(), "the sums match")

    def balanced(self):
        totals = self.json("drops")
        return (totals["rx_packets"] + totals["copies"] ==
                totals["tx_packets"] + totals["dropped"])


if __name__ == "__main__":
    harness.main()
