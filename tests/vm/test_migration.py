#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Live migration under traffic between two hosts, each with a libvirtd and a switch of its own, which a
cable joins. The guest keeps its address and its connections; the memory that the switch wrote while it was
copied arrives with it (the dirty log), and nothing is lost but what the switch-over itself takes."""

import re

from bed import (BRIDGE, Container, addresses_of, check_sum, mac_of, make_data, receive, send_slowly)
from guest import Guest
from world import ROOT, Failure, check, main, run, scenario, wait_for

SOCKET = f"{ROOT}/migration.sock"
PORT = f"{BRIDGE}-vm1"
PING_INTERVAL = 0.05
DOWNTIME_MS = 500  # for which QEMU may stop the guest, as far as it can tell ahead
NOTICE_MS = 500  # for the switches to notice where the guest is
STREAM_SECONDS = 8  # longer than a migration
MIB_A_SECOND = 40  # slow enough that pages are written again while others are copied


class Bed:
    def __init__(self, world):
        self.hosts = [world.add_host(name) for name in ("left", "right")]
        for host in self.hosts:
            host.start_libvirt()
            host.start_switch("--workers", "1", "--cores", "none")
            host.ctl("add-br", BRIDGE, "local=no")
        left, right = self.hosts
        run(["ip", "link", "add", "cable", "netns", str(left.holder.pid), "type", "veth",
             "peer", "name", "cable", "netns", str(right.holder.pid)])
        for host in self.hosts:
            host.run("ip", "link", "set", "cable", "up")
            host.ctl("add-port", BRIDGE, "cable", "type=packet")
        self.vm = Guest(left, "vm1")
        self.vm.define()
        wait_for("the switch knows the domain", lambda: "vm1" in left.ctl("list-vms"))
        left.ctl("attach-vm", BRIDGE, "vm1", f"mac={mac_of(1)}")
        self.vm.boot()
        self.c1 = Container(left, "c1", *addresses_of(11))
        self.c2 = Container(right, "c2", *addresses_of(12))
        self.vm.ready()
        self.vm.set_up(*addresses_of(1))


def migrate(bed):
    """To the other host; for how many milliseconds the guest stood still."""
    here = bed.vm.host
    there = bed.hosts[1 - bed.hosts.index(here)]
    here.virsh("migrate-setmaxdowntime", bed.vm.name, DOWNTIME_MS, ok=False)
    here.virsh("migrate", "--live", "--undefinesource", "--persistent", "--bandwidth",
               MIB_A_SECOND, bed.vm.name, there.uri, "--migrateuri", f"unix://{SOCKET}",
               timeout=120)
    bed.vm.host = there
    bed.vm.connect()
    info = there.virsh("domjobinfo", bed.vm.name, "--completed")
    lines = [" ".join(line.split()) for line in info.split("\n")]
    print("  " + ", ".join(line for line in lines if line.startswith(
        ("Time elapsed:", "Total downtime:", "Memory processed:", "Iteration:"))))
    return int(re.search(r"^Total downtime: +(\d+)", info, re.M).group(1))


def lost_pings(report):
    sent, got = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", report).groups())
    return sent - got


def migrate_under_ping(bed):
    """Migrates while containers on both hosts ping the guest."""
    pings = [peer.background(f"ping -q -i {PING_INTERVAL} -w 100 192.0.2.1")
             for peer in (bed.c1, bed.c2)]
    wait_for("pings", lambda: all(not ping.done() for ping in pings))
    try:
        downtime = migrate(bed)
        bed.c1.ping("192.0.2.1")
        bed.c2.ping("192.0.2.1")
    finally:
        for ping in pings:
            ping.stop()
    for peer, ping in zip((bed.c1, bed.c2), pings):
        wait_for("ping ends", ping.done)
        lost = lost_pings(ping.daemon.tail()) * PING_INTERVAL * 1000
        print(f"  {peer} lost {lost:.0f} ms of pings")
        check(lost <= downtime + NOTICE_MS, f"{peer} lost {lost:.0f} ms of pings, and the guest "
              f"stood still for {downtime} ms")


@scenario("pings go on over a migration, the port on the other side comes by itself")
def ping(bed):
    before = make_data(bed.vm, 8)
    migrate_under_ping(bed)
    after = make_data(bed.vm)
    check(before == after, f"memory changed: {before}, then {after}")


@scenario("and back, IPv6 at once")
def back(bed):
    migrate_under_ping(bed)
    bed.vm.ping("2001:db8::b")
    bed.vm.ping("2001:db8::c")


@scenario("a port that was made ahead serves a guest that comes")
def prepared(bed):
    """The switch need not wait for news of the domain, so streams below are shorter."""
    away = bed.hosts[1 - bed.hosts.index(bed.vm.host)]
    wait_for("the port that followed goes", lambda: PORT not in away.ports(), 20)
    away.ctl("add-port", BRIDGE, PORT, "type=vhost-user")


@scenario("a stream to the guest arrives intact across a migration")
def stream_in(bed):
    """The switch writes the stream into memory that is being copied: a page that the log misses arrives
    stale. What arrived is kept in the guest and summed up there afterwards."""
    expected = make_data(bed.c1, 16)
    server = receive(bed.vm, ">/tmp/got")
    client = send_slowly(bed.c1, "192.0.2.1", 16, seconds=STREAM_SECONDS)
    wait_for("the stream flows", lambda: int(bed.vm.run("stat -c %s /tmp/got")) > 1 << 20)
    migrate(bed)
    check(not client.done(), "the stream ended before the migration did: it proves nothing")
    client.wait()
    server.wait()
    got = bed.vm.run("md5sum </tmp/got; rm /tmp/got").split()[0]
    check(got == expected, f"sent {expected}, received {got}")


@scenario("a stream from the guest arrives intact across a migration")
def stream_out(bed):
    expected = make_data(bed.vm, 8)
    server = receive(bed.c2, "| md5sum")
    client = send_slowly(bed.vm, "192.0.2.12", 8, seconds=STREAM_SECONDS)
    wait_for("the stream flows", lambda: bed.vm.status("netstat -tn | grep -q ESTAB") == 0)
    migrate(bed)
    check(not client.done(), "the stream ended before the migration did: it proves nothing")
    client.wait()
    check_sum(server, expected)


@scenario("the MAC address is known on the new side alone")
def address(bed):
    for host in bed.hosts:
        port = PORT if host is bed.vm.host else "cable"
        table = host.ctl("fdb-show", BRIDGE)
        line = [line for line in table.split("\n") if mac_of(1) in line]
        check(len(line) == 1 and re.search(rf"\b{port}\b", line[0]),
              f"{host.name}: {mac_of(1)} is not at {port} alone:\n{table}")


@scenario("a migration that is given up leaves the guest where it is")
def cancelled(bed):
    here = bed.vm.host
    there = bed.hosts[1 - bed.hosts.index(here)]
    # five seconds at least
    job = here.start("virsh", "virsh", "-c", here.uri, "migrate", "--live", "--bandwidth", 4,
                     bed.vm.name, there.uri, "--migrateuri", f"unix://{SOCKET}")
    wait_for("the migration runs", lambda: "Memory" in here.virsh("domjobinfo", bed.vm.name))
    bed.c1.ping("192.0.2.1")
    here.virsh("domjobabort", bed.vm.name)
    wait_for("virsh gives up", lambda: not job.alive())
    check(job.child.returncode != 0, "the migration was not given up")
    bed.c1.ping("192.0.2.1")
    bed.c2.ping("192.0.2.1")


@scenario("packets in are packets out and counted drops on both hosts")
def balance(bed):
    for host in bed.hosts:
        try:
            host.check_balance()
        except Failure as failure:
            raise Failure(f"{host.name}: {failure}") from failure


main(Bed)
