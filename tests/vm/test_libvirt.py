#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The switch and libvirt: attach-vm and detach-vm on running and defined domains, ports that follow domains,
libvirtd coming and going."""

import signal

from bed import BRIDGE, Container, addresses_of, check_content, mac_of, stream
from guest import Guest
from world import check, check_refused, main, scenario, wait_for

SWITCH = ("--workers", "1", "--cores", "none")


class Bed:
    def __init__(self, world):
        self.host = host = world.add_host("host")
        # libvirtd comes later
        host.start_switch(*SWITCH)
        host.ctl("add-br", BRIDGE, "local=no")
        self.c1 = Container(host, "c1", *addresses_of(11))
        host.start_libvirt()
        wait_for("the switch finds libvirtd", lambda: host.ctl_json("list-vms")["vms"] == [])
        self.vm1 = Guest(host, "vm1").start()  # without a card
        self.vm2 = Guest(host, "vm2", machine="q35")
        self.vm2.add_nic(f"/run/vswitch/{BRIDGE}/vm2.sock", mac_of(2))
        self.vm2.define()
        wait_for("vm2's port", lambda: "vm2" in host.ports())
        self.vm2.boot()
        self.vm1.ready()
        self.vm2.ready()
        self.vm2.set_up(*addresses_of(2))


def port_of(host, name):
    """Of the port, what show says, or None."""
    return next((port for bridge in host.ctl_json("show")["bridges"] for port in bridge["ports"]
                 if port["port"] == name), None)


def has_card(guest, device="eth0"):
    return guest.status(f"[ -e /sys/class/net/{device} ]") == 0


@scenario("a port follows a domain by its socket's folder")
def follows(bed):
    bed.vm2.ping("192.0.2.11")
    shown = bed.host.ctl("show", BRIDGE, "vm2", ok=False)
    port = str(port_of(bed.host, "vm2"))
    check("vm2" in port and mac_of(2) in port, f"domain and MAC are not shown: {port}\n{shown}")


@scenario("attach-vm plugs a card into a running guest, detach-vm takes it away")
def attach(bed):
    host = bed.host
    for n in range(2):
        host.ctl("attach-vm", BRIDGE, "vm1", f"mac={mac_of(1)}")
        wait_for("vm1 sees the card", lambda: has_card(bed.vm1))
        bed.vm1.set_up(*addresses_of(1))
        bed.vm1.ping("192.0.2.2")
        bed.c1.ping("192.0.2.1")
        check(mac_of(1) in bed.vm1.run("cat /sys/class/net/eth0/address"), "another MAC address")
        if n == 0:
            host.ctl("detach-vm", BRIDGE, "vm1")
            wait_for("the card is gone", lambda: not has_card(bed.vm1))
            check(f"{BRIDGE}-vm1" not in host.ports(), "the port is still there")
    host.ctl("attach-vm", BRIDGE, "vm1")  # nothing changes
    bed.vm1.ping("192.0.2.2")
    check_content(bed.vm1, bed.vm2, "192.0.2.2")


@scenario("list-vms tells domains and their ports")
def list_vms(bed):
    text = bed.host.ctl("list-vms")
    check(all(word in text for word in ("vm1", f"{BRIDGE}-vm1", mac_of(1), mac_of(2))), text)


@scenario("attach-vm with a tag and queues; another tag by the same command")
def attach_options(bed):
    host = bed.host
    host.ctl("detach-vm", BRIDGE, "vm1")
    wait_for("the card is gone", lambda: not has_card(bed.vm1))
    host.ctl("attach-vm", BRIDGE, "vm1", f"mac={mac_of(1)}", "tag=10", "queues=2")
    wait_for("vm1 sees the card", lambda: has_card(bed.vm1))
    bed.vm1.set_up(*addresses_of(1))
    check("Combined:\t2" in bed.vm1.run("ethtool -l eth0"), "it has no two queue pairs")
    check(not bed.vm1.answers_from("192.0.2.2"), "vm2 answers across VLANs")
    host.ctl("set-port", BRIDGE, "vm2", "tag=10")
    bed.vm1.ping("192.0.2.2")
    host.ctl("set-port", BRIDGE, "vm2", "tag=")
    host.ctl("attach-vm", BRIDGE, "vm1", "tag=")
    bed.vm1.ping("192.0.2.2")


@scenario("vm-check finds a working guest in order, and tells what keeps another from it")
def vm_check(bed):
    host = bed.host

    def says(words):
        text = host.ctl("vm-check", "vm2", ok=False)
        missing = [word for word in words if word not in text]
        check(not missing, f"{missing} not said in: {text}")
        return True
    for name in ("vm1", "vm2"):
        host.ctl("vm-check", name)
    # what it says once this was done; and it is undone
    for words, do, undo in (
            (["paused", "virsh resume vm2"], lambda: host.virsh("suspend", "vm2"),
             lambda: host.virsh("resume", "vm2")),
            (["virtio_net"], lambda: bed.vm2.run("rmmod virtio_net"),
             lambda: bed.vm2.run("insmod /lib/modules/virtio_net.ko"))):
        do()
        try:
            wait_for(f"vm-check says {words}", lambda: says(words), 15)
        finally:
            undo()
    bed.vm2.set_up(*addresses_of(2))
    bed.vm1.ping("192.0.2.2")
    wait_for("vm2 is in order again", lambda: host.ctl("vm-check", "vm2") != "", 15)
    check_refused(["nobody"], host.ctl, "vm-check", "nobody")


@scenario("what attach-vm refuses, it says how to mend")
def refused(bed):
    host = bed.host
    private = Guest(host, "private", shared=False)
    private.define()
    wait_for("the switch knows", lambda: "private" in host.ctl("list-vms"), 20)
    check_refused(["private", "memoryBacking", "memfd", "shared"], host.ctl, "attach-vm", BRIDGE,
                  "private")
    check_refused(["private", "memoryBacking"], host.ctl, "vm-check", "private")
    check_refused(["nobody"], host.ctl, "attach-vm", BRIDGE, "nobody")
    check_refused(["br7"], host.ctl, "attach-vm", "br7", "vm1")
    check_refused(["mac"], host.ctl, "attach-vm", BRIDGE, "private", "mac=01:00:00:00:00:01")
    check_refused(["private"], host.ctl, "detach-vm", BRIDGE, "private")
    check(f"{BRIDGE}-private" not in host.ports(), "a port of what was refused")
    host.virsh("undefine", "private")


@scenario("attach-vm on a defined domain serves its next start")
def attach_defined(bed):
    host = bed.host
    host.ctl("detach-vm", BRIDGE, "vm1")
    bed.vm1.destroy()
    host.ctl("attach-vm", BRIDGE, "vm1", f"mac={mac_of(1)}")
    for _ in range(2):
        bed.vm1.boot()
        bed.vm1.ready()
        bed.vm1.set_up(*addresses_of(1))
        bed.vm1.ping("192.0.2.2")
        bed.vm1.destroy()
    bed.vm1.boot()
    bed.vm1.ready()
    bed.vm1.set_up(*addresses_of(1))


@scenario("libvirtd is stopped and killed; guests go on, and the switch follows again")
def libvirtd(bed):
    host = bed.host
    follower = Guest(host, "follower")
    follower.add_nic(f"/run/vswitch/{BRIDGE}/follower", mac_of(9))
    for number in (signal.SIGTERM, signal.SIGKILL):
        host.stop_libvirtd(number)
        bed.vm1.ping("192.0.2.2")
        check("vm2" in host.ports(), "vm2's port went with libvirtd")
        host.start_libvirtd()
        follower.define()
        wait_for("a new domain's port", lambda: "follower" in host.ports())
        host.virsh("undefine", "follower")
        wait_for("it goes with its domain", lambda: "follower" not in host.ports())
        bed.vm1.ping("192.0.2.2")


@scenario("the switch is killed and started while libvirtd is away")
def both(bed):
    host = bed.host
    host.stop_libvirtd()
    host.kill_switch()
    host.start_switch(*SWITCH)
    wait_for("vm1 reaches vm2", lambda: bed.vm1.answers_from("192.0.2.2"), 20)
    host.start_libvirtd()
    wait_for("the switch finds libvirtd", lambda: "vm1" in host.ctl("list-vms"), 60)
    bed.vm1.ping("192.0.2.2")
    stream(bed.vm2, bed.vm1, "192.0.2.2", "-n 4M")


@scenario("a followed port goes with its domain, an attached one with detach-vm")
def gone(bed):
    host = bed.host
    bed.vm2.destroy()
    check("vm2" in host.ports(), "the port of a defined domain went")
    host.virsh("undefine", "vm2")
    wait_for("vm2's port goes", lambda: "vm2" not in host.ports())
    host.ctl("detach-vm", BRIDGE, "vm1")
    wait_for("the card is gone", lambda: not has_card(bed.vm1))
    check(host.ports() == [f"{BRIDGE}-c1"], f"ports are left: {host.ports()}")


@scenario("packets in are packets out and counted drops")
def balance(bed):
    bed.host.check_balance()


main(Bed)
