# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""A WireGuard peer made by hand, which can do what no real one does: it plays one to a vtrunkd.

    prober 10.10.0.1                       vtrunkd 10.10.0.2
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1

The prober has no tunnel interface; it makes and takes apart the inner packets itself.
"""
import base64
import itertools
import select
import socket
import struct
import time

from cryptography.exceptions import InvalidTag

import noise
from bond import CLIENT_IP, PORT, SERVER_IP, Daemon, network_section
from lab import wait_until

INNER_PORT = 7000
IP_HEADER, UDP_HEADER = 20, 8


def _checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def inner_packet(payload, source=SERVER_IP, target=CLIENT_IP):
    """IPv4 and UDP around it, as the tunnel carries it."""
    udp = struct.pack("!4H", INNER_PORT, INNER_PORT, UDP_HEADER + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, IP_HEADER + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0,
                       socket.inet_aton(source), socket.inet_aton(target))
    return head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + udp


def payload_of(text):
    """Of a decrypted inner packet, without its padding."""
    length, = struct.unpack_from("!H", text, 2)
    return text[IP_HEADER + UDP_HEADER:length]


def is_packet(text):
    return bool(text) and text[0] >> 4 == 4


class Arrived:
    """A datagram from the daemon and when it came."""

    def __init__(self, message, source):
        self.message, self.source = message, source
        self.at = time.monotonic()
        self.kind, = struct.unpack_from("<I", message)

    @property
    def receiver_index(self):
        return struct.unpack_from("<I", self.message, 8 if self.kind == noise.RESPONSE else 4)[0]


class Prober:
    """One peer at one address. Sessions are the caller's: he says in which he sends and receives."""

    def __init__(self, node, address, identity, daemon_public, psk=noise.NO_PSK, port=PORT):
        self.identity, self.daemon_public, self.psk = identity, daemon_public, psk
        self.socket = node.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, port))
        self.target = None
        self.waiting = []  # arrived, but nobody has asked for its kind yet

    def send(self, message):
        self.socket.sendto(message, self.target)

    def _collect(self, seconds):
        # Not longer than that: it may have been closed meanwhile, by the end of an interrupted test.
        if select.select([self.socket], [], [], min(max(0, seconds), 1))[0]:
            self.waiting.append(Arrived(*self.socket.recvfrom(65536)))

    def expect(self, kind, seconds=10, matches=lambda arrived: True):
        """The first message of that kind that matches; those of other kinds stay for later calls."""
        deadline = time.monotonic() + seconds
        while True:
            for arrived in self.waiting:
                if arrived.kind == kind and matches(arrived):
                    self.waiting.remove(arrived)
                    return arrived
            remaining = deadline - time.monotonic()
            assert remaining > 0, f"no message of type {kind} within {seconds} s, but {self.kinds()}"
            self._collect(remaining)

    def listen(self, seconds):
        """All that comes in that time, and what was waiting."""
        deadline = time.monotonic() + seconds
        while (remaining := deadline - time.monotonic()) > 0:
            self._collect(remaining)
        arrived, self.waiting = self.waiting, []
        return arrived

    def has_come(self, kind, seconds):
        """Whether a message of that kind waits, or comes in time."""
        deadline = time.monotonic() + seconds
        while kind not in self.kinds() and (remaining := deadline - time.monotonic()) > 0:
            self._collect(remaining)
        return kind in self.kinds()

    def kinds(self):
        return [arrived.kind for arrived in self.waiting]

    # Handshakes

    def initiation(self, timestamp=None):
        """(its state, the message)"""
        made = noise.Initiation(self.identity, self.daemon_public, self.psk, timestamp)
        return made, self.seal_macs(made.body)

    def seal_macs(self, body, cookie=None):
        return noise.with_macs(body, self.daemon_public, cookie)

    def initiate(self, timestamp=None, confirm=True):
        """A handshake begun by us; the session. Repeated, as a peer's second within 20 ms is not answered."""
        for _ in range(20):
            made, message = self.initiation(timestamp)
            self.send(message)
            if self.has_come(noise.RESPONSE, 0.5):
                break
        return self.take_response(made, confirm)

    def take_response(self, made, confirm=True):
        answer = self.expect(noise.RESPONSE, matches=lambda arrived: arrived.receiver_index == made.index)
        self.check_macs(answer.message)
        session = made.open_response(answer.message)
        if confirm:
            self.send(session.seal(b""))
        return session

    def expect_initiation(self, seconds=10):
        """(the opened initiation, the datagram) of the daemon, whose address becomes our target."""
        arrived = self.expect(noise.INITIATION, seconds)
        self.target = arrived.source
        return self.open_initiation(arrived), arrived

    def open_initiation(self, arrived):
        self.check_macs(arrived.message)
        opened = noise.ReceivedInitiation(self.identity, arrived.message)
        assert opened.remote_public == self.daemon_public
        return opened

    def respond(self, opened):
        """Answers an initiation; the session, when it has been confirmed."""
        body, session = opened.respond(self.psk)
        self.send(self.seal_macs(body))
        self.expect_text(session, lambda text: text == b"")
        return session

    def check_macs(self, message, cookie=None):
        assert len(message) == noise.LENGTHS[message[0]]
        body, sealed = message[:-2 * noise.MAC_BYTES], message[:-noise.MAC_BYTES]
        assert sealed == body + noise.mac1(self.identity.public, body), "mac1"
        expected = noise.mac(cookie, sealed) if cookie else noise.NO_MAC
        assert message[-noise.MAC_BYTES:] == expected, "mac2"

    # Transport data

    def open(self, arrived, sessions):
        """(session, counter, text) of a transport message in one of the sessions."""
        for session in sessions:
            try:
                return session, *session.open(arrived.message)
            except InvalidTag:
                continue
        raise AssertionError("transport data that opens in none of our sessions")

    def expect_text(self, session, matches, seconds=10):
        """Decrypted content in the session that matches; all other data is passed over."""
        deadline = time.monotonic() + seconds
        while True:
            arrived = self.expect(noise.DATA, deadline - time.monotonic())
            if arrived.receiver_index == session.local_index:
                _, text = session.open(arrived.message)
                if matches(text):
                    return text

    def expect_payload(self, session, payload, seconds=10):
        return self.expect(noise.DATA, seconds, lambda arrived: carries(session, arrived, payload))


class Probed:
    """A vtrunkd with the prober as its peer. With `has_endpoint` it knows where to find it and begins."""

    def __init__(self, lab, has_endpoint=False, psk=None, identity=None, keys=None, **wireguard):
        self.node, self.far_end = lab.node("vtrunkd"), lab.node("prober")
        self.cable = lab.cable(self.far_end, self.node, "wan1")
        identity = identity or noise.KeyPair()
        keys = keys or noise.KeyPair()
        self.keys = keys
        self.prober = Prober(self.far_end, self.cable.v4(self.far_end), identity, keys.public, psk or noise.NO_PSK)
        self.prober.target = (self.cable.v4(self.node), PORT)
        link = {"bind": f"0.0.0.0:{PORT}"}
        if has_endpoint:
            link["endpoint"] = f"{self.cable.v4(self.far_end)}:{PORT}"
        self.daemon = Daemon(self.node, {
            "network": network_section(CLIENT_IP, mtu=1420),
            # No questions whether we are a vtrunkd: each datagram is to be one of stock WireGuard.
            "wireguard": {"private_key": _text(keys.private), "peer_public_key": _text(identity.public),
                          "preshared_key": psk and _text(psk), "multilink": "no", **wireguard},
            "link wan1": link})
        self.inner = self.node.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.inner.bind((CLIENT_IP, INNER_PORT))
        self.names = (f"packet {n}".encode() for n in itertools.count())

    def send_inner(self, payload=b"out"):
        """From the daemon's host into the tunnel."""
        self.inner.sendto(payload, (SERVER_IP, INNER_PORT))

    def delivers(self, session, counter=None, seconds=10):
        """Sends a packet in the session; does it come out of the tunnel?"""
        payload = next(self.names)
        self.prober.send(session.seal(inner_packet(payload), counter))
        return self.has_delivered(payload, seconds)

    def has_delivered(self, payload, seconds):
        deadline = time.monotonic() + seconds
        while (remaining := deadline - time.monotonic()) > 0:
            self.inner.settimeout(remaining)
            try:
                if self.inner.recv(65536) == payload:
                    return True
            except TimeoutError:
                break
        return False

    def refuses(self, reason, session, counter=None):
        """Sends a packet in the session; is it dropped for that reason, and does not come out?"""
        payload = next(self.names)
        before = self.daemon.dropped(reason)
        self.prober.send(session.seal(inner_packet(payload), counter))
        wait_until(lambda: self.daemon.dropped(reason) == before + 1, 10, f"one more {reason}")
        return not self.has_delivered(payload, 0.1)

    def sends_in(self, session, seconds=10):
        """A packet of the daemon's host comes to us, in that session."""
        payload = next(self.names)
        self.send_inner(payload)
        return self.prober.expect_payload(session, payload, seconds)

    def wait_handshakes(self, number):
        """The packet that confirms a session may come out before the daemon sends in that session."""
        wait_until(lambda: self.daemon.peer()["handshakes"] == number, 10, f"{number} sessions are confirmed")

    def sends_from(self, session, address):
        """A packet of the daemon's host comes to us; is it from there?"""
        return self.sends_in(session).source == address


def carries(session, arrived, payload):
    text = session.open(arrived.message)[1] if arrived.receiver_index == session.local_index else b""
    return is_packet(text) and payload_of(text) == payload


def _text(key):
    return base64.b64encode(key).decode()
