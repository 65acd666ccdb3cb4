# SPDX-License-Identifier: BSD-2-Clause
"""What the scripts have in common: guests and containers on bridge br0, streams and checks between them.

Peer: a guest or a container by the same words, so that a stream runs between any two.
"""

import contextlib
import signal

from guest import Guest
from world import ROOT, Failure, check, wait_for

PORT_TCP = 5201  # iperf3's
PORT_DATA = 5001
BRIDGE = "br0"
SOCKETS = "/run/vswitch"


def mac_of(number):
    return f"52:54:00:00:00:{number:02x}"


def socket_of(name):
    return f"{SOCKETS}/{name}.sock"


class Container:
    """A network namespace on a host, attached to br0."""

    folder = ROOT  # for files

    def __init__(self, host, name, *addresses, mtu=1500):
        self.host = host
        self.name = name
        self.port = f"{BRIDGE}-{name}"
        self.jobs = 0
        host.add_container(name)
        host.ctl("attach-container", BRIDGE, name, "ip=" + ",".join(addresses), f"mtu={mtu}")

    def __str__(self):
        return self.name

    def type(self):
        """Of its port."""
        ports = [port for bridge in self.host.ctl_json("show")["bridges"]
                 for port in bridge["ports"] if port["port"] == self.port]
        return ports[0]["type"]

    def run(self, command, timeout=60):
        return self.host.in_container(self.name, "sh", "-c", command, timeout=timeout)

    def status(self, command):
        try:
            self.run(command)
            return 0
        except Failure:
            return 1

    def background(self, command):
        self.jobs += 1
        return ContainerJob(self.host.start(
            f"{self.name}-job{self.jobs}", "nsenter", f"--net=/run/netns/{self.name}", "sh", "-c",
            f"exec {command}"))

    def wait_listening(self, port):
        wait_for(f"a server on port {port} of {self.name}",
                 lambda: self.run(f"ss -Htln 'sport = :{port}'"))

    def ping(self, address, count=3, size=56, wait=2, interval=0.2):
        """Failure unless all are answered."""
        output = self.run(f"ping -q -c {count} -i {interval} -W {wait} -s {size} {address}")
        check(f"{count} packets transmitted, {count} received" in output, output)

    def answers_from(self, address, wait=1):
        return self.status(f"ping -q -c 1 -W {wait} {address}") == 0


class ContainerJob:
    """The same words as guest.Job."""

    def __init__(self, daemon):
        self.daemon = daemon

    def done(self):
        return not self.daemon.alive()

    def wait(self, timeout=60):
        """Its output; Failure unless it ended with status 0."""
        wait_for(self.daemon.name, self.done, timeout)
        check(self.daemon.child.returncode == 0, f"{self.daemon.name}: status "
              f"{self.daemon.child.returncode}: {self.daemon.tail()}")
        return self.daemon.tail()

    def stop(self, number="INT"):
        self.daemon.child.send_signal(getattr(signal, f"SIG{number}"))


def stream(server, client, address, options="-n 16M"):
    """TCP by iperf3 from client to server, or with -R back; received bits a second."""
    job = server.background("iperf3 -s -1")
    try:
        server.wait_listening(PORT_TCP)
        report = client.run(f"iperf3 -c {address} -f m {options}", timeout=120)
        job.wait()
    except Failure:
        with contextlib.suppress(Failure):
            job.stop("KILL")
        raise
    return float(report.split("receiver")[0].splitlines()[-1].split("Mbits/sec")[0].split()[-1])


def make_data(peer, size_mib=8):
    """A file of random bytes at data_of(peer); its MD5 sum."""
    path = data_of(peer)
    peer.run(f"[ -e {path} ] || dd if=/dev/urandom of={path} bs=1M count={size_mib} 2>/dev/null")
    return peer.run(f"md5sum <{path}").split()[0]


def data_of(peer):
    return f"{peer.folder}/{peer}.data"


def receive(peer, then):
    """A TCP server for one stream in the background, and a shell's word for what is done with it; its job.
    Its input never ends: at the end of it, nc would tell the sender that it is done."""
    fifo = f"{peer.folder}/{peer}.fifo"
    peer.run(f"[ -p {fifo} ] || mkfifo {fifo}")
    job = peer.background(f"sh -c 'busybox nc -l -p {PORT_DATA} <>{fifo} {then}'")
    peer.wait_listening(PORT_DATA)
    return job


def send_slowly(peer, address, size_mib, seconds):
    """Sends that much of the peer's data, spread over about so long, in the background; its job."""
    parts = 4 * size_mib
    pause = int(seconds * 1000000 / parts)
    return peer.background(
        f"sh -c 'for i in $(seq {parts}); do dd if={data_of(peer)} bs=256K count=1 "
        f"skip=$((i - 1)) 2>/dev/null; busybox usleep {pause}; done | "
        f"busybox nc {address} {PORT_DATA}'")


def check_sum(job, expected):
    got = job.wait(120).split()[0]
    check(got == expected, f"sent {expected}, received {got}")


def check_content(sender, receiver, address):
    """What the receiver sums up is what the sender has, over a TCP stream."""
    expected = make_data(sender)
    job = receive(receiver, "| md5sum")
    sender.run(f"busybox nc {address} {PORT_DATA} <{data_of(sender)}", timeout=120)
    check_sum(job, expected)


def new_guest(host, number, mode="server", **options):
    """Guest vmN with the socket of port vmN; the port is the server unless mode says else. The guest's
    card is the other half: it connects to a server, and again after a while."""
    queues, driver = options.pop("queues", 1), options.pop("driver", "")
    guest = Guest(host, f"vm{number}", **options)
    guest.number = number
    guest.add_nic(socket_of(guest.name), mac_of(number), queues=queues, options=driver,
                  mode="client" if mode == "server" else "server")
    host.ctl("add-port", BRIDGE, guest.name, "type=vhost-user", f"mode={mode}",
             f"path={socket_of(guest.name)}", f"queues={queues}")
    return guest


def addresses_of(number):
    return f"192.0.2.{number}/24", f"2001:db8::{number:x}/64"
