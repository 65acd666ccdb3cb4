# SPDX-License-Identifier: BSD-2-Clause
"""vm_container.py once more with a real guest in place of the stand-in, the one of tests/vm, by QEMU.

The processor is emulated, for not every machine has KVM, so the guest itself is what limits: figures
are far below those of the stand-in and closer to each other. They show that a guest's own driver is
content with the same offloads.
"""

import os
import shlex
import sys

import vm_container
from lab import BenchError, run, wait_for

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../vm"))
import guest
import world

PACKAGES = ("busybox-static", "qemu-system-x86")
BUILD_GUEST = os.path.join(sys.path[-1], "build_guest.sh")
MAC = "02:00:00:00:00:01"
MEMORY = 256  # MiB
BOOT_SECONDS = 120


class Machine:
    """Where a guest's files are: in the lab's folder."""

    def __init__(self, lab):
        self.lab = lab

    def path(self, inside):
        return os.path.join(self.lab.dir, os.path.basename(inside))


class Guest(guest.Guest):
    """A guest that was booted without libvirt."""

    def console(self):
        return self.host.path(f"{self.name}.console")


class QemuGuest:
    """Mixed into a contender: namespace one is a virtual machine."""

    def add_guest(self):
        folder = os.path.join(self.lab.tools.build_dir, "tests/vm/guest")
        run(["bash", BUILD_GUEST, folder], timeout=300)
        path = os.path.join(self.lab.dir, "guest")
        self.guest = Guest(Machine(self.lab), "vm")
        self.lab.stack.callback(self.guest.close)
        qemu = self.lab.start(
            ["qemu-system-x86_64", "-machine", "pc,accel=tcg,memory-backend=ram", "-m", str(MEMORY),
             "-object", f"memory-backend-memfd,id=ram,size={MEMORY}M,share=on",
             "-kernel", f"{folder}/vmlinuz", "-initrd", f"{folder}/initramfs",
             "-append", guest.CMDLINE, "-nodefaults", "-no-user-config", "-display", "none",
             "-serial", f"file:{self.guest.console()}",
             "-serial", f"unix:{self.guest.host.path('vm.orders')},server=on,wait=off",
             "-chardev", f"socket,id=card,path={path},server=on",
             "-netdev", "vhost-user,id=net,chardev=card",
             "-device", f"virtio-net-pci,netdev=net,mac={MAC},rx_queue_size=1024"],
            pinned=False, name="qemu")
        wait_for("QEMU's socket", lambda: qemu.check() and os.path.exists(path))
        return path

    def order(self, function, *arguments, **kwargs):
        """What a method of the guest gives."""
        try:
            return function(*arguments, **kwargs)
        except world.Failure as failure:
            raise BenchError(str(failure)) from failure

    def configure_one(self, netns, address):
        if netns != self.one:
            super().configure_one(netns, address)
            return
        self.order(self.guest.ready, BOOT_SECONDS)
        self.order(self.guest.set_up, address)

    def within(self, netns, command, **kwargs):
        if netns != self.one:
            return super().within(netns, command, **kwargs)
        return self.order(self.guest.run, shlex.join(command), **kwargs)


class Ours(QemuGuest, vm_container.Ours):
    """Ours."""


class OvsDpdk(QemuGuest, vm_container.OvsDpdk):
    """OVS-DPDK without TSO."""


class OvsDpdkTso(QemuGuest, vm_container.OvsDpdkTso):
    """OVS-DPDK with TSO."""


def main(tools, options):
    return vm_container.compare(tools, options, (Ours, OvsDpdk, OvsDpdkTso), 1,
                                "between emulated guest and container")
