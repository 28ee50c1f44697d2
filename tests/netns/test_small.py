# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""profile = small, and sizes of one's own.

    client 10.10.0.2 ==== tunnel ==== 10.10.0.1 server
      wan1, wan2 10.0.1.1, 10.0.2.1 ---- 10.0.1.2, 10.0.2.2
"""
import sys

import pytest

from bond import CLIENT_IP, SERVER_IP, Pair
from lab import wait_until
from test_service import IS_SANITIZED
from traffic import iperf, ping_lost, transfer

sys.path.insert(0, str(__file__).rsplit("/", 2)[0] + "/bench")
from tunnels import resident_bytes  # noqa: E402

LIMIT_MB = 8


def small_pair(lab, **options):
    pair = Pair(lab, start=False, **options)
    for daemon in (pair.client, pair.server):
        daemon.sections["daemon"] = {"profile": "small"}
    return pair


@pytest.fixture(name="pair")
def make_pair(lab):
    return small_pair(lab)


def resident_mb(daemon):
    return resident_bytes(daemon.processes()) / 1e6


def test_small_daemon_stays_small_while_it_carries_data(lab):
    """Even when it has used all of its buffers; each further link has its own."""
    pair = small_pair(lab, rates=[None])
    pair.start()
    assert pair.client.network()["sizes"]["buffers"] == 16
    assert pair.client.network()["aead"] == "openssl"

    for _ in range(2):
        transfer(pair.client_node, pair.server_node, SERVER_IP, 64 << 20)
        transfer(pair.server_node, pair.client_node, CLIENT_IP, 64 << 20)

    assert ping_lost(pair.client_node, SERVER_IP) == 0
    # What its start has used is given back after a while.
    for daemon in (pair.client, pair.server):
        if not IS_SANITIZED:
            wait_until(lambda: resident_mb(daemon) < LIMIT_MB, 20, f"less than {LIMIT_MB} MB")


def test_flows_that_are_not_paced_find_room_at_a_small_daemon(lab):
    pair = small_pair(lab, rates=[None])
    pair.start()

    iperf(pair.client_node, pair.server_node, SERVER_IP, 3, "--parallel", 4)

    for daemon in (pair.client, pair.server):
        assert daemon.dropped("rx_socket_overflow") == 0


def test_sizes_are_as_configured_and_the_least_ones_work(pair):
    least = {"buffers": 16, "queue_buffers": 4, "receive_batch": 1, "link_queue": 16, "reorder_packets": 64,
             "handshake_queue": 16, "event_queue": 32}
    for daemon in (pair.client, pair.server):
        daemon.sections["network"].update(least)
    pair.client.sections["link wan1"]["receive_buffer"] = 200000
    pair.start()
    assert pair.client.network()["sizes"] == least
    assert [link["receive_buffer"] for link in pair.client.network()["links"]] == [200000, 4 << 20]

    transfer(pair.client_node, pair.server_node, SERVER_IP, 16 << 20)
    transfer(pair.server_node, pair.client_node, CLIENT_IP, 16 << 20)
    assert ping_lost(pair.client_node, SERVER_IP) == 0


def test_a_reload_changes_the_buffers_of_a_socket(pair):
    pair.start()
    pair.client.sections["link wan1"]["receive_buffer"] = 200000
    assert pair.client.reload().returncode == 0

    # The kernel counts twice what it is asked for.
    wait_until(lambda: "rb400000," in pair.client_node.run("ss", "-Huanm").stdout, 5, "a socket with that buffer")
    assert pair.client.network()["links"][0]["receive_buffer"] == 200000
    pair.client.wait_path("wan1", "up")
