# SPDX-License-Identifier: BSD-2-Clause
"""A guest: the libvirt domain, and orders to the shell inside it (guest_init.sh).

    guest = Guest(host, "vm1")
    guest.add_nic("/run/vswitch/br0/vm1")     # a vhost-user interface in its XML
    guest.start()
    guest.run("ping -c 1 192.0.2.2")          # output, or a Failure
    job = guest.background("iperf3 -s -1")    # in the guest, while other orders go on
    job.wait()

The guest's console is a file, shown when the guest does not do what it shall.
"""

import base64
import shlex
import socket
import time

from world import GUEST_IMAGE, ROOT, Failure, check, wait_for

# without interrupts by message: QEMU 7.2 in software emulation crashes when the driver of a vhost-user
# device asks for them
# no_timer_check: a busy host makes an emulated timer late, and the kernel gives up at its check
CMDLINE = "console=ttyS0 quiet pci=nomsi mitigations=off random.trust_cpu=on no_timer_check"

DOMAIN = """<domain type='qemu'>
 <name>{name}</name>
 <memory unit='MiB'>{memory}</memory>
 <vcpu>{cpus}</vcpu>
 {slots}
 {backing}
 <os>
  <type arch='x86_64' machine='{machine}'>hvm</type>
  <kernel>{image}/vmlinuz</kernel>
  <initrd>{image}/initramfs</initrd>
  <cmdline>{cmdline}</cmdline>
 </os>
 <features><acpi/></features>
 <on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>
 {metadata}
 <devices>
  <serial type='file'><source path='{console}'/><target port='0'/></serial>
  <serial type='unix'><source mode='bind' path='{orders}'/><target port='1'/></serial>
  {interfaces}
  <memballoon model='none'/>
 </devices>
</domain>
"""

SHARED = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"

SLOTS = """<maxMemory slots='2' unit='MiB'>{max}</maxMemory>
 <cpu mode='custom'><model>qemu64</model><numa>
  <cell id='0' cpus='0-{last}' memory='{memory}' unit='MiB' memAccess='shared'/></numa></cpu>"""

NIC = """<interface type='vhostuser'>
 <mac address='{mac}'/>
 <source type='unix' path='{path}' mode='{mode}'>{reconnect}</source>
 <model type='virtio'/>
 <driver{driver}
</interface>
"""


class Job:
    """A command that runs in the background of a guest."""

    def __init__(self, guest, number):
        self.guest = guest
        self.file = f"/tmp/job{number}"

    def done(self):
        return self.guest.status(f"[ -e {self.file}.status ]") == 0

    def wait(self, timeout=60):
        """Its output; Failure unless it ended with status 0."""
        wait_for(f"job in {self.guest.name}", self.done, timeout)
        status, output = self.guest.order(f"cat {self.file}.out; exit=$(cat {self.file}.status); "
                                          f"(exit $exit)")
        check(status == 0, f"in {self.guest.name}: status {status}: {output}")
        return output

    def stop(self, number="INT"):
        self.guest.order(f"kill -{number} $(cat {self.file}.pid)")


class Guest:
    """See the top of this file. memory in MiB, that can be plugged in up to memory_max; shared with a vhost-user
    back end or not; after a migration, set .host."""

    folder = "/tmp"  # for files

    def __init__(self, host, name, cpus=1, memory=128, machine="pc", shared=True, memory_max=0):
        self.host = host
        self.name = name
        self.cpus = cpus
        self.memory = memory
        # memory that can be plugged in needs a node to be plugged into
        self.slots = SLOTS.format(max=memory_max, last=cpus - 1, memory=memory) if memory_max else ""
        self.machine = machine
        self.backing = SHARED if shared else ""
        self.metadata = ""
        self.nics = []
        self.jobs = self.orders = self.boots = 0
        self.sent = b""  # the last order, as sent
        self.socket = None
        self.pending = b""

    def __str__(self):
        return self.name

    # ---- the domain

    def add_nic(self, path, mac, mode="client", queues=1, options=""):
        """options: further attributes of the card's <driver>"""
        driver = f" queues='{queues}' {options}/>" if queues > 1 else f" {options}/>"
        # a card that connects looks for a switch that was restarted each second
        reconnect = "<reconnect enabled='yes' timeout='1'/>" if mode == "client" else ""
        self.nics.append(NIC.format(path=path, mac=mac, mode=mode, driver=driver,
                                    reconnect=reconnect))

    def xml(self):
        return DOMAIN.format(name=self.name, memory=self.memory, cpus=self.cpus, slots=self.slots,
                             machine=self.machine, backing=self.backing, image=GUEST_IMAGE,
                             cmdline=CMDLINE, console=self.console(),
                             orders=f"/run/{self.name}.orders", interfaces="".join(self.nics),
                             metadata=self.metadata)

    def console(self):
        return f"{ROOT}/{self.name}.console"

    def console_tail(self):
        try:
            with open(self.console(), encoding="utf-8", errors="replace") as console:
                return "".join(console.readlines()[-15:])
        except OSError:
            return ""

    def define(self):
        path = f"{ROOT}/{self.name}.xml"
        with open(path, "w", encoding="utf-8") as out:
            out.write(self.xml())
        self.host.virsh("define", path)

    def start(self):
        """Boots; ready() waits until it takes orders, so that several can boot at once."""
        self.define()
        self.boot()
        return self

    def boot(self):
        self.close()
        self.host.virsh("start", self.name, timeout=120)

    def ready(self, timeout=120):
        """Waits until the guest takes orders."""
        self.connect()
        wait_for(f"{self.name} boots", lambda: "ready" in self._line(1), timeout)
        return self

    def connect(self):
        self.close()
        path = self.host.path(f"/run/{self.name}.orders")

        def connected():
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                self.socket.connect(path)
                return True
            except OSError as problem:
                self.close()
                raise Failure(f"{path}: {problem}") from problem
        wait_for(f"orders of {self.name}", connected)

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None
        self.pending = b""

    def state(self):
        return self.host.virsh("domstate", self.name).strip()

    def destroy(self):
        self.close()
        self.host.virsh("destroy", self.name)

    def pid(self):
        """Process of QEMU."""
        with open(self.host.path(f"/run/libvirt/qemu/{self.name}.pid"), encoding="utf-8") as pid:
            return int(pid.read())

    # ---- orders

    def _line(self, timeout):
        """A line from the guest, or "" after that time."""
        end = time.monotonic() + timeout
        while b"\n" not in self.pending:
            left = end - time.monotonic()
            if left <= 0:
                return ""
            self.socket.settimeout(left)
            try:
                got = self.socket.recv(65536)
            except TimeoutError:
                return ""
            if not got:
                raise Failure(f"{self.name} hung up; its console:\n{self.console_tail()}")
            self.pending += got
        line, _, self.pending = self.pending.partition(b"\n")
        return line.decode(errors="replace").strip()

    def send_order(self, command):
        """First half of order(): the number of the answer to wait for."""
        check("\n" not in command, "an order is one line")
        if not self.socket:
            self.connect()
        self.orders += 1
        self.sent = f"{self.orders} {command}\n".encode()
        self.socket.sendall(self.sent)
        return self.orders

    def answer(self, number, timeout=60):
        """Second half of order(): (status, output). An emulated serial line loses an interrupt now and then on
        a loaded machine, and what it holds when its guest migrates: after a silence the order is repeated."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            line = self._line(min(3.0, max(0.1, end - time.monotonic()))).split(" ")
            if line[0] == str(number):
                return int(line[1]), base64.b64decode(line[2] if len(line) > 2 else "").decode(
                    errors="replace")
            if line == [""]:
                self.socket.sendall(self.sent)
        raise Failure(f"{self.name} does not answer in {timeout} s; its console:\n"
                      f"{self.console_tail()}")

    def order(self, command, timeout=60):
        return self.answer(self.send_order(command), timeout)

    def status(self, command, timeout=60):
        return self.order(command, timeout)[0]

    def run(self, command, timeout=60):
        """Output of a command that succeeds."""
        status, output = self.order(command, timeout)
        check(status == 0, f"in {self.name}: {command}: status {status}: {output}")
        return output

    def background(self, command):
        self.jobs += 1
        job = Job(self, self.jobs)
        script = shlex.quote(f"echo $$ >{job.file}.pid; exec {command}")
        self.run(f"rm -f {job.file}.*; (sh -c {script} "
                 f">{job.file}.out 2>&1; echo $? >{job.file}.part; "
                 f"mv {job.file}.part {job.file}.status) >/dev/null 2>&1 &")
        return job

    # ---- its network

    def wait_listening(self, port):
        """Until a server accepts TCP connections there."""
        wait_for(f"a server on port {port} of {self.name}",
                 lambda: self.status(f"netstat -ltn | grep -q ':{port} '") == 0)

    def set_up(self, *addresses, device="eth0"):
        for address in addresses:
            self.run(f"ip addr add {address} dev {device}")
        self.run(f"ip link set {device} up")

    def ping(self, address, count=3, size=56, wait=2, interval=0.2, options=""):
        """Failure unless all are answered."""
        output = self.run(f"ping -q -c {count} -i {interval} -W {wait} -s {size} {options} {address}",
                          timeout=count * (wait + 1) + 30)
        check(f"{count} packets transmitted, {count} packets received" in output,
              f"{self.name} pings {address}: {output}")

    def answers_from(self, address, wait=1):
        return self.status(f"ping -q -c 1 -W {wait} {address}") == 0


