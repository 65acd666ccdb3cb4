# SPDX-License-Identifier: BSD-2-Clause
"""Packets and rules for the classification benchmarks, the same on every machine: all from one seed.

A workload is a pcap file with one 64-byte UDP packet for each flow, in random order, and a script of
rules, of one of three kinds:

    one       a single rule, which every flow matches
    apart     rules of 60 masks (prefixes of destination and source, ports or not); each mask has
              address blocks of its own, so a packet matches one rule, and caches need about 60 masks
    overlap   the same masks in one address space, where the more specific rule wins: what cached
              flows must compare differs from flow to flow, and caches see many hundred masks

Rules are made first, round the masks; then the flows are drawn from within the rules in turn, so
that every rule has traffic.
"""

import random
import struct

SEED = 20240229
SOURCE = 0xC6120000  # 198.18.0.0
TARGET = 0xC6130000  # 198.19.0.0
PORT = 5001
FRAME_SIZE = 64
TARGET_PREFIXES = (24, 26, 28, 30, 32)
SOURCE_PREFIXES = (0, 24, 32)
PORTS = ((), ("tp_src",), ("tp_dst",), ("tp_src", "tp_dst"))
MASKS = [(target, source, ports) for target in TARGET_PREFIXES for source in SOURCE_PREFIXES
         for ports in PORTS]
BLOCK = 22  # prefix of the address blocks that a mask has to itself
SPACE = 16  # prefix of all addresses


def dotted(address):
    return ".".join(str(byte) for byte in address.to_bytes(4, "big"))


def sum16(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(source, target, port_from, port_to):
    """An Ethernet frame with a UDP packet whose checksums are right."""
    payload = bytes(FRAME_SIZE - 14 - 20 - 8)
    size = 8 + len(payload)
    udp = struct.pack(">HHHH", port_from, port_to, size, 0)
    pseudo = struct.pack(">IIHH", source, target, 17, size)
    udp = udp[:6] + struct.pack(">H", sum16(pseudo + udp + payload) or 0xFFFF)
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + size, 0, 0x4000, 64, 17, 0, source, target)
    ip = ip[:10] + struct.pack(">H", sum16(ip)) + ip[12:]
    ether = bytes.fromhex("020000000002" "020000000001" "0800")
    return ether + ip + udp + payload


def write_pcap(path, frames):
    with open(path, "wb") as pcap:
        pcap.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number, data in enumerate(frames):
            pcap.write(struct.pack("=IIII", number // 1000000, number % 1000000, len(data),
                                   len(data)))
            pcap.write(data)


def random_address(rng, base, prefix):
    """An address of base/prefix."""
    return base | rng.getrandbits(32 - prefix)


def network(address, prefix):
    return address >> (32 - prefix) << (32 - prefix)


class Rule:
    """Random values under the mask of that number."""

    def __init__(self, rng, number, apart):
        self.target_prefix, self.source_prefix, ports = MASKS[number]
        shift, prefix = (number << (32 - BLOCK), BLOCK) if apart else (0, SPACE)
        self.spaces = (SOURCE + shift, prefix)
        self.target = network(random_address(rng, TARGET + shift, prefix), self.target_prefix)
        self.source = network(random_address(rng, SOURCE + shift, prefix), self.source_prefix)
        self.ports = {name: rng.randrange(1024, 32768) for name in ports}
        self.identity = (number, self.target, self.source, tuple(self.ports.values()))
        self.priority = 10 if apart else (self.target_prefix + self.source_prefix +
                                          16 * len(self.ports))

    def text(self, port_in, port_out):
        words = [f"priority={self.priority}", "udp", f"in_port={port_in}",
                 f"nw_dst={dotted(self.target)}/{self.target_prefix}"]
        if self.source_prefix:
            words.append(f"nw_src={dotted(self.source)}/{self.source_prefix}")
        words += [f"{name}={value}" for name, value in self.ports.items()]
        return ",".join(words) + f",actions=output:{port_out}"

    def flow(self, rng):
        """A 5-tuple that matches."""
        source = (random_address(rng, self.source, self.source_prefix) if self.source_prefix
                  else random_address(rng, *self.spaces))
        return (source, random_address(rng, self.target, self.target_prefix),
                self.ports.get("tp_src", rng.randrange(1024, 32768)),
                self.ports.get("tp_dst", PORT))


def make_rules(rng, count, apart):
    """Distinct rules, round the masks; a mask that has no more distinct values is passed over."""
    rules, taken = [], set()
    while len(rules) < count:
        before = len(rules)
        for number in range(len(MASKS)):
            for _ in range(20):
                rule = Rule(rng, number, apart)
                if rule.identity not in taken:
                    taken.add(rule.identity)
                    rules.append(rule)
                    break
        if before == len(rules):
            raise ValueError(f"no more than {before} distinct rules")
    return rules[:count]


def make(n_flows, n_rules, kind):
    """(frames, function from port names or numbers to the rule script's lines)."""
    rng = random.Random(SEED)
    if kind == "one":
        flows = {(SOURCE | 1 + number % 64, TARGET | 1, 1024 + number, PORT): None
                 for number in range(n_flows)}

        def script(port_in, port_out):
            return [f"priority=10,udp,in_port={port_in},nw_src=198.18.0.0/15,tp_dst={PORT},"
                    f"actions=output:{port_out}"]
    else:
        rules = make_rules(rng, n_rules, kind == "apart")
        flows = {}
        while len(flows) < n_flows:
            flows.update((rule.flow(rng), None) for rule in rules)

        def script(port_in, port_out):
            return [rule.text(port_in, port_out) for rule in rules]
    flows = list(flows)[:n_flows]
    rng.shuffle(flows)
    return [frame(*flow) for flow in flows], script


def write(scenario, pcap_path, rules_path, port_in, port_out):
    """Makes both files. scenario: (flows, rules, kind)."""
    frames, script = make(*scenario)
    write_pcap(pcap_path, frames)
    with open(rules_path, "w") as rules:
        rules.write("\n".join(script(port_in, port_out)) + "\n")


def write_rules(path, count, port_in, port_out):
    """A large script of the kind "overlap"."""
    with open(path, "w") as rules:
        for rule in make_rules(random.Random(SEED), count, False):
            rules.write(rule.text(port_in, port_out) + "\n")


def write_exact_rules(path, count, port_in, port_out):
    """One rule for each of trafficgen's first flows, so that each needs a cached flow of its own."""
    with open(path, "w") as rules:
        for flow in range(count):
            source = SOURCE + 1 + flow % 64 + (flow >> 15 << 8)
            rules.write(f"priority=10,udp,in_port={port_in},nw_src={dotted(source)},"
                        f"tp_src={1024 + flow % 32768},actions=output:{port_out}\n")
