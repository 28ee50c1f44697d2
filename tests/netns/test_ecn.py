# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Congestion that a router marks on the way is told to those who cause it (RFC 6040).

    client 10.10.0.2                       server 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1   marks what comes in
"""
import socket

import pytest

from bond import SERVER_IP, SERVER_IP6, Pair
from lab import wait_until

NOT_ECT, ECT_1, ECT_0, CE = range(4)
DGRAM = socket.SOCK_DGRAM
ENDS = {  # family of the inner packets, address, level and options of sending and receiving the traffic class
    4: (socket.AF_INET, SERVER_IP, socket.IPPROTO_IP, socket.IP_TOS, 13),
    6: (socket.AF_INET6, SERVER_IP6, socket.IPPROTO_IPV6, socket.IPV6_TCLASS, socket.IPV6_RECVTCLASS),
}


class Wire:
    """One link, and the marks that datagrams have behind it, by the family of what is sent through the tunnel."""

    def __init__(self, lab, outer=4, **options):
        self.pair = Pair(lab, rates=[None], families=[outer], **options)
        self.header = {4: "ip", 6: "ip6"}[outer]

    def mark(self, condition=""):
        """What comes to the server, and is as `condition` says, has met congestion."""
        self.pair.server_node.nft(f"""
            table netdev congestion {{
                chain in {{
                    type filter hook ingress device "wan1" priority 0
                    udp dport 51820 udp length > 200 {condition} {self.header} ecn set ce
                }}
            }}""")

    def arriving(self, inner, ecn, count=20):
        """The marks of those of `count` datagrams, sent with `ecn`, that arrive."""
        family, address, level, tos, receive_tos = ENDS[inner]
        with self.pair.server_node.socket(family, DGRAM, timeout=1) as target, \
             self.pair.client_node.socket(family, DGRAM) as source:
            target.setsockopt(level, receive_tos, 1)
            target.bind((address, 0))
            source.setsockopt(level, tos, ecn)
            for _ in range(count):
                source.sendto(bytes(1000), target.getsockname()[:2])
            marks = []
            try:
                while len(marks) < count:
                    _, [(_, _, data)], *_ = target.recvmsg(2000, 64)
                    marks.append(data[0] & 3)
            except TimeoutError:
                pass
            return marks


@pytest.mark.parametrize("outer", [4, 6])
@pytest.mark.parametrize("inner", [4, 6])
def test_marks_of_a_router_reach_the_flow_that_takes_them(lab, inner, outer):
    wire = Wire(lab, outer)
    assert wire.arriving(inner, ECT_0) == [ECT_0] * 20

    wire.mark(f"{wire.header} ecn ect0")

    assert wire.arriving(inner, ECT_0) == [CE] * 20
    assert wire.arriving(inner, NOT_ECT) == [NOT_ECT] * 20, "of such the router sees that it must not"
    assert wire.arriving(inner, ECT_1) == [ECT_1] * 20


def test_what_is_marked_but_takes_no_marks_is_dropped_and_counted(lab):
    wire = Wire(lab)

    wire.mark()

    assert wire.arriving(4, NOT_ECT) == []
    assert wire.pair.server.dropped("rx_ecn") == 20
    assert wire.arriving(4, ECT_0) == [CE] * 20


def test_a_peer_that_may_not_know_of_marks_gets_packets_that_take_none(lab):
    wire = Wire(lab, start=False)
    for daemon in (wire.pair.client, wire.pair.server):
        daemon.sections["wireguard"]["multilink"] = "no"
    wire.pair.start()
    wire.mark("ip ecn ect0")

    assert wire.arriving(4, ECT_0) == [ECT_0] * 20
