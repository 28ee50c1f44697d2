# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Rubbish on the port of either side: counted, never fatal, never answered.

    client 10.10.0.2                       server 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
    The rubbish comes from the other end's address, but not from its daemon's port.
"""
import base64
import os
import socket

import pytest

from bond import PORT, SERVER_IP, Pair
from hostile import UDP, forged_initiation
from lab import wait_until
from traffic import PingTrain, ping_lost

LOG_BYTES_MAX = 1 << 20
FLOOD_SAMPLE = 3500  # messages at once that are taken for a flood


class Target:
    """A daemon under fire, and a socket that fires at it."""

    def __init__(self, daemon, node, address):
        self.daemon, self.address = daemon, address
        self.socket = node.socket(*UDP)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.socket.connect(address)
        self.pid = daemon.process.pid
        self.drops = daemon.all_drops()

    def fire(self, datagrams):
        """Sends them all, in volleys that the receiver's socket buffer can take."""
        fired = 0
        for datagram in datagrams:
            self.socket.send(datagram)
            fired += 1
            if fired % 100 == 0:
                self.wait_counted(fired)
        self.wait_counted(fired)

    def wait_counted(self, n):
        wait_until(lambda: self.daemon.all_drops() - self.drops >= n, 5, f"{n} drops are counted")

    def assert_unharmed(self):
        assert self.daemon.process.is_running()
        assert self.daemon.process.pid == self.pid
        self.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            self.socket.recv(65536)
        assert self.daemon.process.log.stat().st_size < LOG_BYTES_MAX, "logs are limited"


def targets(pair):
    client_port = int(pair.server.paths()[0]["remote"].rsplit(":", 1)[1])
    return [Target(pair.server, pair.client_node, ("10.0.1.2", PORT)),
            Target(pair.client, pair.server_node, ("10.0.1.1", client_port))]


def every_length():
    return (os.urandom(n) for n in range(201))


def every_first_byte():
    lengths = (1, 4, 16, 32, 63, 64, 92, 148, 200, 1500)
    return (bytes([first]) + b"\0\0\0" * (n > 3) + os.urandom(max(0, n - 4))
            for first in range(256) for n in lengths)


def every_length_of_each_message():
    return (bytes([kind, 0, 0, 0]) + os.urandom(n) for kind in range(6) for n in range(197))


def old_probes():
    """The 13-byte pings of an older daemon of that name, whole, cut and of unknown type."""
    return ((b"VTBD" + bytes([kind]) + bytes(8))[:n] for kind in (1, 2, 3) for n in (12, 13))


@pytest.mark.parametrize("rubbish", [every_length, every_first_byte, every_length_of_each_message, old_probes],
                         ids=lambda rubbish: rubbish.__name__)
def test_malformed_datagrams_are_counted_and_do_no_harm(lab, rubbish):
    pair = Pair(lab, rates=[None])

    with PingTrain(pair.client_node, SERVER_IP) as train:
        for target in targets(pair):
            target.fire(rubbish())
            target.assert_unharmed()
    assert train.lost == 0


def test_the_largest_datagrams_do_no_harm(lab):
    pair = Pair(lab, rates=[None])

    for target in targets(pair):
        for size in (1501, 9000, 65506, 65507):
            target.fire([bytes([4, 0, 0, 0]) + os.urandom(size - 4)])
        target.assert_unharmed()
    assert ping_lost(pair.client_node, SERVER_IP) == 0


def test_a_flood_of_initiations_does_not_harm_a_running_session(lab):
    pair = Pair(lab, rates=[None])
    target = targets(pair)[0]
    public_key = base64.b64decode(pair.server_keys.public)

    with PingTrain(pair.client_node, SERVER_IP) as train:
        for _ in range(3000):
            target.socket.send(forged_initiation(public_key))
    assert train.lost == 0
    # What waits in the socket and in the queue is not counted yet.
    wait_until(lambda: pair.server.dropped("rx_handshake_rejected") + pair.server.dropped("rx_handshake_queue") > 1000,
               10, "most of it is refused")


def test_under_load_an_initiation_is_answered_by_a_cookie(lab):
    pair = Pair(lab, rates=[None])
    target = targets(pair)[0]
    public_key = base64.b64decode(pair.server_keys.public)
    target.socket.settimeout(5)

    for _ in range(5000):
        target.socket.send(forged_initiation(public_key))

    answer = target.socket.recv(2000)
    assert len(answer) == 64 and answer[:4] == bytes([3, 0, 0, 0])


def test_the_kernel_keeps_a_flood_back(lab):
    """On a machine of any speed: held, the daemon finds a whole flood at once."""
    pair = Pair(lab, rates=[None])
    server = pair.server
    sham = forged_initiation(base64.b64decode(pair.server_keys.public))
    flooder = targets(pair)[0].socket

    def is_kept_back():
        with server.held():
            for _ in range(FLOOD_SAMPLE):
                flooder.send(sham)
        for _ in range(FLOOD_SAMPLE):
            flooder.send(sham)
        return server.dropped("rx_flood") > FLOOD_SAMPLE

    with PingTrain(pair.client_node, SERVER_IP) as train:
        wait_until(is_kept_back, 20, "most of it stays in the kernel")
    assert train.lost == 0
    server.wait_log("link is flooded")
    malformed = server.dropped("rx_malformed")
    wait_until(lambda: flooder.send(b"?") and server.dropped("rx_malformed") > malformed, 5, "the filter is gone")
