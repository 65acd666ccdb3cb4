#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Guests, the switch and libvirtd come, go and crash, each while the others run on."""

import os
import re
import signal
import time

from bed import (BRIDGE, PORT_DATA, Container, addresses_of, check_content, check_sum, data_of, mac_of,
                 make_data, new_guest, receive, send_slowly, socket_of, stream)
from guest import NIC
from world import ROOT, check, main, scenario, wait_for

SWITCH = ("--workers", "2", "--cores", "none")
PING_INTERVAL = 0.1


class Bed:
    def __init__(self, world):
        self.host = host = world.add_host("host")
        host.start_libvirt()
        host.start_switch(*SWITCH)
        host.ctl("add-br", BRIDGE, "local=no")
        host.ctl("add-flow", BRIDGE, "priority=0,actions=normal")
        self.vm1 = new_guest(host, 1, memory_max=512)
        self.vm2 = new_guest(host, 2, mode="client")  # the switch connects to QEMU
        self.guests = [self.vm1, self.vm2]
        for guest in self.guests:
            guest.start()
        self.c1 = Container(host, "c1", *addresses_of(11))
        for guest in self.guests:
            bring_up(guest)
        check_all(self)


def bring_up(guest):
    guest.ready()
    guest.set_up(*addresses_of(guest.number))


def check_all(bed, timeout=20):
    """All three talk, at the latest after that time."""
    wait_for("vm1 reaches vm2", lambda: bed.vm1.answers_from("192.0.2.2"), timeout)
    wait_for("vm1 reaches c1", lambda: bed.vm1.answers_from("192.0.2.11"), timeout)
    bed.vm1.ping("2001:db8::2")
    bed.vm2.ping("192.0.2.1")
    bed.c1.ping("192.0.2.1")
    bed.c1.ping("192.0.2.2")


class Pinger:
    """Pings from vm1 to vm2 in the background, and what was lost of them."""

    def __init__(self, bed):
        self.job = bed.vm1.background(f"ping -q -i {PING_INTERVAL} -w 120 192.0.2.2")

    def lost_ms(self):
        self.job.stop()
        wait_for("ping ends", self.job.done)
        report = self.job.guest.run(f"cat {self.job.file}.out")
        sent, got = map(int, re.search(r"(\d+) packets transmitted, (\d+) packets received",
                                       report).groups())
        check(got, report)
        return (sent - got) * PING_INTERVAL * 1000


def restart_switch(bed, stop):
    """What is lost is what the switch was away for, and at most 3 seconds: QEMU looks once a second."""
    pinger = Pinger(bed)
    wait_for("ping flows", lambda: bed.host.counters("vm2")["tx_packets"] > 5)
    started = time.monotonic()
    stop()
    bed.host.start_switch(*SWITCH)
    away = (time.monotonic() - started) * 1000
    check_all(bed)
    lost = pinger.lost_ms()
    print(f"  away for {away:.0f} ms, lost {lost:.0f} ms of pings")
    check(lost <= away + 3000, f"away for {away:.0f} ms, lost {lost:.0f} ms of pings")


@scenario("the switch is stopped and started under running guests")
def restart(bed):
    restart_switch(bed, bed.host.stop_switch)


@scenario("the switch is killed and started under running guests")
def crash(bed):
    for _ in range(2):
        restart_switch(bed, bed.host.kill_switch)
    stream(bed.vm1, bed.vm2, "192.0.2.1", "-n 8M")


@scenario("a stream goes on over a crash of the switch, intact")
def stream_over_crash(bed):
    expected = make_data(bed.vm1, 8)
    server = receive(bed.vm2, "| md5sum")
    client = send_slowly(bed.vm1, "192.0.2.2", 8, seconds=2)
    wait_for("the stream flows", lambda: bed.vm1.status("netstat -tn | grep -q ESTAB") == 0)
    bed.host.kill_switch()
    check(not client.done(), "the stream ended too soon: it proves nothing")
    bed.host.start_switch(*SWITCH)
    client.wait()
    check_sum(server, expected)


@scenario("a guest is killed, its neighbours do not notice, and it is started again")
def kill_guest(bed):
    flood = bed.c1.background("ping -q -f -w 60 192.0.2.2")
    os.kill(bed.vm2.pid(), signal.SIGKILL)
    wait_for("libvirt sees it", lambda: bed.vm2.state() == "shut off")
    bed.vm1.ping("192.0.2.11")
    flood.stop()
    bed.vm2.boot()
    bring_up(bed.vm2)
    check_all(bed)


@scenario("domains are destroyed and started")
def destroy(bed):
    for guest in bed.guests:
        guest.destroy()
    bed.c1.status("ping -q -c 2 -i 0.1 -W 1 192.0.2.1")
    for guest in bed.guests:
        guest.boot()
    for guest in bed.guests:
        bring_up(guest)
    check_all(bed)


@scenario("a guest resets itself")
def reset(bed):
    bed.vm1.close()
    bed.host.virsh("reset", bed.vm1.name)
    bring_up(bed.vm1)
    check_all(bed)


@scenario("a guest is paused under traffic, and goes on")
def pause(bed):
    flood = bed.c1.background("ping -q -f -w 60 192.0.2.1")
    bed.host.virsh("suspend", bed.vm1.name)
    bed.vm2.ping("192.0.2.11")
    bed.host.virsh("resume", bed.vm1.name)
    flood.stop()
    check_all(bed)


@scenario("a card is plugged into a running guest and pulled out again, by hand")
def hot_plug(bed):
    host = bed.host
    host.ctl("add-port", BRIDGE, "vm1b", "type=vhost-user", "mode=server",
             f"path={socket_of('vm1b')}")
    path = f"{ROOT}/nic.xml"
    with open(path, "w", encoding="utf-8") as out:
        out.write(NIC.format(mac=mac_of(21), path=socket_of("vm1b"), mode="client", driver="/>",
                             reconnect=""))
    for _ in range(2):
        host.virsh("attach-device", "vm1", path, "--live")
        wait_for("vm1 sees the card", lambda: bed.vm1.status("[ -e /sys/class/net/eth1 ]") == 0)
        bed.vm1.set_up("198.51.100.1/24", device="eth1")
        bed.vm2.run("ip addr add 198.51.100.2/24 dev eth0")
        bed.vm1.ping("198.51.100.2")
        bed.vm2.run("ip addr del 198.51.100.2/24 dev eth0")
        host.virsh("detach-device", "vm1", path, "--live")
        wait_for("the card is gone", lambda: bed.vm1.status("[ ! -e /sys/class/net/eth1 ]") == 0)
        wait_for("libvirt knows", lambda: mac_of(21) not in host.virsh("dumpxml", "vm1"))
    host.ctl("del-port", BRIDGE, "vm1b")
    check_all(bed)


@scenario("memory is plugged into a running guest, and the switch reaches it")
def memory(bed):
    """What the guest receives next lies in the new memory too: it is more than it had free."""
    path = f"{ROOT}/dimm.xml"
    with open(path, "w", encoding="utf-8") as out:
        out.write("<memory model='dimm' access='shared'><target><size unit='MiB'>256</size>"
                  "<node>0</node></target></memory>")

    def regions():
        return int(re.search(r"(\d+) regions",
                             bed.host.counters("vm1")["status"]["guest_memory"]).group(1))
    before = regions()
    bed.host.virsh("attach-device", "vm1", path, "--live")
    wait_for("the guest has the memory", lambda: int(bed.vm1.run(
        "for f in /sys/devices/system/memory/memory*/state; do echo online >$f; done 2>/dev/null; "
        "free -m | awk '/Mem/ { print $2 }'")) > 250)
    check(regions() > before, f"memory regions: {before}, then {regions()}")
    bed.vm1.run("mount -o remount,size=200M /tmp")
    expected = make_data(bed.c1, 80)
    server = receive(bed.vm1, ">/tmp/got")
    bed.c1.run(f"busybox nc 192.0.2.1 {PORT_DATA} <{data_of(bed.c1)}")
    server.wait()
    got = bed.vm1.run("md5sum </tmp/got; rm /tmp/got").split()[0]
    check(got == expected, f"sent {expected}, received {got}")


@scenario("libvirtd is stopped and killed, guests and switch go on")
def libvirtd(bed):
    for number in (signal.SIGTERM, signal.SIGKILL):
        bed.host.stop_libvirtd(number)
        bed.vm1.ping("192.0.2.2")
        bed.host.start_libvirtd()
        check(bed.vm1.state() == "running" and bed.vm2.state() == "running",
              "libvirtd lost its guests")
    check_content(bed.vm1, bed.vm2, "192.0.2.2")


@scenario("packets in are packets out and counted drops")
def balance(bed):
    bed.host.check_balance()


main(Bed)
