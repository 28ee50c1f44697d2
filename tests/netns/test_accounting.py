# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""No packet is lost without being counted: what goes into the tunnel comes out, or is some counter's.

    client 10.10.0.2                       server 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
      wan2 10.0.2.1 ------ 10.0.2.0/24 ------ 10.0.2.2 wan2
"""
import socket
import struct
import threading
import time

import pytest

from bond import SERVER_IP, VTRUNKCTL, Pair
from lab import wait_until
from test_peers import ADDRESS, Star

SO_RCVBUFFORCE = 33
SO_SNDBUFFORCE = 32
SIZE = 1000

# Of other packets than ours: the kernel's own to the interface, and frames between the daemons.
NOT_DATA = {"tx_no_peer", "rx_control_queue", "rx_bad_frame", "rx_source_not_allowed", "rx_handshake_rejected"}
# What another copy of the packet has outlived.
COPIES = {"rx_duplicate"}


def drops(daemon):
    """{reason: packets} over network and links, of what may be one of ours."""
    network = daemon.network()
    total = {}
    for counts in (network["drops"], *(link["drops"] for link in network["links"])):
        for reason, n in counts.items():
            if reason not in NOT_DATA:
                total[reason] = total.get(reason, 0) + n
    return total


class Books:
    """What everybody between `sender` and `receiver` has counted since it was opened."""

    def __init__(self, sender, receiver):
        self.sender, self.receiver = sender, receiver
        self.before = self.now()

    def now(self):
        books = {("sender", reason): n for reason, n in drops(self.sender).items()}
        books.update({("receiver", reason): n for reason, n in drops(self.receiver).items()})
        books["interface", "full"] = self.sender.node.counters("tun0")["tx"]["dropped"]
        return books

    def read(self):
        now = self.now()
        return {key: n - self.before[key] for key, n in now.items() if n != self.before[key]}


def lost_of(counted):
    return sum(n for (_, reason), n in counted.items() if reason not in COPIES)


class Sink:
    """Takes numbered datagrams in, until none has come for a second and a half."""

    def __init__(self, node, address=SERVER_IP):
        self.socket = node.socket(socket.AF_INET, socket.SOCK_DGRAM, timeout=1.5)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
        self.socket.bind((address, 0))
        self.address = self.socket.getsockname()
        self.numbers = []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while True:
                self.numbers.append(struct.unpack_from("!I", self.socket.recv(65536))[0])
        except TimeoutError:
            pass

    def received(self):
        self.thread.join(30)
        assert len(set(self.numbers)) == len(self.numbers), "nothing is delivered twice"
        return len(self.numbers)


def flood(source, address, count, pause_every=None):
    sender = source.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 16 << 20)
    sender.connect(address)
    filler = b"\0" * (SIZE - 4)
    for number in range(count):
        sender.send(struct.pack("!I", number) + filler)
        if pause_every and number % pause_every == 0:
            time.sleep(0.001)


def overloaded(lab, mode, **options):
    """Links that carry 20 Mbit/s each, as far as the mode paces; the cables lose nothing."""
    pair = Pair(lab, mode, start=False, **options)
    for head, keys in pair.client.sections.items():
        if head.startswith("link "):
            # One by one, so that what the kernel drops is counted in datagrams.
            keys.update({"rate": "20mbit", "gso": "off"})
    for head, keys in pair.server.sections.items():
        if head.startswith("link "):
            keys["gro"] = "off"
    pair.start()
    return pair


@pytest.mark.parametrize("mode", ["aggregate", "failover", "redundant"])
def test_overload_is_counted(lab, mode):
    pair = overloaded(lab, mode)
    books = Books(pair.client, pair.server)
    sink = Sink(pair.server_node)
    flood(pair.client_node, sink.address, 20000)
    missing = 20000 - sink.received()
    counted = books.read()
    # Of the copies of a packet one may have been lost on its way, and not the packet.
    spare = counted.get(("receiver", "rx_socket_overflow"), 0) if mode == "redundant" else 0
    assert missing > 0, "that was no overload"
    assert missing <= lost_of(counted) <= missing + spare, counted


def test_full_flow_queues_are_counted(lab):
    """With several peers the interface is read on, and what one of them does not get is dropped."""
    star = Star(lab)
    star.server.sections["link wan"]["rate"] = "20mbit"
    star.server.write_config()
    star.hub.run(VTRUNKCTL, "--socket", star.server.control, "reload")
    books = Books(star.server, star.daemons["one"])
    sink = Sink(star.nodes["one"], ADDRESS["one"])
    flood(star.hub, sink.address, 30000, pause_every=50)
    missing = 30000 - sink.received()
    counted = books.read()
    assert counted["sender", "tx_queue_full"] > 0, counted
    assert missing == lost_of(counted), counted


def test_full_sockets_are_counted(lab):
    """What the kernel has no room for at the receiver, too; pings and reports are among it."""
    pair = Pair(lab, "failover", rates=(None,), start=False)
    pair.client.sections["wireguard"]["scheduler"] = "weight"
    pair.client.sections["link wan1"]["gso"] = "off"
    pair.server.sections["link wan4"].update({"gro": "off", "receive_buffer": 131072})
    pair.start()
    books = Books(pair.client, pair.server)
    sink = Sink(pair.server_node)
    with pair.server.held():
        flood(pair.client_node, sink.address, 3000)
    missing = 3000 - sink.received()
    wait_until(lambda: lost_of(books.read()) >= missing, 5, f"{missing} are accounted for: {books.read()}")
    counted = books.read()
    assert counted["receiver", "rx_socket_overflow"] > 0, counted
    assert lost_of(counted) <= missing + 100, counted


def take_down(cable):
    cable.down()


def cut(cable):
    """Silently, both ways, and counted."""
    for end in cable.ends:
        end.nft(f"""
            table netdev cut {{
                counter lost {{ }}
                chain in {{
                    type filter hook ingress device "{cable.name}" priority 0
                    udp dport 0-65535 counter name lost
                    drop
                }}
            }}""")


def lost_in_cut(cable):
    """Datagrams that did not come to the second end."""
    counter = cable.ends[1].run("nft", "list", "counter", "netdev", "cut", "lost", check=False).stdout.split()
    return int(counter[counter.index("packets") + 1]) if counter else 0


@pytest.mark.parametrize("mode", ["aggregate", "failover", "redundant"])
@pytest.mark.parametrize("kill", [take_down, cut], ids=lambda kill: kill.__name__)
def test_what_a_dying_link_takes_along_is_counted(lab, mode, kill):
    pair = Pair(lab, mode, start=False)
    for head, keys in [*pair.client.sections.items(), *pair.server.sections.items()]:
        if head.startswith("link "):
            # Room for all: what a socket had none for is told with the next packet, and after a cut none comes.
            keys.update({"gso": "off", "gro": "off", "receive_buffer": 32 << 20})
    pair.start()
    cable = pair.cables[0]
    books = Books(pair.client, pair.server)
    sink = Sink(pair.server_node)
    killer = threading.Timer(0.2, kill, (cable,))
    killer.start()
    flood(pair.client_node, sink.address, 10000, pause_every=10)
    killer.join()
    missing = 10000 - sink.received()
    counted = books.read()
    assert missing <= lost_of(counted) + lost_in_cut(cable), f"{missing} of {lost_in_cut(cable)} in the cut and {counted}"

    def sent():
        return sum(link["tx_datagrams"] for link in pair.client.network()["links"])

    def datagrams_add_up():
        before = sent()
        came = sum(link["rx_datagrams"] for link in pair.server.network()["links"])
        # Probes go on while one counter is read after the other.
        return before <= came + lost_in_cut(cable) + pair.server.dropped("rx_socket_overflow") <= sent()

    # A device that is taken down loses what is in its own queue.
    if kill is cut:
        wait_until(datagrams_add_up, 10, "what was sent has come, was lost in the cut, or found the socket full")
