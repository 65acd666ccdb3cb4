# SPDX-License-Identifier: BSD-2-Clause
"""What is measured: each class sets one switch up between g1 and s0 of a lab, on the lab's core.

start() returns when the contender forwards. There is no stop(): whatever it started or made lives in
the lab, and goes with it. Each carries out the same task where it can: UDP frames from 198.18.0.0/15
to one port that come in at g1 leave at s0; what else there is (ARP and the like) may be dropped.
`peers` names the Debian packages that it needs, `process` is where packets are switched, if that is
a process.
"""

import os
import time

from lab import BenchError, run, succeeds, wait_for

RULE = "priority=10,udp,in_port={port_in},nw_src=198.18.0.0/15,tp_dst=5001,actions=output:{port_out}"
OVS_SHARE = "/usr/share/openvswitch"
OVS_PLAIN = "/usr/lib/openvswitch-switch/ovs-vswitchd"
OVS_DPDK = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
DPDK_MEMORY = 1024  # MiB


class Redirect:
    """A bare XDP program on g1 that redirects everything to s0, in a thread on the contender's core.
    What comes of it depends on how well the two cores happen to work hand in hand: at times it is
    fast and drops half of what the generator makes, at times every frame is a wake-up."""

    name = "xdp-redirect"
    peers = ()
    process = None

    def start(self, lab):
        program = lab.start([lab.tools.trafficgen, "forward", "--tx", "g1", "--rx", "s0",
                             "--core", str(lab.core), "--seconds", "300"])
        program.wait_log("ready")
        lab.use_napi_thread("g1")


class RedirectInPlace(Redirect):
    """The same on the core where frames are received, the generator's, as tier 0 of ours works: what
    that may be compared to, the least that any program does there."""

    name = "xdp-redirect-in-place"

    def start(self, lab):
        program = lab.start([lab.tools.trafficgen, "forward", "--tx", "g1", "--rx", "s0",
                             "--core", str(lab.core), "--seconds", "300"])
        program.wait_log("ready")


class Bridge:
    """The kernel's bridge. It works in softirq where frames are received, that is on the generator's
    core as everybody's receive path does; a NAPI thread on our core was slower. The destination is
    known, nothing floods. It looks at addresses only, not at ports."""

    name = "bridge"
    peers = ()
    process = None

    def start(self, lab):
        lab.inner(["ip", "link", "add", "br0", "type", "bridge"])
        for port in ("g1", "s0"):
            lab.inner(["ip", "link", "set", port, "master", "br0"])
        lab.inner(["ip", "link", "set", "br0", "up"])
        lab.inner(["bridge", "fdb", "add", lab.mac("s1"), "dev", "s0", "master", "static"])
        wait_for("bridge port forwarding", lambda: "state forwarding" in lab.inner(
            ["bridge", "-d", "link", "show", "dev", "s0"]))


class Testpmd:
    """DPDK's test program in io mode: frames are passed on unseen."""

    name = "testpmd"
    peers = ("dpdk-dev", "librte-net-af-xdp23", "librte-mempool-ring23")
    options = ""

    def start(self, lab):
        cores = f"0@{lab.generator_core},1@{lab.core}"
        self.process = lab.start(
            ["stdbuf", "-oL", "dpdk-testpmd", f"--lcores={cores}", "--no-huge", "-m", str(DPDK_MEMORY), "--no-pci",
             "--no-telemetry",
             "--vdev", f"net_af_xdp0,iface=g1{self.options}",
             "--vdev", f"net_af_xdp1,iface=s0{self.options}",
             "--", "--forward-mode=io", "--auto-start", "--nb-cores=1", "--burst=32"],
            pinned=False, settings={"RUNTIME_DIRECTORY": lab.dir})
        self.process.wait_log("Press enter to exit", timeout=60)


class TestpmdNoBusyPoll(Testpmd):
    """The same without preferred busy polling, which does not help on every driver."""

    name = "testpmd-nobp"
    options = ",busy_budget=0"


class Ovs:
    """A private Open vSwitch in a folder of its own: database, sockets and logs. Base of those below."""

    peers = ("openvswitch-switch",)
    daemon = OVS_PLAIN

    def start_daemon(self, lab, settings):
        self.lab = lab
        self.dir = os.path.join(lab.dir, "ovs")
        os.mkdir(self.dir)
        database = f"{self.dir}/conf.db"
        self.socket = f"unix:{self.dir}/db.sock"
        self.settings = {name: self.dir for name in ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR")}
        run(["ovsdb-tool", "create", database, f"{OVS_SHARE}/vswitch.ovsschema"])
        self.server = lab.start(
            ["ovsdb-server", database, f"--remote=p{self.socket}",
             f"--unixctl={self.dir}/db.ctl"], pinned=False, settings=self.settings)
        wait_for("ovsdb-server's socket", lambda: self.server.check() and
                 os.path.exists(f"{self.dir}/db.sock"))
        self.vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".", *settings)
        self.launch()
        wait_for("ovs-vswitchd's socket", lambda: self.process.check() and
                 os.path.exists(f"{self.dir}/vs.ctl"), timeout=60)

    def launch(self):
        """Start the daemon that switches, at first or again."""
        self.process = self.lab.start(
            [self.daemon, self.socket, f"--unixctl={self.dir}/vs.ctl"],
            pinned=False, settings=self.settings)

    def vsctl(self, *words):
        return self.lab.inner(["ovs-vsctl", f"--db={self.socket}", "--timeout=20", *words],
                              timeout=90, settings=self.settings)

    def ofctl(self, *words):
        return self.lab.inner(["ovs-ofctl", *words], timeout=120, settings=self.settings)

    def appctl(self, *words):
        return self.lab.inner(["ovs-appctl", "-t", f"{self.dir}/vs.ctl", *words],
                              settings=self.settings)

    def add_bridge(self):
        self.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev",
                   "fail_mode=secure")

    def add_typed_port(self, port, kind, *options):
        self.vsctl("add-port", "br0", port, "--", "set", "interface", port, f"type={kind}",
                   *options)
        error = self.vsctl("get", "interface", port, "error").strip()
        if error not in ("[]", '""'):
            raise BenchError(f"OVS port {port}: {error}")


class OvsAfxdp(Ovs):
    """Open vSwitch's user-space datapath on AF_XDP ports, one polling thread."""

    name = "ovs-afxdp"

    def start(self, lab):
        self.start_ports(lab, ("g1", "s0"))
        self.ofctl("add-flow", "br0", RULE.format(port_in=1, port_out=2))

    def add_flows(self, path):
        self.ofctl("add-flows", "br0", path)

    def cached_flows(self):
        flows = self.appctl("dpctl/dump-flows", "netdev@ovs-netdev").splitlines()
        return len(flows) - 1  # without the heading

    def start_ports(self, lab, ports):
        self.start_daemon(lab, [f"other_config:pmd-cpu-mask={1 << lab.core:#x}"])
        self.add_bridge()
        for port in ports:
            self.add_port(port)

    def add_port(self, port):
        self.add_typed_port(port, "afxdp", "options:n_rxq=1")


class OvsDpdk(Ovs):
    """OVS-DPDK between a pcap file, replayed for ever from memory, and a port that swallows: all cycles
    of the polling thread are receiving one copy from memory, classifying, and handing over."""

    name = "ovs-dpdk"
    peers = ("openvswitch-switch-dpdk", "librte-net-pcap23", "librte-net-null23",
             "librte-mempool-ring23")
    daemon = OVS_DPDK

    def start(self, lab, pcap, rules):
        self.start_daemon(lab, [
            f"other_config:pmd-cpu-mask={1 << lab.core:#x}", "other_config:dpdk-init=true",
            f"other_config:dpdk-lcore-mask={1 << lab.generator_core:#x}",
            f'other_config:dpdk-extra="--no-huge --legacy-mem --no-pci -m {2 * DPDK_MEMORY}"'])
        self.add_bridge()
        self.ofctl("add-flows", "br0", rules)
        self.add_typed_port("p2", "dpdk", "ofport_request=2",
                            "options:dpdk-devargs=net_null0,no-rx=1")
        self.add_typed_port("p1", "dpdk", "ofport_request=1",
                            f"options:dpdk-devargs=net_pcap0,rx_pcap={pcap},infinite_rx=1")

    def counters(self):
        """The polling thread's statistics since they were last cleared: a dictionary of numbers."""
        text = self.appctl("dpif-netdev/pmd-stats-show").split("main thread")[0]
        pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
        return {name.strip(): float(value.split()[0]) for name, value in pairs
                if value.strip()[:1].isdigit()}

    def wait_warm(self, timeout=90):
        """Until nearly all packets hit a cache."""
        def warm():
            self.appctl("dpif-netdev/pmd-stats-clear")
            time.sleep(1)
            counters = self.counters()
            return counters["miss with success upcall"] < counters["packets received"] / 1e4
        wait_for("OVS's caches filled", warm, timeout)

    def cycles(self, seconds):
        """Cycles a packet over some seconds."""
        self.appctl("dpif-netdev/pmd-stats-clear")
        time.sleep(seconds)
        return self.counters()["avg cycles per packet"]


class Vswitchd:
    """Our own. Hot flows are carried out by its XDP program, on the core where frames are received."""

    name = "vswitchd"
    peers = ()
    arguments = ()
    port_type = "afxdp"

    def start(self, lab):
        self.start_ports(lab, ("g1", "s0"))
        self.ctl("add-flow", "br0", RULE.format(port_in="g1", port_out="s0"))

    def start_ports(self, lab, ports):
        self.start_daemon(lab)
        self.ctl("add-br", "br0")
        for port in ports:
            self.add_port(port)

    def add_port(self, port):
        self.ctl("add-port", "br0", port, f"type={self.port_type}")

    def start_daemon(self, lab):
        self.lab = lab
        self.dir = os.path.join(lab.dir, "vs")
        os.mkdir(self.dir)
        for tool in (lab.tools.vswitchd, lab.tools.vswitchctl):
            if not os.path.exists(tool):
                raise BenchError(f"{tool}: not built")
        self.launch()
        wait_for("vswitchd's answer", lambda: self.process.check() and
                 succeeds(self.command("list-br")), timeout=20)

    def launch(self):
        """Start the daemon, at first or again."""
        self.process = self.lab.start(
            [self.lab.tools.vswitchd, "--foreground", "--rundir", self.dir, "--statedir", self.dir,
             "--workers", "1", "--cores", str(self.lab.core), *self.arguments], pinned=False)

    def command(self, *words):
        return self.lab.within(self.lab.inside,
                               [self.lab.tools.vswitchctl, "--rundir", self.dir, *words])

    def ctl(self, *words):
        return run(self.command(*words), timeout=120)

    def add_flows(self, path):
        self.ctl("add-flows", "br0", path)

    def cached_flows(self):
        return len(self.ctl("dump-cache").splitlines()) - 1  # without the heading


class VswitchdUser(Vswitchd):
    """Our own without the kernel's tier: all packets pass through user space."""

    name = "vswitchd-user"
    arguments = ("--kernel-tier", "off")


FORWARDING = (Vswitchd, VswitchdUser, OvsAfxdp, Testpmd, TestpmdNoBusyPoll, Bridge, Redirect,
              RedirectInPlace)
