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
import threading

import pytest

from bond import CLIENT_IP, CLIENT_IP6, SERVER_IP, SERVER_IP6, Pair
from lab import wait_until
from traffic import family_of, ping_lost, transfer

UDP_SEGMENT = 103
SO_RCVBUFFORCE = 33
TCP_INFO_ECN_SEEN = 16  # in the byte of options
IPV6_HEADER = socket.IPPROTO_IPV6

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


def tcp_bulk(source, target, address, options, n_bytes):
    """Sends by TCP with socket options that change its headers; was a congestion mark's room seen at the other end?"""
    listener = target.socket(family_of(address), socket.SOCK_STREAM)
    listener.bind((address, 0))
    listener.listen(1)
    sender = source.socket(family_of(address), socket.SOCK_STREAM)
    for option in options:
        sender.setsockopt(*option)
    sender.connect(listener.getsockname()[:2])
    data = os.urandom(n_bytes)
    writer = threading.Thread(target=sender.sendall, args=(data,), daemon=True)
    connection, _ = listener.accept()
    connection.settimeout(10)
    with connection, sender:
        writer.start()
        received = b""
        while len(received) < n_bytes and (chunk := connection.recv(n_bytes)):
            received += chunk
        writer.join(10)
        assert received == data, f"other bytes, or {len(received)} of {n_bytes}"
        return bool(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[5] & TCP_INFO_ECN_SEEN)


def header_forms(address):
    """Socket options for each form of IP header, with TCP's largest segments and some that are smaller."""
    if ":" in address:
        forms = [(), ((IPV6_HEADER, socket.IPV6_TCLASS, 0xb8),),
                 ((IPV6_HEADER, socket.IPV6_DSTOPTS, bytes([0, 0, 1, 4, 0, 0, 0, 0])),)]  # only padding
    else:
        forms = [(), ((socket.IPPROTO_IP, socket.IP_TOS, 0xb8),),
                 ((socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([1, 1, 1, 0])),)]  # nothing, and its end
    return [(*form, *size) for form in forms
            for size in [(), *(((socket.IPPROTO_TCP, socket.TCP_MAXSEG, n),) for n in (88, 89, 535, 1000, 1367))]]


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


@pytest.mark.parametrize("timestamps, ecn", [(1, 1), (0, 0)])
def test_tcp_of_every_form_comes_out_as_it_was(lab, timestamps, ecn):
    pair = Pair(lab, rates=(None,))
    for node in (pair.client_node, pair.server_node):
        node.run("sysctl", "-qw", f"net.ipv4.tcp_timestamps={timestamps}", f"net.ipv4.tcp_ecn={ecn}")
    n_bytes, n_segments = 200000, 0
    for address in (SERVER_IP, SERVER_IP6):
        for options in header_forms(address):
            ecn_seen = tcp_bulk(pair.client_node, pair.server_node, address, options, n_bytes)
            assert ecn_seen == bool(ecn), options
            n_segments += n_bytes // (options[-1][2] if options and options[-1][1] == socket.TCP_MAXSEG else 1368)
    # They came out of the interface in large pieces, and none was refused on its way in.
    assert pair.client.network()["queues"][0]["packets"] < n_segments / 3
    assert pair.client.dropped("tx_malformed") == pair.server.dropped("rx_tun_write") == 0
    assert "TcpInCsumErrors 0" in " ".join(pair.server_node.run("nstat", "-asz", "TcpInCsumErrors").stdout.split())


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
