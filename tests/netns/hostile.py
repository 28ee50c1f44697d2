# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""What an attacker on the way can do: look, replay, forge, and send rubbish."""
import hashlib
import os
import select
import socket
import struct

from lab import wait_until

UDP = (socket.AF_INET, socket.SOCK_DGRAM)
ETH_P_ALL = 3
IP_HEADER = 20
INITIATION_LEN, MAC1_AT = 148, 116


class Tap:
    """Sees every UDP datagram over IPv4 that passes an interface."""

    def __init__(self, node, interface):
        self.socket = node.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.socket.bind((interface, ETH_P_ALL))
        self.seen = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def wait_for(self, count, to_port):
        """The payloads of the first `count` datagrams to that port."""
        return wait_until(lambda: len(self.datagrams(to_port)) >= count and self.seen, 5,
                          f"{count} datagrams to port {to_port}")[:count]

    def datagrams(self, to_port=None):
        """The payloads of what has passed so far, to that port or any."""
        while select.select([self.socket], [], [], 0)[0]:
            packet = self.socket.recv(65536)
            if len(packet) > IP_HEADER + 8 and packet[0] == 0x45 and packet[9] == socket.IPPROTO_UDP:
                _, port, length, _ = struct.unpack_from("!4H", packet, IP_HEADER)
                if to_port in (None, port):
                    self.seen.append(packet[IP_HEADER + 8:IP_HEADER + length])
        return self.seen


def send_forged(node, source, target, payload):
    """One IPv4 datagram with any source. The kernel fills in what 0 means it to."""
    udp = struct.pack("!4H", source[1], target[1], 8 + len(payload), 0)  # no checksum
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0,
                     socket.inet_aton(source[0]), socket.inet_aton(target[0]))
    with node.entered():
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with raw:
        raw.sendto(ip + udp + payload, (target[0], 0))


def forged_initiation(public_key):
    """A random handshake initiation with a valid mac1: all that one can make who knows the public key."""
    body = struct.pack("<I", 1) + os.urandom(MAC1_AT - 4)
    key = hashlib.blake2s(b"mac1----" + public_key).digest()
    mac1 = hashlib.blake2s(body, key=key, digest_size=16).digest()
    return (body + mac1).ljust(INITIATION_LEN, b"\0")
