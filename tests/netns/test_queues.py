# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""All that test_modes.py asks for, with several queues of the interface; and what is about these."""
import threading

import pytest

import bond
from bond import SERVER_IP, Keys, Pair
from lab import wait_until
from test_accounting import Books, Sink, lost_of
from test_modes import *  # noqa: F401,F403
from test_workers import assert_order_is_kept, thread_names
from traffic import iperf, transfer, wait_for_ping

READERS = {"vt-tun", "vt-tun.1", "vt-tun.2"}


@pytest.fixture(autouse=True)
def several_queues(monkeypatch):
    monkeypatch.setattr(bond, "QUEUES", "3")


def used(daemon):
    return [queue["packets"] for queue in daemon.network()["queues"]]


def spread_out(address, numbers):
    """A program that sends numbered datagrams in turn from many sockets: so many flows."""
    return "/usr/bin/python3", "-c", f"""
import itertools, socket, struct, time
sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(16)]
for number in {numbers}:
    sockets[number % 16].sendto(struct.pack("!I", number) + bytes(996), {address!r})
    if number % 64 == 63:
        time.sleep(0.001)
"""


def test_flows_use_all_queues_and_stay_where_they_are(lab):
    """Also once answers have been written: these do not draw the flows to one queue.

    So many that none of three queues is left without one by chance (once in 10^8 times).
    """
    pair = Pair(lab, rates=(None,))
    assert READERS <= set(thread_names(pair.client))
    iperf(pair.client_node, pair.server_node, SERVER_IP, 1, "-P", "48")
    iperf(pair.client_node, pair.server_node, SERVER_IP, 1, "-P", "48", "-R")
    for daemon in (pair.client, pair.server):
        before = used(daemon)
        iperf(pair.client_node, pair.server_node, SERVER_IP, 1, "-P", "48")
        assert all(now > then for now, then in zip(used(daemon), before)), (before, used(daemon))


def test_no_packet_is_lost_or_overtaken_by_its_flow(lab):
    pair = Pair(lab, rates=(None, None))
    sink = Sink(pair.server_node)
    books = Books(pair.client, pair.server)
    pair.client_node.run(*spread_out(sink.address, range(20000)))
    missing = 20000 - sink.received()
    # Pings and reports that found no buffer are among it.
    assert missing <= lost_of(books.read()) <= missing + 100, books.read()
    flows = [[n for n in sink.numbers if n % 16 == flow] for flow in range(16)]
    assert all(flow == sorted(flow) for flow in flows)


@pytest.mark.parametrize("streams", (1, 4))
def test_connections_outlive_a_link(lab, streams):
    pair = Pair(lab, rates=("50mbit", "50mbit"))
    cable = pair.cables[0]
    killer = threading.Timer(1, cable.cut_silently)
    killer.start()
    try:
        result = iperf(pair.client_node, pair.server_node, SERVER_IP, 4, "-P", str(streams))
    finally:
        killer.join()
    ends = [interval["streams"] for interval in result["intervals"]][-1]
    assert len(ends) == streams and all(stream["bytes"] > 0 for stream in ends)


def test_peers_come_and_go_under_load(lab):
    """A reader may have a peer's packets in its hands when the peer is removed."""
    pair = Pair(lab, rates=(None,), start=False)
    sections = pair.client.sections
    peer = {"public_key": sections["wireguard"].pop("peer_public_key"), "allowed_ips": f"{SERVER_IP}/32",
            "endpoint": sections["link wan1"].pop("endpoint")}
    sections["peer server"] = peer
    pair.start()
    pair.client_node.spawn(*spread_out((SERVER_IP, 9), "itertools.count()"))
    for _ in range(5):
        sent = pair.client.peer()["tx_packets"]
        wait_until(lambda: pair.client.peer()["tx_packets"] > sent + 1000, 10, "the load goes to the peer")
        dropped = pair.client.dropped("tx_no_peer")
        sections["peer other"] = {"public_key": Keys().public, "allowed_ips": "10.10.9.0/24"}
        del sections["peer server"]
        assert pair.client.reload().returncode == 0
        wait_until(lambda: pair.client.dropped("tx_no_peer") > dropped + 1000, 10, "the peer has gone")
        sections["peer server"] = peer
        del sections["peer other"]
        assert pair.client.reload().returncode == 0
    wait_for_ping(pair.client_node, SERVER_IP)
    transfer(pair.client_node, pair.server_node, SERVER_IP, 1 << 20)


def test_counters_leave_in_order(lab):
    assert_order_is_kept(Pair(lab, rates=(None,)), 8)


def test_a_running_network_keeps_its_queues(lab):
    pair = Pair(lab, rates=(None,))
    pair.client.sections["network"]["queues"] = 2
    done = pair.client.reload()
    assert done.returncode == 1 and "queues" in done.stderr and "restart" in done.stderr
