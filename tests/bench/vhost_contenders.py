# SPDX-License-Identifier: BSD-2-Clause
"""What is measured between guests: each class sets up a switch with vhost-user ports.

The guests are made by a generator (vhost.py), which owns the sockets; each contender connects to
them as client. So the switch stands first, and connects when the generator comes. start() takes the
socket paths and returns when the switch waits for them. Frames that come in by one of the first two
ports and are UDP over IPv4 or TCP leave by the other one.

DPDK programs get huge pages for the time of the run, for they are meant to be used so. The guests'
memory is plain memory, and our own needs no huge pages.
"""

import contenders
from lab import BenchError

RULE = "priority=10,{proto},in_port={port_in},actions=output:{port_out}"
PROTOCOLS = ("udp", "tcp")
HUGE_COUNT = "/proc/sys/vm/nr_hugepages"
HUGE_MIB = 2
PEER_MIB = 1024  # memory of a DPDK program


def change_hugepages(number):
    """Reserve so many more huge pages, or fewer; returns how many that were in the end."""
    with open(HUGE_COUNT, "r+") as count:
        before = int(count.read())
        count.seek(0)
        count.write(str(before + number))
    with open(HUGE_COUNT) as count:
        return int(count.read()) - before


def lend_hugepages(lab, mib):
    """A hugetlbfs mount in the lab with pages reserved for it, which goes with it; its folder."""
    wanted = mib // HUGE_MIB
    taken = change_hugepages(wanted)
    lab.stack.callback(change_hugepages, -taken)
    if taken < wanted:
        raise BenchError(f"{mib} MiB of huge pages: the kernel gives only {taken * HUGE_MIB}")
    return lab.mount("hugetlbfs", "huge", ["-o", f"size={mib}M"])


def rules(names):
    """The rules between the first two of these ports."""
    return [RULE.format(proto=proto, port_in=names[a], port_out=names[b])
            for proto in PROTOCOLS for a, b in ((0, 1), (1, 0))]


class Testpmd:
    """dpdk-testpmd with its vhost ports, in io mode: frames are passed on unseen."""

    name = "testpmd"
    peers = ("dpdk-dev", "librte-net-vhost23", "librte-net-virtio23", "librte-mempool-ring23")

    takes_tso = False

    def start(self, lab, sockets, device=None):
        huge = lend_hugepages(lab, PEER_MIB)
        devices = ["--vdev", f"net_af_xdp0,iface={device}"] if device else []
        devices += [word for number, path in enumerate(sockets)
                   for word in ("--vdev", f"net_vhost{number},iface={path},client=1")]
        self.process = lab.start(
            ["stdbuf", "-oL", "dpdk-testpmd", f"--lcores=0@{lab.generator_core},1@{lab.core}",
             "--in-memory", f"--huge-dir={huge}", "-m", str(PEER_MIB), "--no-pci", "--no-telemetry",
             *devices, "--", "--forward-mode=io", "--auto-start", "--nb-cores=1", "--burst=32",
             "--total-num-mbufs=65536"],
            pinned=False, settings={"RUNTIME_DIRECTORY": lab.dir}, name="testpmd")
        self.process.wait_log("Press enter to exit", timeout=60)


class OvsDpdk(contenders.Ovs):
    """Open vSwitch with DPDK's vhost ports, one polling thread; every packet hits its first cache."""

    name = "ovs-dpdk"
    peers = ("openvswitch-switch-dpdk", "librte-mempool-ring23")
    daemon = contenders.OVS_DPDK
    settings = ()
    takes_tso = False

    def start(self, lab, sockets, device=None):
        self.start_ports(lab, sockets)
        if device:
            self.add_typed_port(device, "afxdp", "ofport_request=2", "options:n_rxq=1")
        for rule in rules((1, 2)):
            self.ofctl("add-flow", "br0", rule)

    def start_ports(self, lab, sockets):
        huge = lend_hugepages(lab, PEER_MIB)
        self.start_daemon(lab, [
            f"other_config:pmd-cpu-mask={1 << lab.core:#x}", "other_config:dpdk-init=true",
            "other_config:emc-insert-inv-prob=1",
            f"other_config:dpdk-lcore-mask={1 << lab.generator_core:#x}",
            f'other_config:dpdk-extra="--in-memory --huge-dir={huge} --no-pci -m {PEER_MIB}"',
            *self.settings])
        self.add_bridge()
        for number, path in enumerate(sockets):
            self.add_typed_port(f"p{number + 1}", "dpdkvhostuserclient",
                                f"ofport_request={number + 1}", f"options:vhost-server-path={path}")


class OvsDpdkTso(OvsDpdk):
    """The same with userspace-tso, which an administrator has to ask for."""

    name = "ovs-dpdk-tso"
    settings = ("other_config:userspace-tso-enable=true",)
    takes_tso = True


class Bare:
    """Our library's rings with a wire between them, and no switch: how far they reach."""

    name = "rings"
    peers = ()

    def start(self, lab, sockets):
        self.process = lab.start([lab.tools.vhost_forward, *sockets, "client"])


class Vswitchd(contenders.Vswitchd):
    """Our own."""

    takes_tso = True

    def start(self, lab, sockets, device=None):
        self.start_sockets(lab, sockets)
        if device:
            self.ctl("add-port", "br0", device, "type=afxdp")
        for rule in rules(("p1", device or "p2")):
            self.ctl("add-flow", "br0", rule)

    def start_sockets(self, lab, sockets):
        self.start_daemon(lab)
        self.ctl("add-br", "br0")
        for number, path in enumerate(sockets):
            self.ctl("add-port", "br0", f"p{number + 1}", "type=vhost-user", "mode=client",
                     f"path={path}")