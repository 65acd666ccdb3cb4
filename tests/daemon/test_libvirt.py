#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Following libvirt's domains, with a real libvirtd of our own: its test driver for domains that come
and go, its QEMU driver (no guest is started) for what the test driver cannot do.

libvirtd runs as a plain user in a folder of its own, and touches nothing of the machine's.
"""

import glob
import grp
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import harness
from harness import PATIENCE, wait_until

LIBVIRTD = shutil.which("libvirtd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
VIRSH = shutil.which("virsh")
QEMU_DRIVER = next(iter(glob.glob(
    "/usr/lib/*/libvirt/connection-driver/libvirt_driver_qemu.so")), "")
QEMU = shutil.which("qemu-system-x86_64")

SOURCE = os.environ.get("top_srcdir", os.path.join(os.path.dirname(__file__), "../.."))

MEMORY = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"


def interface(path, mac, mode="client", extra=""):
    return (f"<interface type='vhostuser'><mac address='{mac}'/>"
            f"<source type='unix' path='{path}' mode='{mode}'/><model type='virtio'/>{extra}"
            "</interface>")


def domain(name, interfaces="", kind="test", head=""):
    arch = "<type arch='x86_64'>hvm</type>" if kind == "qemu" else "<type>hvm</type>"
    emulator = f"<emulator>{QEMU}</emulator>" if kind == "qemu" else ""
    return (f"<domain type='{kind}'><name>{name}</name><memory unit='MiB'>64</memory>{head}"
            f"<os>{arch}</os><devices>{emulator}{interfaces}</devices></domain>")


class LibvirtTest(harness.DaemonTest):
    """A private libvirtd, and a daemon that follows it."""

    driver = "test+unix:///default"
    cache = None  # of libvirtd, which asks QEMU for what it can do: once for all tests

    @classmethod
    def setUpClass(cls):
        cls.cache = tempfile.mkdtemp(prefix="vswitch-libvirt.")
        os.chmod(cls.cache, 0o777)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.cache, ignore_errors=True)

    def setUp(self):
        # not in the work directory, which is nobody else's; the last to go
        self.home = tempfile.mkdtemp(prefix="vswitch-libvirt.")
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        super().setUp()
        self.libvirtd = None
        self.addCleanup(self.stop_libvirtd)
        self.user = []
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.home, nobody.pw_uid, nobody.pw_gid)
            self.user = ["setpriv", "--reuid=nobody", f"--regid={grp.getgrgid(nobody.pw_gid)[0]}",
                         "--clear-groups"]
        os.chmod(self.home, 0o755)
        with open(self.home + "/libvirtd.conf", "w", encoding="utf-8") as f:
            f.write(f'unix_sock_dir = "{self.home}"\nunix_sock_rw_perms = "0777"\n'
                    'auth_unix_rw = "none"\nlog_outputs = "3:stderr"\n')
        # those that look at the machine take their time and are of no use here
        os.mkdir(self.home + "/drivers")
        if self.driver.startswith("qemu"):
            os.symlink(QEMU_DRIVER, self.home + "/drivers/libvirt_driver_qemu.so")
        self.uri = f"{self.driver}?socket={self.home}/libvirt-sock"

    def start_libvirtd(self):
        environment = dict(os.environ, HOME=self.home, XDG_RUNTIME_DIR=self.home,
                           XDG_CONFIG_HOME=self.home, XDG_CACHE_HOME=self.cache,
                           LIBVIRT_DRIVER_DIR=self.home + "/drivers")
        with open(self.path("libvirtd.log"), "ab") as log:
            self.libvirtd = subprocess.Popen(
                [*self.user, LIBVIRTD, "-f", self.home + "/libvirtd.conf",
                 "-p", self.home + "/libvirtd.pid"],
                env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(lambda: self.virsh("list", check=False).returncode == 0, "libvirtd answers")

    def stop_libvirtd(self):
        if self.libvirtd:
            self.libvirtd.send_signal(signal.SIGCONT)
            self.libvirtd.kill()
            self.libvirtd.wait()
            self.libvirtd = None

    def virsh(self, *args, check=True):
        process = subprocess.run([VIRSH, "-q", "-c", self.uri, *args], capture_output=True,
                                 text=True, timeout=PATIENCE, check=False,
                                 stdin=subprocess.DEVNULL)
        if check:
            self.assertEqual(process.returncode, 0, process.stderr)
        return process

    def define(self, xml, command="define"):
        self.virsh(command, self.write("domain.xml", xml))

    def start(self, *args, prefix=()):
        if "--libvirt" not in args:
            args = ("--libvirt", self.uri, *args)
        super().start(*args, prefix=prefix)

    def start_both(self):
        self.start_libvirtd()
        self.start()
        self.ctl("add-br", "br0", "local=no")
        self.wait_connected()

    def wait_connected(self, connected=True):
        wait_until(lambda: self.json("show")["libvirt"]["connected"] == connected,
                   f"libvirt is connected: {connected}")

    def ports(self, bridge="br0"):
        for entry in self.json("show")["bridges"]:
            if entry["bridge"] == bridge:
                return {p["port"]: p for p in entry["ports"]}
        return {}

    def wait_ports(self, *names, bridge="br0"):
        wait_until(lambda: set(self.ports(bridge)) == set(names), f"the ports are {names}")

    def socket(self, name, bridge="br0"):
        return f"{self.rundir}/{bridge}/{name}.sock"


class Following(LibvirtTest):
    """Ports come and go with domains."""

    def test_life_of_a_domain(self):
        self.start_both()
        mac = "52:54:00:00:00:07"
        self.define(domain("web1", interface(self.socket("web1-a"), mac, extra="<mtu size='1600'/>"
                                             "<driver queues='2'/>")))
        self.wait_ports("web1-a")
        port = self.ports()["web1-a"]
        self.assertEqual((port["type"], port["domain"], port["mac"]), ("vhost-user", "web1", mac))
        self.assertEqual(port["options"]["queues"], "2")
        self.assertEqual(port["options"]["mtu"], "1600")
        self.assertEqual(port["status"]["mode"], "server")
        self.assertTrue(os.path.exists(self.socket("web1-a")))  # before it is started
        self.assertIn(mac, self.ctl("show"))
        self.assertIn("port web1-a of br0", self.ctl("list-vms"))
        self.virsh("start", "web1")
        self.virsh("destroy", "web1")
        self.assertIn("web1-a", self.ports())
        self.virsh("undefine", "web1")
        self.wait_ports()
        self.assertFalse(os.path.exists(self.socket("web1-a")))

    def test_transient_domain(self):
        self.start_both()
        self.define(domain("t", interface(self.socket("t"), "52:54:00:00:00:01", "server")),
                    "create")
        self.wait_ports("t")
        self.assertEqual(self.ports()["t"]["options"]["mode"], "client")
        self.virsh("destroy", "t")
        self.wait_ports()

    def test_metadata(self):
        self.start_both()
        self.ctl("add-br", "br1", "local=no")
        head = ("<metadata><v:ports xmlns:v='urn:vswitch:1'>"
                "<v:port bridge='br1' mac='52:54:00:00:00:02' tag='10' name='db'/>"
                "<v:port bridge='br0'/></v:ports></metadata>")
        self.define(domain("d", interface(self.path("one.sock"), "52:54:00:00:00:01") +
                           interface(self.path("two.sock"), "52:54:00:00:00:02"), head=head))
        self.wait_ports("one")
        self.wait_ports("db", bridge="br1")
        port = self.ports("br1")["db"]
        self.assertEqual(port["options"]["tag"], "10")
        self.assertEqual(port["options"]["path"], self.path("two.sock"))

    def test_bridge_comes_later(self):
        self.start_both()
        self.define(domain("d", interface(self.socket("d", "br7"), "52:54:00:00:00:01")))
        wait_until(lambda: "no bridge br7" in self.ctl("list-vms"), "the refusal is shown")
        self.ctl("add-br", "br7", "local=no")
        self.wait_ports("d", bridge="br7")
        self.ctl("del-br", "br7")
        wait_until(lambda: self.read_log().count("there is no bridge br7") == 2,
                   "it is logged once each time")
        self.assertIn("no bridge br7", self.ctl("list-vms"))

    def test_no_way_around(self):
        """A followed port cannot be deleted, other options of it stay, scripts need not name it."""
        self.start_both()
        self.ctl("add-port", "br0", "m1", "type=mem")
        self.define(domain("d", interface(self.socket("d"), "52:54:00:00:00:01")))
        self.wait_ports("m1", "d")
        self.refused("del-port", "br0", "d", says="follows domain d")
        self.ctl("set-port", "br0", "d", "tag=7")
        self.ctl("add-flow", "br0", "priority=7,in_port=d actions=output:m1")
        rules = self.rules()
        exported = self.export()
        self.assertIn("domain-by=follow", exported)
        self.assertEqual(self.ctl("apply", "-", stdin=exported), "nothing to do\n")
        script = "\n".join(line for line in exported.split("\n") if "domain-by" not in line)
        self.assertEqual(self.ctl("apply", "-", stdin=script), "nothing to do\n")
        self.assertEqual(self.rules(), rules)
        self.assertEqual(self.ports()["d"]["options"]["tag"], "7")

    def test_daemon_restarts_without_libvirtd(self):
        """Followed ports are there at once, and stay until libvirt says otherwise."""
        self.start_both()
        for name in "ab":
            self.define(domain(name, interface(self.socket(name), f"52:54:00:00:00:0{name}")))
        self.wait_ports("a", "b")
        numbers = {name: port["ofport"] for name, port in self.ports().items()}
        self.virsh("undefine", "a")
        self.wait_ports("b")
        self.stop_libvirtd()
        self.wait_connected(False)
        self.restart()
        self.wait_connected(False)
        self.assertEqual(self.ports()["b"]["ofport"], numbers["b"])
        self.assertTrue(os.path.exists(self.socket("b")))
        # the test driver has forgotten its domains when libvirtd is back
        self.start_libvirtd()
        self.wait_ports()

    def test_libvirtd_stops_answering(self):
        self.start_both()
        self.libvirtd.send_signal(signal.SIGSTOP)
        result = self.run_ctl("attach-vm", "br0", "web1")
        self.assertEqual(result.status, 1, result)
        self.assertIn("does not answer", result.err)
        self.wait_connected(False)
        self.ctl("add-br", "br1", "local=no")
        self.libvirtd.send_signal(signal.SIGCONT)
        self.wait_connected()
        self.define(domain("d", interface(self.socket("d"), "52:54:00:00:00:01")))
        self.wait_ports("d")

    def test_other_commands_go_on(self):
        """While a command waits for libvirtd, those of other connections are answered."""
        self.start_both()
        self.libvirtd.send_signal(signal.SIGSTOP)
        waiting = self.connect()
        waiting.send(waiting.request("attach-vm", bridge="br0", domain="d") +
                     waiting.request("list-br"))
        other = self.connect()
        self.assertEqual(other.call("list-br")["result"]["bridges"], ["br0"])
        self.libvirtd.send_signal(signal.SIGCONT)
        answer = waiting.read()
        self.assertEqual(answer["id"], 1)
        self.assertIn("there is no domain 'd'", answer["error"]["message"])
        self.assertEqual(answer["error"]["data"]["errno"], "ENOENT")
        self.assertEqual(waiting.read()["result"]["bridges"], ["br0"])

    def test_stop_while_libvirtd_hangs(self):
        self.start_both()
        self.libvirtd.send_signal(signal.SIGSTOP)
        waiting = self.connect()
        waiting.send(waiting.request("attach-vm", bridge="br0", domain="d"))
        other = self.connect()
        self.assertIn("result", other.call("list-br"))
        self.stop()
        self.assertIn("stops", waiting.read()["error"]["message"])

    def test_without(self):
        self.start("--no-libvirt")
        self.ctl("add-br", "br0", "local=no")
        self.assertNotIn("libvirt", self.json("show"))
        self.refused("attach-vm", "br0", "d", says="--no-libvirt")
        self.assertEqual(self.json("list-vms")["vms"], [])
        self.stop()
        # nobody there
        self.start()
        self.wait_connected(False)
        self.refused("attach-vm", "br0", "d", says="there is no connection to libvirt")
        self.assertEqual(self.read_log().count("not connected to"), 1)

    def test_unsupported_driver(self):
        """libvirt refuses the interface: nothing stays behind."""
        self.start_both()
        self.define(domain("d", head=MEMORY))
        self.refused("attach-vm", "br0", "d", "tag=5", says="not supported")
        self.assertEqual(self.ports(), {})
        self.assertNotIn("add-port", self.export())
        self.assertFalse(os.path.exists(self.rundir + "/br0"))


@unittest.skipUnless(QEMU and QEMU_DRIVER, "there is no QEMU or no driver for it (apt-get install "
                     "qemu-system-x86 libvirt-daemon-driver-qemu)")
class Attaching(LibvirtTest):
    """attach-vm and detach-vm, on domains that are defined."""

    driver = "qemu+unix:///session"

    def define_vm(self, name="web1", head=MEMORY, interfaces=""):
        self.define(domain(name, interfaces, kind="qemu", head=head))

    def xml(self, name="web1"):
        return self.virsh("dumpxml", "--inactive", name).stdout

    def test_attach_and_detach(self):
        self.start_both()
        self.define_vm()
        answer = self.json("attach-vm", "br0", "web1", "tag=5", "queues=2", "mtu=1600")
        self.assertEqual((answer["port"], answer["domain"]), ("br0-web1", "web1"))
        xml = self.xml()
        for text in (answer["mac"], self.socket("br0-web1"), "queues='2'", "size='1600'",
                     "mode='client'", "<reconnect enabled='yes'"):
            self.assertIn(text, xml)
        port = self.ports()["br0-web1"]
        self.assertEqual(port["options"]["tag"], "5")
        self.assertEqual((port["domain"], port["mac"]), ("web1", answer["mac"]))
        self.assertEqual(port["ofport"], answer["ofport"])
        # again: what differs is changed, what cannot is refused
        again = self.json("attach-vm", "br0", "web1", "tag=6")
        self.assertEqual(again["port"], "br0-web1")
        self.assertEqual(self.ports()["br0-web1"]["options"]["tag"], "6")
        self.refused("attach-vm", "br0", "web1", "queues=4", says="detach-vm first")
        self.refused("attach-vm", "br0", "web1", "mac=52:54:00:00:00:99", says="detach-vm first")
        self.assertEqual(self.xml().count("<interface"), 1)
        # it is configured, and does not go with the domain
        self.restart()
        self.wait_connected()
        self.assertEqual(self.ports()["br0-web1"]["ofport"], answer["ofport"])
        self.ctl("detach-vm", "br0", "web1")
        self.assertEqual(self.ports(), {})
        self.assertNotIn("<interface", self.xml())
        self.refused("detach-vm", "br0", "web1", says="no port for domain web1")
        self.ctl("detach-vm", "--if-exists", "br0", "web1")

    def test_two_bridges_and_an_uuid(self):
        self.start_both()
        self.ctl("add-br", "br1", "local=no")
        self.define_vm()
        uuid = self.virsh("domuuid", "web1").stdout.strip()
        first = self.json("attach-vm", "br0", uuid)
        second = self.json("attach-vm", "br1", "web1", "mac=52:54:00:AA:BB:CC")
        self.assertEqual(first["port"], "br0-web1")
        self.assertEqual(second["mac"], "52:54:00:aa:bb:cc")
        self.assertNotEqual(first["mac"], second["mac"])
        self.assertEqual(self.xml().count("<interface"), 2)
        self.refused("attach-vm", "br1", "web1", "mac=52:54:00:00:00:01", says="detach-vm first")
        self.ctl("detach-vm", "br0", uuid)
        self.assertEqual(self.xml().count("<interface"), 1)

    def test_refusals(self):
        self.start_both()
        self.define_vm(head="")
        self.refused("attach-vm", "br0", "web1", says=MEMORY)
        self.refused("attach-vm", "br0", "web2", says="did you mean 'web1'?")
        self.refused("attach-vm", "br9", "web1", says="no bridge 'br9'")
        self.virsh("undefine", "web1")
        self.define_vm()
        for words, says in ((["queues=0"], "queues=0"), (["queues=17"], "from 1 to 16"),
                            (["mac=nonsense"], "unicast MAC"), (["tag=5000"], "tag=5000"),
                            (["bogus=1"], "bogus"), (["mode=client"], "mode="),
                            (["ofport_request=0"], "ofport_request=0")):
            self.refused("attach-vm", "br0", "web1", *words, says=says)
        self.misused("attach-vm", "br0")
        self.assertEqual(self.ports(), {})
        self.assertNotIn("<interface", self.xml())

    def test_address_is_taken(self):
        self.start_both()
        self.define_vm(interfaces=interface("/elsewhere.sock", "52:54:00:00:00:01"))
        self.refused("attach-vm", "br0", "web1", "mac=52:54:00:00:00:01", says="choose another")
        self.assertEqual(self.ports(), {})

    def test_interface_went_by_hand(self):
        """Somebody else unplugged it, or undefined the domain."""
        self.start_both()
        self.define_vm()
        mac = self.json("attach-vm", "br0", "web1")["mac"]
        self.virsh("detach-interface", "web1", "vhostuser", "--mac", mac, "--config")
        self.assertNotIn("<interface", self.xml())
        self.assertEqual(self.json("attach-vm", "br0", "web1")["mac"], mac)  # plugged in again
        self.assertIn(mac, self.xml())
        self.virsh("undefine", "web1")
        self.assertIn("br0-web1", self.ports())
        self.ctl("detach-vm", "br0", "web1")
        self.assertEqual(self.ports(), {})

    def test_followed_and_config_only(self):
        """What has no event, a change of the next start alone, is noticed too."""
        self.start_both()
        self.define_vm()
        device = self.write("device.xml", interface(self.socket("extra"), "52:54:00:00:00:05"))
        self.virsh("attach-device", "web1", device, "--config")
        self.wait_ports("extra")
        self.refused("detach-vm", "br0", "web1", says="it follows domain web1")
        self.virsh("detach-device", "web1", device, "--config")
        self.wait_ports()


    def test_example(self):
        """The domain in examples/ does what it says, here below our rundir and without KVM."""
        self.start_both()
        self.ctl("add-br", "br1", "local=no")
        with open(os.path.join(SOURCE, "examples/vm.xml"), encoding="utf-8") as f:
            text = f.read()
        self.define(text.replace("/run/vswitch", self.rundir).replace("'kvm'", "'qemu'"))
        self.wait_ports("web1")
        self.wait_ports("web1-admin", bridge="br1")
        self.assertEqual(self.ports()["web1"]["options"]["queues"], "2")
        self.assertEqual(self.ports("br1")["web1-admin"]["options"]["tag"], "10")
        self.assertEqual(self.ports("br1")["web1-admin"]["options"]["mode"], "client")

    def check_vm(self, *args):
        """The findings of vm-check, which fails when there are problems."""
        result = self.run_ctl("--json", "vm-check", *args)
        answer = json.loads(result.out)
        self.assertEqual(result.status, int(answer["problems"] > 0), result)
        return [(f["level"], f["text"], f.get("xml", "")) for f in answer["findings"]]

    def test_check(self):
        """What keeps a VM from its network, step by step."""
        self.start_both()
        self.define_vm(head="")
        self.refused("vm-check", "web2", says="did you mean 'web1'?")
        findings = self.check_vm("web1")
        self.assertEqual([level for level, _, _ in findings], ["problem"] * 3)
        self.assertIn("virsh start web1", findings[0][1])
        self.assertIn("attach-vm BRIDGE web1", findings[1][1])
        self.assertEqual(findings[2][2], MEMORY)
        text = self.run_ctl("vm-check", "web1")
        self.assertEqual(text.err, "vswitchctl: domain web1: 3 problems\n")
        self.assertIn("    " + MEMORY + "\n", text.out)
        self.virsh("undefine", "web1")
        self.define_vm(interfaces=interface(self.path("x.sock"), "52:54:00:00:00:01") +
                       interface(self.socket("p", "br7"), "52:54:00:00:00:02") +
                       interface(self.socket("q"), "52:54:00:00:00:03"))
        self.wait_ports("q")
        findings = self.check_vm("web1")
        said = "\n".join(f"{level}: {text} {xml}" for level, text, xml in findings)
        self.assertIn("problem: it is not running", said)
        self.assertIn("bridge='BRIDGE' mac='52:54:00:00:00:01'", said)
        self.assertIn("there is no bridge br7: add-br br7", said)
        self.assertIn("<reconnect enabled='yes'", said)
        self.assertIn("ok: port q of br0 waits for it: listening", said)
        # a port made by hand for the same socket, which listens on the same side as QEMU
        self.ctl("add-port", "br0", "hand", "type=vhost-user", "mode=client",
                 "path=" + self.path("x.sock"))
        said = "\n".join(text for _, text, _ in self.check_vm("web1"))
        self.assertIn("both sides connect", said)


if __name__ == "__main__":
    if not LIBVIRTD or not VIRSH:
        print("skipped: there is no libvirtd or no virsh (apt-get install libvirt-daemon "
              "libvirt-clients)")
        sys.exit(77)
    harness.main()
