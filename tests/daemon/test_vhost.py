#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Ports of type vhost-user in the daemon: options, sockets, what show says, changes, restarts. The
guest's side is a few messages of the protocol; rings and packets are tests/unit's business."""

import os
import socket
import stat
import struct
import time
import unittest

import harness

GET_FEATURES, SET_FEATURES, SET_OWNER = 1, 2, 3
GET_PROTOCOL_FEATURES, GET_QUEUE_NUM = 15, 17
SET_PROTOCOL_FEATURES, SET_VRING_NUM = 16, 8
VERSION_1 = 1 << 32
PROTOCOL_FEATURES = 1 << 30


class FrontEnd:
    """One connection of a front end."""

    def __init__(self, connection):
        self.socket = connection
        self.socket.settimeout(harness.PATIENCE)

    @classmethod
    def connect(cls, path):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        return cls(connection)

    def close(self):
        self.socket.close()

    def send(self, request, payload=b"", flags=1):
        self.socket.sendall(struct.pack("<III", request, flags, len(payload)) + payload)

    def send_u64(self, request, value):
        self.send(request, struct.pack("<Q", value))

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def get_u64(self, request):
        self.send(request)
        answer, _flags, size = struct.unpack("<III", self.read(12))
        assert (answer, size) == (request, 8)
        return struct.unpack("<Q", self.read(8))[0]

    def ended(self):
        """The switch hung up."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


class Vhost(harness.DaemonTest):
    def setUp(self):
        super().setUp()
        self.start()
        self.ctl("add-br", "br0", "local=no")

    def add(self, name, *options):
        self.ctl("add-port", "br0", name, "type=vhost-user", *options)
        return os.path.join(self.rundir, "br0", name + ".sock")

    def port(self, name):
        return self.counters()[name]

    def wait_connection(self, name, says):
        harness.wait_until(lambda: says in self.port(name)["status"]["connection"],
                           f"the connection of {name} is '{says}'")

    def connect_guest(self, path):
        guest = FrontEnd.connect(path)
        self.addCleanup(guest.close)
        return guest

    def test_server(self):
        path = self.add("vm1", "queues=4", "access=0600")
        self.assertTrue(stat.S_ISSOCK(os.stat(path).st_mode))
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode), 0o755)
        self.assertEqual(self.port("vm1")["state"], "down")
        self.wait_connection("vm1", "listening at " + path)
        guest = self.connect_guest(path)
        offered = guest.get_u64(GET_FEATURES)
        self.assertEqual(self.port("vm1")["status"]["offered"], hex(offered))
        guest.send_u64(SET_PROTOCOL_FEATURES, guest.get_u64(GET_PROTOCOL_FEATURES))
        self.assertEqual(guest.get_u64(GET_QUEUE_NUM), 4)
        self.wait_connection("vm1", "connected at " + path)
        guest.send_u64(SET_FEATURES, VERSION_1 | PROTOCOL_FEATURES)
        guest.get_u64(GET_FEATURES)
        self.assertEqual(self.port("vm1")["status"]["features"], "protocol_features,version_1")
        guest.close()
        self.wait_connection("vm1", "listening at ")
        self.ctl("del-port", "br0", "vm1")
        self.assertFalse(os.path.exists(os.path.dirname(path)))

    def test_folder_is_made(self):
        folder = os.path.join(self.rundir, "br0")
        path = os.path.join(folder, "elsewhere")
        self.assertFalse(os.path.exists(folder))
        self.add("vm1", f"path={path}")
        FrontEnd.connect(path).close()
        self.ctl("del-port", "br0", "vm1")
        self.assertFalse(os.path.exists(folder))
        self.refused("add-port", "br0", "vm1", "type=vhost-user", f"path={folder}/x/y", says="x/y")

    def test_client(self):
        path = self.path("qemu.sock")
        self.add("vm1", "mode=client", f"path={path}")
        self.wait_connection("vm1", "cannot connect to " + path)
        for _ in range(2):
            listener = socket.socket(socket.AF_UNIX)
            listener.settimeout(harness.PATIENCE)
            listener.bind(path)
            listener.listen(1)
            guest = FrontEnd(listener.accept()[0])
            self.assertTrue(guest.get_u64(GET_FEATURES) & VERSION_1)
            self.wait_connection("vm1", "connected at " + path)
            listener.close()
            os.unlink(path)
            guest.close()
            self.wait_connection("vm1", "cannot connect to " + path)

    def test_pinned_features(self):
        path = self.add("vm1", "features=version_1,protocol_features,mrg_rxbuf")
        guest = self.connect_guest(path)
        self.assertEqual(guest.get_u64(GET_FEATURES), VERSION_1 | PROTOCOL_FEATURES | 1 << 15)
        self.refused("add-port", "br0", "vm2", "type=vhost-user", "features=mrg_rxbug",
                     says="mrg_rxbuf")
        self.refused("add-port", "br0", "vm2", "type=vhost-user", "features=gso", says="gso")

    def test_bad_guest(self):
        path = self.add("vm1")
        good = self.connect_guest(self.add("vm2"))
        guest = self.connect_guest(path)
        guest.send(SET_VRING_NUM, struct.pack("<II", 99, 256))
        self.assertTrue(guest.ended())
        harness.wait_until(lambda: self.port("vm1")["status"].get("faults") == "msg_ring=1",
                           "the fault is told")
        self.assertIn("msg_ring", self.read_log())
        self.assertTrue(good.get_u64(GET_FEATURES))
        # it may come again
        guest = self.connect_guest(path)
        self.assertTrue(guest.get_u64(GET_FEATURES))

    def test_half_a_message(self):
        guest = self.connect_guest(self.add("vm1"))
        good = self.connect_guest(self.add("vm2"))
        guest.socket.sendall(struct.pack("<II", GET_FEATURES, 1))
        started = time.monotonic()
        self.assertTrue(good.get_u64(GET_FEATURES))
        self.assertTrue(guest.ended())
        self.assertGreater(time.monotonic() - started, 4)

    def test_change(self):
        path = self.add("vm1", "mtu=1500")
        guest = self.connect_guest(path)
        self.assertTrue(guest.get_u64(GET_FEATURES))
        self.assertEqual(self.port("vm1")["max_len"], 1518)
        # this is changed under the guest, which notices nothing
        self.ctl("set-port", "br0", "vm1", "mtu=9000")
        self.assertEqual(self.port("vm1")["max_len"], 9018)
        self.assertTrue(guest.get_u64(GET_FEATURES))
        # this is not, but it works
        self.ctl("set-port", "br0", "vm1", "queues=2")
        self.assertTrue(guest.ended())
        guest = self.connect_guest(path)
        guest.send_u64(SET_PROTOCOL_FEATURES, guest.get_u64(GET_PROTOCOL_FEATURES))
        self.assertEqual(guest.get_u64(GET_QUEUE_NUM), 2)
        self.refused("set-port", "br0", "vm1", "queues=17", says="from 1 to 16")
        self.assertTrue(os.path.exists(path))

    def test_restart(self):
        path = self.add("vm1", "queues=2")
        before = self.export()
        for end in (self.stop, self.kill, self.kill):
            end()
            self.start()
            self.assertEqual(self.export(), before)
            guest = self.connect_guest(path)
            self.assertTrue(guest.get_u64(GET_FEATURES))

    def test_socket_in_use(self):
        path = self.path("taken.sock")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)
            self.refused("add-port", "br0", "vm1", "type=vhost-user", f"path={path}",
                         says="in use by another process")
        self.refused("add-port", "br0", "vm1", "type=vhost-user",
                     f"path={self.write('file', 'x')}", says="is not a socket")
        self.refused("add-port", "br0", "vm1", "type=vhost-user", "path=vm1.sock",
                     says="begin with a /")

    def test_many(self):
        paths = [self.add(f"vm{i}") for i in range(50)]
        guests = [self.connect_guest(path) for path in paths]
        for guest in guests:
            self.assertTrue(guest.get_u64(GET_FEATURES))
        self.ctl("del-br", "br0")
        for guest in guests:
            self.assertTrue(guest.ended())
        self.assertFalse(os.path.exists(os.path.dirname(paths[0])))


if __name__ == "__main__":
    unittest.main(verbosity=2)
