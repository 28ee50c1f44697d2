# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""What the kernel may cut and join for us, switched on and off: gso, gro, tso, uso.

    client 10.10.0.2                       server 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
"""
import itertools
import os
import random
import socket
import struct

import pytest

from bond import CLIENT_IP, CLIENT_IP6, SERVER_IP, SERVER_IP6, Pair
from lab import wait_until
from traffic import family_of, ping_lost, transfer

UDP_SEGMENT = 103
SO_RCVBUFFORCE = 33

ON, OFF = "on", "off"
# At the client; the server has the opposite. Then all at both ends, and what it is without a word.
MATRIX = list(itertools.product((ON, OFF), repeat=3))
OPPOSITE = {ON: OFF, OFF: ON, "auto": "auto"}


def switch(daemon, gso, gro, tso):
    daemon.sections["network"].update({"tso": tso, "uso": tso})
    for head, keys in daemon.sections.items():
        if head.startswith("link "):
            keys.update({"gso": gso, "gro": gro})


def in_force(daemon):
    network = daemon.network()
    link = network["links"][0]
    return link["gso"], link["gro"], network["offloads"]["tso"], network["offloads"]["uso"]


def udp_bulk(source, target, address, sizes):
    """Has the sender's kernel leave each of the pieces to the interface as a whole, and compares what arrives."""
    listener = target.socket(family_of(address), socket.SOCK_DGRAM, timeout=10)
    listener.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    listener.bind((address, 0))
    sender = source.socket(family_of(address), socket.SOCK_DGRAM)
    sender.connect(listener.getsockname()[:2])
    for segment, length in sizes:
        data = os.urandom(length)
        sender.sendmsg([data], [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("H", segment))])
        for at in range(0, length, segment):
            assert listener.recv(65536) == data[at:at + segment], f"at {at} of {length} bytes in {segment}s"


def carries_all(pair):
    transfer(pair.client_node, pair.server_node, SERVER_IP, 2 << 20)
    transfer(pair.server_node, pair.client_node, CLIENT_IP, 2 << 20)
    transfer(pair.client_node, pair.server_node, SERVER_IP6, 1 << 20)
    udp_bulk(pair.client_node, pair.server_node, SERVER_IP, [(1372, 60000), (100, 6400), (1000, 2001)])
    udp_bulk(pair.server_node, pair.client_node, CLIENT_IP, [(1372, 60000), (17, 1000), (1372, 1373)])
    assert ping_lost(pair.client_node, SERVER_IP, 5, "-s", "1372") == 0
    for daemon in (pair.client, pair.server):
        assert daemon.dropped("rx_tun_write") == 0
        assert daemon.dropped("tx_send_error") == 0


@pytest.mark.parametrize("at_client, at_server",
                         [(here, tuple(OPPOSITE[setting] for setting in here)) for here in MATRIX]
                         + [((ON,) * 3, (ON,) * 3), ((OFF,) * 3, (OFF,) * 3), (("auto",) * 3, ("auto",) * 3)],
                         ids=lambda settings: "-".join(settings))
def test_every_combination_carries_all(lab, at_client, at_server):
    pair = Pair(lab, rates=(None,), start=False)
    for daemon, settings in ((pair.client, at_client), (pair.server, at_server)):
        switch(daemon, *settings)
    pair.start()
    for daemon, (gso, gro, tso) in ((pair.client, at_client), (pair.server, at_server)):
        assert in_force(daemon) == (gso != OFF, gro != OFF, tso != OFF, tso != OFF)
    carries_all(pair)


def test_udp_pieces_of_every_size_come_out_as_they_were(lab):
    pair = Pair(lab, rates=(None,))
    chance = random.Random(1)
    for source, target, address in ((pair.client_node, pair.server_node, SERVER_IP),
                                    (pair.server_node, pair.client_node, CLIENT_IP6)):
        sizes = [(segment, min(65000, segment * chance.randint(1, 63) + chance.randint(1, segment)))
                 for segment in [1, 2, 15, 16, 17, 1371, 1372, *chance.sample(range(3, 1340), 40)]
                 if ":" not in address or segment <= 1352]
        udp_bulk(source, target, address, sizes)
    for daemon in (pair.client, pair.server):
        assert daemon.dropped("tx_malformed") == daemon.dropped("rx_tun_write") == 0


def test_a_device_that_refuses_is_told_of_once_and_asked_again(lab):
    """Datagrams larger than the device's MTU cannot be cut from a burst; they go as fragments, one by one."""
    pair = Pair(lab, rates=(None,), start=False)
    for daemon in (pair.client, pair.server):
        daemon.sections["network"]["mtu"] = 1420
    pair.start()
    cable = pair.cables[0]

    def set_mtu(mtu):
        for end in cable.ends:
            end.ip(f"link set {cable.name} mtu {mtu}")

    def link():
        return pair.client.network()["links"][0]

    set_mtu(1400)
    transfer(pair.client_node, pair.server_node, SERVER_IP, 4 << 20)
    assert link()["gso_refused"] >= 16
    assert link()["gso"] is False and link()["gso_setting"] == "auto"
    pair.client.wait_log("does not cut bursts")
    assert pair.client.path(cable.name)["state"] == "up", "that is no fault of the path"
    set_mtu(1500)

    def cuts_again():
        transfer(pair.client_node, pair.server_node, SERVER_IP, 8 << 20)
        return link()["gso"]

    wait_until(cuts_again, 20, "bursts leave by one call again")
    assert pair.client.process.output().count("link_gso_refused") <= 1
    assert pair.client.process.output().count("does not cut bursts") == 1
    assert pair.client.dropped("tx_send_error") == 0


def test_a_reload_switches_gso_and_gro_and_refuses_tso_by_name(lab):
    pair = Pair(lab, rates=(None,))
    handshakes = pair.client.peer()["handshakes"]
    pair.client.sections["link wan1"].update({"gso": OFF, "gro": OFF})
    assert pair.client.reload().returncode == 0
    wait_until(lambda: in_force(pair.client)[:2] == (False, False), 5, "both are off")
    transfer(pair.client_node, pair.server_node, SERVER_IP, 1 << 20)
    assert pair.client.peer()["handshakes"] == handshakes, "the session is the same"
    pair.client.sections["network"]["tso"] = OFF
    refused = pair.client.reload()
    assert refused.returncode != 0 and "tso" in refused.stderr
    assert in_force(pair.client)[2:] == (True, True)
