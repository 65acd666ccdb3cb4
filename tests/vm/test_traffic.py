#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Two guests and a container on a bridge: what they send arrives, with every offload on."""

import os
import re
import time

from bed import BRIDGE, Container, addresses_of, check_content, mac_of, new_guest, socket_of, stream
from guest import NIC
from world import ROOT, Failure, check, main, scenario, wait_for

OFFLOADS = ("rx-checksumming", "tx-checksumming", "tcp-segmentation-offload",
            "tx-tcp6-segmentation", "scatter-gather", "rx-gro-hw")


class Bed:
    def __init__(self, world):
        self.host = host = world.add_host("host")
        host.start_libvirt()
        host.start_switch("--workers", "2", "--cores", "none")
        host.ctl("add-br", BRIDGE, "local=no")
        self.vm1 = new_guest(host, 1)
        # two processors and two queue pairs of long packed rings; QEMU is the one that listens
        self.vm2 = new_guest(host, 2, mode="client", cpus=2, queues=2, machine="q35",
                             driver="packed='on' rx_queue_size='1024' tx_queue_size='1024'")
        self.guests = [self.vm1, self.vm2]
        for guest in self.guests:
            guest.start()
        self.c1 = Container(host, "c1", *addresses_of(11))
        for guest in self.guests:
            guest.ready()
            guest.set_up(*addresses_of(guest.number))


@scenario("guests and a container ping each other")
def ping(bed):
    bed.vm1.ping("192.0.2.2")
    bed.vm2.ping("2001:db8::1")
    bed.vm1.ping("192.0.2.2", size=1472)
    bed.vm1.ping("192.0.2.2", size=20000)
    bed.c1.ping("192.0.2.1")
    bed.vm2.ping("2001:db8::b")


@scenario("all offloads are on in the guests")
def offloads(bed):
    for guest in bed.guests:
        features = guest.run("ethtool -k eth0")
        for name in OFFLOADS:
            check(f"{name}: on" in features, f"{guest}: {name} is off:\n{features}")


def average_sizes(bed, port, server, client, address, options):
    """Bytes a packet that the port received and sent during a stream."""
    before = bed.host.counters(port)
    stream(server, client, address, options)
    after = bed.host.counters(port)

    def average(way):
        return ((after[f"{way}_bytes"] - before[f"{way}_bytes"]) /
                (after[f"{way}_packets"] - before[f"{way}_packets"]))
    return average("rx"), average("tx")


@scenario("TCP guest to guest both ways, 64 KiB packets cross whole")
def tcp_guests(bed):
    for options in ("-n 32M", "-n 32M -R"):
        rx, tx = average_sizes(bed, "vm1", bed.vm2, bed.vm1, "192.0.2.2", options)
        largest = tx if "-R" in options else rx
        check(largest > 5000, f"iperf3 {options}: packets are cut: {rx:.0f} bytes a packet from "
              f"vm1, {tx:.0f} to it")
        print(f"  {largest:.0f} bytes a packet")


@scenario("TCP guest to guest over IPv6, packets cross whole")
def tcp_guests_v6(bed):
    rx, _ = average_sizes(bed, "vm1", bed.vm2, bed.vm1, "2001:db8::2", "-n 16M")
    check(rx > 5000, f"packets are cut: {rx:.0f} bytes a packet")


@scenario("TCP guest to container both ways")
def tcp_container(bed):
    """Whole, too: but what comes from a container on an AF_XDP port is cut by its kernel."""
    for options in ("-n 32M", "-n 32M -R"):
        rx, tx = average_sizes(bed, "vm1", bed.c1, bed.vm1, "192.0.2.11", options)
        largest = tx if "-R" in options else rx
        print(f"  {largest:.0f} bytes a packet")
        if "-R" not in options or bed.c1.type() != "afxdp":
            check(largest > 5000, f"iperf3 {options}: packets are cut: {rx:.0f} bytes a packet "
                  f"from vm1, {tx:.0f} to it")
    stream(bed.c1, bed.vm2, "2001:db8::b")


@scenario("a stream's content arrives intact, guests and container")
def content(bed):
    check_content(bed.vm1, bed.vm2, "192.0.2.2")
    check_content(bed.vm2, bed.vm1, "2001:db8::1")
    check_content(bed.vm1, bed.c1, "192.0.2.11")
    check_content(bed.c1, bed.vm2, "192.0.2.2")


@scenario("a card without offloads gets segments and finished checksums")
def no_offloads(bed):
    """It is plugged in for that: what it negotiates is in its XML."""
    off = "csum='off' tso4='off' tso6='off' ecn='off' ufo='off'"
    bed.host.ctl("add-port", BRIDGE, "plain", "type=vhost-user", f"path={socket_of('plain')}")
    path = f"{ROOT}/plain.xml"
    with open(path, "w", encoding="utf-8") as out:
        out.write(NIC.format(mac=mac_of(3), path=socket_of("plain"), mode="client", reconnect="",
                             driver=f"><host {off} gso='off'/><guest {off}/></driver>"))
    bed.host.virsh("attach-device", "vm1", path, "--live")
    wait_for("vm1 sees the card", lambda: bed.vm1.status("[ -e /sys/class/net/eth1 ]") == 0)
    bed.vm1.set_up("198.51.100.1/24", device="eth1")
    bed.vm2.run("ip addr add 198.51.100.2/24 dev eth0")
    before = bed.host.counters("plain")
    check_content(bed.vm2, bed.vm1, "198.51.100.1")
    check_content(bed.vm1, bed.vm2, "198.51.100.2")
    after = bed.host.counters("plain")
    for way in ("rx", "tx"):
        size = ((after[f"{way}_bytes"] - before[f"{way}_bytes"]) /
                (after[f"{way}_packets"] - before[f"{way}_packets"]))
        check(size < 1515, f"{way}: {size:.0f} bytes a packet at a card that takes no GSO")
    bed.vm2.run("ip addr del 198.51.100.2/24 dev eth0")
    bed.host.virsh("detach-device", "vm1", path, "--live")
    wait_for("the card is gone", lambda: bed.vm1.status("[ ! -e /sys/class/net/eth1 ]") == 0)
    bed.host.ctl("del-port", BRIDGE, "plain")


@scenario("both queue pairs of a guest carry traffic")
def multiqueue(bed):
    def packets(way):
        return [int(n) for n in re.findall(rf"\b{way}_queue_\d+_packets: (\d+)",
                                           bed.vm2.run("ethtool -S eth0"))]
    channels = bed.vm2.run("ethtool -l eth0")
    check(channels.count("Combined:\t2") >= 1, channels)
    bed.vm2.run("ethtool -L eth0 combined 2")
    before = {way: packets(way) for way in ("rx", "tx")}
    # a worker sends to a queue of its own, and the container has another one than vm1
    for peer, address in ((bed.vm1, "192.0.2.1"), (bed.c1, "192.0.2.11")):
        for options in ("-n 4M", "-n 4M -R"):
            stream(bed.vm2, peer, "192.0.2.2", options)
        # the guest sends to the queue of the processor
        for processor in (1, 2):
            bed.vm2.run(f"taskset {processor} ping -q -c 2 -i 0.1 {address}")
    for way, old in before.items():
        new = packets(way)
        check(len(new) == 2 and all(n > o for n, o in zip(new, old)),
              f"{way}: packets of the queues {old}, then {new}")
        print(f"  {way}: {[n - o for n, o in zip(new, old)]} packets by queue")
    # one queue alone, and two again
    for count in (1, 2):
        bed.vm2.run(f"ethtool -L eth0 combined {count}")
        bed.vm1.ping("192.0.2.2")
        stream(bed.vm2, bed.vm1, "192.0.2.2", "-n 4M")


@scenario("VLAN tags on ports part guests and join them")
def vlans(bed):
    host = bed.host
    try:
        host.ctl("set-port", BRIDGE, "vm1", "tag=10")
        check(not bed.vm1.answers_from("192.0.2.2"), "vm2 answers across VLANs")
        host.ctl("set-port", BRIDGE, "vm2", "tag=10")
        bed.vm1.ping("192.0.2.2")
        stream(bed.vm2, bed.vm1, "192.0.2.2", "-n 4M")
        check(not bed.c1.answers_from("192.0.2.1"), "the container answers across VLANs")
    finally:
        for port in ("vm1", "vm2"):
            host.ctl("set-port", BRIDGE, port, "tag=")
    bed.c1.ping("192.0.2.1")


@scenario("rules act on guests' packets")
def rules(bed):
    host = bed.host
    host.ctl("add-flow", BRIDGE, "priority=0,actions=normal")
    rule = "priority=9,in_port=vm1,icmp,icmp_type=8,actions=drop"
    bed.vm1.ping("192.0.2.2")
    host.ctl("add-flow", BRIDGE, rule)
    sent = 5
    bed.vm1.run(f"ping -q -c {sent} -i 0.1 -W 1 192.0.2.2; true")
    shown = host.ctl("dump-flows", BRIDGE, "in_port=vm1,icmp")
    host.ctl("del-flows", BRIDGE, "in_port=vm1")
    check(f"n_packets={sent}," in shown, f"{sent} pings dropped, counted: {shown}")
    bed.vm1.ping("192.0.2.2")


@scenario("jumbo frames cross whole")
def jumbo(bed):
    for guest in bed.guests:
        guest.run("ip link set eth0 mtu 9000")
    try:
        before = bed.host.counters("vm2")["tx_packets"]
        bed.vm1.ping("192.0.2.2", count=5, size=8972)
        sent = bed.host.counters("vm2")["tx_packets"] - before
        check(sent < 10, f"5 pings of 9000 bytes took {sent} packets")
        check_content(bed.vm1, bed.vm2, "192.0.2.2")
    finally:
        for guest in bed.guests:
            guest.run("ip link set eth0 mtu 1500")


@scenario("a driver that is unloaded and loaded again, under traffic")
def reload_driver(bed):
    flood = bed.c1.background("ping -q -f -w 20 192.0.2.1")
    for _ in range(2):
        bed.vm1.run("rmmod virtio_net && insmod /lib/modules/virtio_net.ko")
        bed.vm1.set_up(*addresses_of(1))
        bed.vm2.ping("192.0.2.1")
    flood.stop()
    stream(bed.vm1, bed.vm2, "192.0.2.1", "-n 4M")


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


@scenario("idle guests cost no worker's time")
def idle(bed):
    """At most a percent of a core in one of three tries: guests speak by themselves now and then."""
    percents = []
    for _ in range(3):
        before = cpu_ticks(bed.host.switch.pid)
        time.sleep(2)
        percents.append((cpu_ticks(bed.host.switch.pid) - before) * 100 /
                        os.sysconf("SC_CLK_TCK") / 2)
        if percents[-1] <= 1:
            print(f"  {percents[-1]:.1f} % of a core")
            return
    raise Failure(f"vswitchd takes {percents} % of a core while guests are idle")


@scenario("a port goes and comes back under a running guest")
def port_again(bed):
    """With split rings: of packed ones QEMU cannot tell a new back end where they stand."""
    bed.host.ctl("del-port", BRIDGE, "vm1")
    check(not bed.vm2.answers_from("192.0.2.1"), "vm1 answers without a port")
    bed.host.ctl("add-port", BRIDGE, "vm1", "type=vhost-user", f"path={socket_of('vm1')}")
    wait_for("vm1 is back", lambda: bed.vm2.answers_from("192.0.2.1"), 20)
    stream(bed.vm1, bed.vm2, "192.0.2.1", "-n 4M")


@scenario("packets in are packets out and counted drops")
def balance(bed):
    bed.host.check_balance()


main(Bed)
