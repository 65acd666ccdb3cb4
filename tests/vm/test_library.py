#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""vhost/ alone under a real driver: two guests, and a wire between them (tests/bench/vhost_forward)."""

import os

from guest import Guest
from world import BUILD, main, scenario, wait_for


class Bed:
    def __init__(self, world):
        self.host = world.add_host("host")
        self.host.start_libvirt()
        forward = os.path.join(BUILD, "tests/bench/vhost_forward")
        # it polls without sleeping: the guests come first
        self.wire = self.host.start("vhost_forward", "nice", forward, "/run/wire1", "/run/wire2",
                                    "server")
        wait_for("sockets", lambda: os.path.exists(self.host.path("/run/wire2")))
        self.guests = [Guest(self.host, f"vm{n}") for n in (1, 2)]
        for n, guest in enumerate(self.guests, 1):
            guest.add_nic(f"/run/wire{n}", f"52:54:00:00:00:0{n}")
            guest.start()
        for n, guest in enumerate(self.guests, 1):
            guest.ready()
            guest.set_up(f"192.0.2.{n}/24", f"2001:db8::{n}/64")


@scenario("guests ping each other")
def ping(bed):
    first, second = bed.guests
    first.ping("192.0.2.2")
    second.ping("2001:db8::1")
    first.ping("192.0.2.2", size=1400)


@scenario("TCP both ways")
def tcp(bed):
    first, second = bed.guests
    for options in ("", "-R"):
        server = second.background("iperf3 -s -1")
        second.wait_listening(5201)
        first.run(f"iperf3 -c 192.0.2.2 -n 4M {options}")
        server.wait()


@scenario("a driver that is unloaded and loaded again")
def reload_driver(bed):
    first, second = bed.guests
    first.run("rmmod virtio_net && insmod /lib/modules/virtio_net.ko")
    first.set_up("192.0.2.1/24")
    second.ping("192.0.2.1")
    bed.wire.check_alive()


main(Bed)
