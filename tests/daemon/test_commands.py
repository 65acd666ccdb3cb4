#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every command: what it does, what it prints, and how it is refused."""

import os
import subprocess

import harness


class Commands(harness.DaemonTest):
    def setUp(self):
        super().setUp()
        self.start()

    def make_bridge(self):
        self.ctl("add-br", "br0", "local=no")
        self.ctl("add-port", "br0", "p1", "type=mem")
        self.ctl("add-port", "br0", "p2", "type=mem")

    # ---- bridges

    def test_bridges(self):
        self.assertEqual(self.ctl("list-br"), "")
        self.ctl("add-br", "br1", "local=no")
        self.ctl("add-br", "br0", "local=no", "mac-ageing=10", "mac-limit=5")
        self.assertEqual(self.ctl("list-br"), "br0\nbr1\n")
        self.assertEqual(self.json("list-br"), {"bridges": ["br0", "br1"]})
        self.refused("add-br", "br0", says="bridge br0 exists already")
        self.ctl("add-br", "br0", "--may-exist")
        self.ctl("--may-exist", "add-br", "br0")
        fdb = self.json("fdb-show", "br0")
        self.assertEqual((fdb["limit"], fdb["ageing"]), (5, 10))
        self.ctl("set-br", "br0", "mac-ageing=", "mac-limit=7")
        fdb = self.json("fdb-show", "br0")
        self.assertEqual((fdb["limit"], fdb["ageing"]), (7, 300))
        self.refused("set-br", "br0", "mac-limit=0", says="must be from 1 to")
        self.refused("set-br", "br0", "mac-limt=5", says="did you mean 'mac-limit'?")
        self.refused("set-br", "br0", "local=maybe", says="must be yes or no")
        self.refused("add-br", "a b", says="a name has letters")
        self.refused("add-br", "0123456789abcdef", says="at most 15 characters")
        self.refused("add-br", "br2", "mac-limit=x", says="must be a number")
        self.assertEqual(self.ctl("list-br"), "br0\nbr1\n")
        self.ctl("del-br", "br1")
        self.refused("del-br", "br1", says="no bridge 'br1', did you mean 'br0'?")
        self.ctl("del-br", "br1", "--if-exists")
        self.assertEqual(self.ctl("list-br"), "br0\n")

    def test_local_port_without_privileges(self):
        self.ctl("add-br", "br0")
        port = self.json("show")["bridges"][0]["ports"][0]
        self.assertEqual((port["port"], port["type"], port["state"]),
                         ("br0", "internal", "missing"))
        self.assertIn("CAP_NET_ADMIN", port["error"])
        self.assertIn("CAP_NET_ADMIN", self.ctl("show"))
        self.ctl("add-flow", "br0", "priority=3,in_port=LOCAL actions=drop")
        self.ctl("set-br", "br0", "local=no")
        self.assertEqual(self.json("show")["bridges"][0]["ports"], [])

    # ---- ports

    def test_ports(self):
        self.make_bridge()
        self.assertEqual(self.ctl("list-ports", "br0"), "p1\np2\n")
        self.assertEqual(self.json("list-ports", "br0"), {"ports": ["p1", "p2"]})
        show = self.ctl("show")
        self.assertRegex(show, r"(?m)^ +p1 +1 +mem +up")
        self.assertNotIn("rundir", self.ctl("show", "br0", "p1"))
        self.assertRegex(self.ctl("show", "br0", "p1"), r"(?m)^ +state +up$")
        self.assertEqual([p["port"] for p in self.json("show", "br0", "p2")["bridges"][0]["ports"]],
                         ["p2"])
        self.refused("show", "br0", "p9", says="no port 'p9'")
        self.refused("add-port", "br0", "p1", "type=mem", says="exists already, in bridge br0")
        self.ctl("add-port", "br0", "p1", "type=mem", "--may-exist")
        self.refused("add-port", "br0", "p1", "type=tap", "--may-exist", says="its type is mem")
        self.refused("add-port", "br0", "p3", "type=men", says="did you mean 'mem'?")
        self.refused("add-port", "br0", "p3", "type=mem", "queue=2", says="did you mean 'queues'?")
        self.refused("add-port", "br0", "p3", "type=mem", "queues=x", says="queues=x")
        self.refused("add-port", "br0", "p3", "type=mem", "tag=5000", says="5000")
        self.refused("add-port", "br0", "p3", "type=mem", "rx=/nowhere", says="/nowhere")
        self.refused("add-port", "br0", "br0", "type=mem", says="a bridge has this name")
        self.refused("add-port", "br1", "p3", "type=mem", says="no bridge 'br1'")
        self.refused("add-port", "br0", "7", "type=mem", says="would be a number in rules")
        self.refused("add-port", "br0", "p3", "type=mem", "ofport_request=1", says="is taken")
        self.refused("add-port", "br0", "p3", "type=mem", "ofport_request=0", says="from 1 to")
        self.assertEqual(self.ctl("list-ports", "br0"), "p1\np2\n")
        self.assertEqual(self.json("add-port", "br0", "p3", "type=mem", "ofport_request=77"),
                         {"ofport": 77})
        self.ctl("del-port", "br0", "p3")
        self.refused("del-port", "br0", "p3", says="bridge br0 has no port 'p3'")
        self.ctl("del-port", "br0", "p3", "--if-exists")
        self.refused("del-port", "br0", "br0", says="local=no")

    def test_no_privileges_for_a_device(self):
        self.make_bridge()
        self.refused("add-port", "br0", "lo", says="lo")
        self.refused("add-port", "br0", "tap9", "type=tap", says="CAP_NET_ADMIN")
        self.assertEqual(self.ctl("list-ports", "br0"), "p1\np2\n")

    def test_port_options(self):
        self.make_bridge()
        self.ctl("set-port", "br0", "p1", "queues=2", "tag=5")
        port = self.json("show")["bridges"][0]["ports"][0]
        self.assertEqual(port["options"], {"queues": "2", "tag": "5"})
        self.assertEqual(port["queues"], 2)
        self.refused("set-port", "br0", "p1", "queues=9999", says="queues")
        self.refused("set-port", "br0", "p1", "rx=/nowhere", says="/nowhere")
        port = self.json("show")["bridges"][0]["ports"][0]
        self.assertEqual((port["options"], port["state"]), ({"queues": "2", "tag": "5"}, "up"))
        self.ctl("set-port", "br0", "p1", "queues=", "tag=")
        self.assertEqual(self.json("show")["bridges"][0]["ports"][0]["options"], {})
        self.refused("set-port", "br0", "p9", "queues=2", says="no port 'p9'")

    def test_list_types(self):
        types = {t["type"]: t for t in self.json("list-types")["types"]}
        self.assertIn("mem", types)
        self.assertIn("afxdp", types)
        self.assertIn("type=mem", self.ctl("list-types"))

    def test_dump_ports(self):
        self.make_bridge()
        self.assertEqual(set(self.counters()), {"p1", "p2"})
        self.assertEqual([p["port"] for p in self.json("dump-ports", "br0", "p2")["ports"]],
                         ["p2"])
        self.assertIn("port p1 (1): up", self.ctl("dump-ports", "br0"))
        self.refused("dump-ports", "br0", "p9", says="no port 'p9'")

    # ---- rules

    def test_rules(self):
        self.make_bridge()
        self.assertEqual(self.rules(), ["table=0,priority=0, actions=NORMAL"])
        self.ctl("add-flow", "br0", "priority=10,tcp,in_port=p1,tp_dst=80 actions=output:p2")
        self.ctl("add-flow", "br0", "priority=20,udp", "actions=drop")
        self.assertEqual(self.rules(), [
            "table=0,priority=20,udp actions=drop",
            "table=0,priority=10,tcp,in_port=p1,tp_dst=80 actions=output:p2",
            "table=0,priority=0, actions=NORMAL"])
        self.ctl("add-flow", "br0", "priority=20,udp actions=2")
        self.assertEqual(self.rules()[0], "table=0,priority=20,udp actions=output:p2")
        self.ctl("mod-flows", "br0", "udp actions=flood")
        self.assertEqual(self.rules()[0], "table=0,priority=20,udp actions=FLOOD")
        self.ctl("mod-flows", "--strict", "br0", "udp actions=drop")
        self.assertEqual(self.rules()[0], "table=0,priority=20,udp actions=FLOOD")
        self.assertEqual(self.json("mod-flows", "br0", "arp actions=drop")["modified"], 0)
        self.assertEqual(len(self.json("dump-flows", "br0", "tcp")["rules"]), 1)
        self.assertEqual(self.json("del-flows", "--strict", "br0", "udp")["removed"], 0)
        self.assertEqual(self.json("del-flows", "--strict", "br0", "priority=20,udp")["removed"], 1)
        self.assertEqual(self.json("del-flows", "br0", "tcp")["removed"], 1)
        self.assertEqual(self.json("del-flows", "br0")["removed"], 1)
        self.assertEqual(self.rules(), [])

    def test_refused_rules(self):
        self.make_bridge()
        before = self.ctl("dump-flows", "br0", "udp")
        for rule, says in (("tcp", "actions"), ("tpc actions=drop", "did you mean"),
                           ("in_port=p9 actions=drop", "p9"), ("nw_src=1.2.3 actions=1", "1.2.3"),
                           ("priority=70000 actions=drop", "70000"), ("", "actions"),
                           ("tp_dst=80 actions=drop", "tp_dst")):
            self.refused("add-flow", "br0", rule, says=says)
        self.assertEqual(self.ctl("dump-flows", "br0", "udp"), before)
        self.refused("add-flow", "br9", "actions=drop", says="no bridge 'br9'")

    def test_scripts(self):
        self.make_bridge()
        good = self.write("good", "# a comment\n\npriority=5,arp actions=flood\n"
                                  "priority=6,ip,nw_dst=192.0.2.0/24 actions=p1 # another\n")
        self.assertEqual(self.json("add-flows", "br0", good)["added"], 2)
        rules = self.rules()
        bad = self.write("bad", "priority=1,udp actions=drop\n\nactions=outptu:1\n")
        self.refused("add-flows", "br0", bad, says=f"{bad}:3: ")
        self.refused("add-flows", "br0", "-", says="-:1: ", stdin="tcp,actions=noaml\n")
        self.refused("add-flows", "br0", "-", says="(also wrong: lines 3, 4)",
                     stdin="tcp,actions=noaml\nudp,actions=drop\nactions=\ntpc,actions=drop\n")
        self.assertEqual(self.rules(), rules)
        self.assertEqual(self.json("add-flows", "br0", "-", stdin="udp actions=drop\n")["added"], 1)
        result = self.json("replace-flows", "br0", good)
        self.assertEqual((result["kept"], result["removed"]), (2, 2))
        self.assertEqual(len(self.rules()), 2)
        self.refused("add-flows", "br0", "/nowhere", says="/nowhere")
        # lines that change and delete, as one with those that add
        script = ("add priority=7,tcp actions=p1\nmodify_strict priority=5,arp actions=drop\n"
                  "delete ip,nw_dst=192.0.2.0/24\npriority=8,udp actions=p1\n")
        self.refused("add-flows", "br0", "-", says="-:5: ", stdin=script + "delete actions=drop\n")
        self.refused("replace-flows", "br0", "-", says="only rules that are added", stdin=script)
        self.assertEqual(len(self.rules()), 2)
        result = self.json("add-flows", "br0", "-", stdin=script)
        self.assertEqual((result["added"], result["modified"], result["removed"]), (2, 1, 1))
        after = self.rules()
        self.restart()
        self.assertEqual(self.rules(), after)
        self.ctl("replace-flows", "br0", good)
        # a dump is a script
        dump = self.ctl("dump-flows", "br0")
        self.ctl("del-flows", "br0")
        self.ctl("add-flows", "br0", "-", stdin=dump)
        self.assertEqual(len(self.rules()), 2)

    def test_diff_flows(self):
        self.make_bridge()
        wanted = self.write("wanted", "priority=0 actions=drop\npriority=7,arp actions=p2\n")
        self.ctl("add-flow", "br0", "priority=7,udp actions=drop")
        self.assertEqual(sorted(self.ctl("diff-flows", "br0", wanted).splitlines()), [
            "+priority=0 actions=drop", "+priority=7,arp actions=output:p2",
            "-priority=0 actions=NORMAL", "-priority=7,udp actions=drop"])
        self.ctl("replace-flows", "br0", wanted)
        self.assertEqual(self.ctl("diff-flows", "br0", wanted), "")
        self.refused("diff-flows", "br0", "-", says="-:1: ", stdin="x\n")

    def test_timeouts(self):
        self.make_bridge()
        self.ctl("add-flow", "br0", "hard_timeout=1,priority=9,udp actions=drop")
        self.assertEqual(len(self.rules()), 2)
        harness.wait_until(lambda: len(self.rules()) == 1, "the rule runs out")
        self.assertNotIn("udp", self.export())
        self.restart()
        self.assertEqual(len(self.rules()), 1)

    def test_dump_tables(self):
        self.make_bridge()
        self.ctl("add-flow", "br0", "priority=7,udp actions=drop")
        self.assertEqual(self.json("dump-tables", "br0")["tables"],
                         [{"table": 0, "rules": 2, "masks": 2}])
        self.assertIn("RULES", self.ctl("dump-tables", "br0"))

    def test_trace(self):
        self.make_bridge()
        self.ctl("add-flow", "br0", "priority=7,udp,tp_dst=53 actions=p2")
        answer = self.json("trace", "br0", "in_port=p1,udp,tp_dst=53")
        self.assertEqual(answer["rule"], "priority=7,udp,tp_dst=53 actions=output:p2")
        self.assertEqual(answer["actions"], "output(p2)")
        self.assertIn("tp_dst=53", answer["megaflow"])
        packet = harness.udp(dport=53).hex()
        self.assertEqual(self.json("trace", "br0", "in_port=p1", "--packet", packet)["rule"],
                         answer["rule"])
        self.assertIn("tp_dst=53", self.ctl("trace", "br0", "in_port=p1,udp,tp_dst=53"))
        self.ctl("del-flows", "br0")
        answer = self.json("trace", "br0", "in_port=p1,udp,tp_dst=53")
        self.assertEqual((answer["rule"], answer["drop_reason"]), (None, "no_rule"))
        self.refused("trace", "br0", says="say which packet")
        self.refused("trace", "br0", "in_port=p1", "--packet", "0g", says="not hexadecimal")
        self.refused("trace", "br0", "in_port=p9", says="p9")

    # ---- MAC addresses

    def test_fdb(self):
        self.make_bridge()
        self.ctl("fdb-add", "br0", "p1", "02:00:5e:00:53:01")
        self.ctl("fdb-add", "br0", "p2", "02:00:5e:00:53:02", "vlan=7")
        entries = self.json("fdb-show", "br0")["entries"]
        self.assertEqual(sorted((e["mac"], e["vlan"], e["port"], e["static"]) for e in entries),
                         [("02:00:5e:00:53:01", 0, "p1", True),
                          ("02:00:5e:00:53:02", 7, "p2", True)])
        self.assertRegex(self.ctl("fdb-show", "br0"), r"p2 +7 +02:00:5e:00:53:02 +static")
        self.ctl("fdb-add", "br0", "p2", "02:00:5e:00:53:01")
        self.ctl("fdb-flush", "br0")
        self.assertEqual(len(self.json("fdb-show", "br0")["entries"]), 2)
        self.refused("fdb-add", "br0", "p1", "02:00:5e", says="no MAC address")
        self.refused("fdb-add", "br0", "p1", "ff:ff:ff:ff:ff:ff", says="multicast")
        self.refused("fdb-add", "br0", "p1", "02:00:5e:00:53:03", "vlan=4095", says="vlan=4095")
        self.refused("fdb-add", "br0", "p9", "02:00:5e:00:53:03", says="no port 'p9'")
        self.refused("fdb-del", "br0", "02:00:5e:00:53:09", says="no static address")
        self.ctl("fdb-del", "br0", "02:00:5e:00:53:02", "vlan=7")
        self.assertEqual([e["port"] for e in self.json("fdb-show", "br0")["entries"]], ["p2"])
        # a port that goes takes its addresses along
        self.ctl("del-port", "br0", "p2")
        self.assertEqual(self.json("fdb-show", "br0")["entries"], [])
        self.assertNotIn("fdb-add", self.export())

    # ---- the rest

    def test_insight(self):
        self.make_bridge()
        self.assertEqual(self.json("dump-cache"), {"flows": []})
        self.assertEqual(self.ctl("dump-cache"), "")
        self.assertEqual(self.json("dump-cache", "--worker", 0), {"flows": []})
        self.refused("dump-cache", "--worker", 1, says="there are 1")
        self.assertEqual(self.json("drops")["drops"], [])
        self.assertIn("received 0", self.ctl("drops"))
        self.assertEqual(len(self.json("workers")["workers"]), 1)
        self.assertIn("TIER1", self.ctl("workers"))
        memory = self.json("mem")
        self.assertEqual(memory["frames"], memory["frames_free"] + memory["frames_lent"] +
                         memory["frames_held"])
        self.assertGreater(memory["resident_bytes"], 1 << 20)
        self.assertIn("resident", self.ctl("mem"))
        version = self.json("version")
        self.assertEqual(version["pid"], self.daemon.pid)
        self.assertIn(version["version"], self.ctl("version"))

    def test_containers_need_privileges(self):
        self.make_bridge()
        self.refused("attach-container", "br0", "no-such-namespace", says="no-such-namespace")
        self.refused("attach-container", "br0", "c1", "ip=192.0.2.300/24", says="192.0.2.300")
        self.refused("attach-container", "br0", "c1", "mtu=5", says="mtu=5")
        self.refused("attach-container", "br0", "c1", "gatway=1", says="gatway")
        self.refused("detach-container", "br0", "c1", says="no container c1")
        self.ctl("detach-container", "br0", "c1", "--if-exists")
        self.assertEqual(self.ctl("list-ports", "br0"), "p1\np2\n")

    def test_usage(self):
        self.misused(says="no command")
        self.misused("ad-port", says="did you mean 'add-port'?")
        self.misused("add-port", "br0", says="usage: add-port BR PORT")
        self.misused("list-br", "more", says="'more' is too much")
        self.misused("del-flows", "br0", "--strct", says="did you mean 'strict'?")
        for command in self.ctl("complete", "--", "").split():
            if command == "complete":
                continue
            self.assertIn(command, self.ctl("--help"))
            self.assertTrue(self.ctl(command, "--help").startswith(f"usage: vswitchctl {command}"))
        self.assertTrue(self.ctl("--version").startswith("vswitchctl "))

    def test_completion(self):
        self.make_bridge()

        def complete(*words):
            return self.ctl("complete", "--", *words).split()
        self.assertEqual(complete("add-p"), ["add-port"])
        self.assertEqual(complete("list-ports", ""), ["br0"])
        self.assertEqual(complete("del-port", "br0", ""), ["p1", "p2"])
        self.assertEqual(complete("del-port", "br0", "--i"), ["--if-exists"])
        self.assertIn("type=mem", complete("add-port", "br0", "p3", "type="))
        self.assertIn("queues=", complete("add-port", "br0", "p3", "type=mem", ""))
        self.assertEqual(complete("set-br", "br0", "mac-l"), ["mac-limit="])
        self.assertEqual(complete("nonsense", ""), self.ctl("complete", "--", "").split())

    def test_closed_output(self):
        self.make_bridge()
        with open("/dev/full", "wb") as full:
            process = subprocess.run([harness.VSWITCHCTL, "--rundir", self.rundir, "show"],
                                     stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(process.returncode, 1)
        self.assertIn("standard output", process.stderr)

    # ---- export and apply

    def fill(self):
        self.make_bridge()
        self.ctl("add-br", "br1", "local=no", "mac-limit=9")
        self.ctl("del-flows", "br1")
        self.ctl("add-port", "br1", "p9", "type=mem", "queues=2", "tag=5", "ofport_request=12")
        self.ctl("fdb-add", "br1", "p9", "02:00:5e:00:53:09", "vlan=5")
        self.ctl("add-flow", "br0", "priority=9,tcp,in_port=p1,tp_dst=80 actions=output:p2")
        self.ctl("add-flow", "br0", "cookie=0x5,priority=0 actions=drop")

    def test_export_and_apply(self):
        self.fill()
        script = self.write("script", self.export())
        self.assertIn("add-flow br0 'priority=9,tcp,in_port=p1,tp_dst=80 actions=output:p2'",
                      self.export())
        self.assertEqual(self.ctl("apply", script), "nothing to do\n")
        # from nothing, and back
        nothing = self.write("nothing", "# nothing\n")
        lines = self.ctl("apply", "--dry-run", nothing).splitlines()
        self.assertEqual(lines, ["del-port br0 p1", "del-port br0 p2", "del-port br1 p9",
                                 "del-br br0", "del-br br1"])
        self.assertEqual(self.ctl("list-br"), "br0\nbr1\n")
        self.assertEqual(self.ctl("apply", nothing).splitlines(), lines)
        self.assertEqual(self.ctl("list-br"), "")
        self.ctl("apply", "-", stdin=self.read_text(script))
        self.assertEqual(self.export(), self.read_text(script))
        self.restart()
        self.assertEqual(self.export(), self.read_text(script))

    def read_text(self, path):
        with open(path, encoding="utf-8") as f:
            return f.read()

    def test_export_runs_in_a_shell(self):
        self.fill()
        before = self.export()
        script = self.write("script", before)
        self.ctl("apply", "-", stdin="")
        env = dict(os.environ, VSWITCH_RUNDIR=self.rundir,
                   PATH=os.path.dirname(os.path.abspath(harness.VSWITCHCTL)) + ":" +
                   os.environ["PATH"])
        subprocess.run(["sh", "-e", script], env=env, check=True)
        self.assertEqual(self.export(), before)

    def test_apply_changes_what_differs(self):
        self.fill()
        self.ctl("apply", "-", stdin=self.export())
        script = (self.export().replace("priority=9,tcp", "priority=8,tcp")
                  .replace("mac-limit=9", "mac-limit=10").replace("queues=2 ", ""))
        self.assertEqual(self.ctl("apply", "--dry-run", "-", stdin=script).splitlines(), [
            "del-flows --strict br0 priority=9,tcp,in_port=p1,tp_dst=80",
            "set-br br1 local=no mac-limit=10".replace("local=no ", ""),
            "set-port br1 p9 queues=",
            "add-flow br0 'priority=8,tcp,in_port=p1,tp_dst=80 actions=output:p2'"])
        self.ctl("apply", "-", stdin=script)
        self.assertEqual(self.export(), script)

    def test_apply_all_or_nothing(self):
        self.fill()
        before = self.export()
        for line, says in (("add-port br0 p7 type=men", "men"),
                           ("add-flow br0 'tpc actions=drop'", "-:"),
                           ("add-flow br0 'in_port=p77 actions=drop'", "p77"),
                           ("add-br br0", "exists already"),
                           ("add-port br0 p7 type=mem rx=/nowhere", "/nowhere"),
                           ("fdb-add br0 p55 02:00:5e:00:53:01", "p55"),
                           ("del-flows br0 tcp", "no match"),
                           ("show", "no place in a script")):
            script = before.replace("mac-limit=9", "mac-limit=11") + line + "\n"
            self.refused("apply", "-", stdin=script, says=says)
            self.assertEqual(self.export(), before, line)
        self.restart()
        self.assertEqual(self.export(), before)

    def test_apply_with_rule_scripts(self):
        rules = self.write("rules", "priority=5,arp actions=p1\npriority=6,udp actions=drop\n")
        self.ctl("apply", "-", stdin="add-br br0 local=no\nadd-port br0 p1 type=mem\n"
                                     f"replace-flows br0 {rules}\n")
        self.assertEqual(self.rules(), ["table=0,priority=6,udp actions=drop",
                                        "table=0,priority=5,arp actions=output:p1"])


class NoDaemon(harness.DaemonTest):
    def test_not_running(self):
        self.refused("show", says="vswitchd is not running")
        self.refused("show", says=f"vswitchd --rundir {self.rundir}")
        self.refused("drops", "--live", says="not running")
        self.refused("apply", "-", stdin="add-br br0\n", says="not running")
        self.assertIn("usage: vswitchctl", self.ctl("--help"))
        self.assertIn("add-br", self.ctl("complete", "--", "add-"))

    def test_apply_needs_no_daemon_to_refuse(self):
        self.refused("apply", "-", stdin="\nad-br br0\n", says="-:2: unknown command")


if __name__ == "__main__":
    harness.main()
