# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Mode auto: what is urgent goes over two links, the rest is spread.

    client 10.10.0.2                                server 10.10.0.1
      wan1 10.0.1.1 ------ [ wan ] 10.0.1.0/24 ------ 10.0.1.2 wan1
      wan2 10.0.2.1 ------ [ wan ] 10.0.2.0/24 ------ 10.0.2.2 wan2   loses a fifth
"""
import threading

import pytest

from bond import CLIENT_IP, SERVER_IP, VTRUNKCTL
from lab import wait_until
from traffic import iperf, udp_probe
from wan import WanPair

# Slow, so that what reads the interface keeps up on a busy machine: else the kernel drops from its queue, names too.
LINE = "rate=5mbit delay=10ms queue=100ms"
LOSSY = LINE + " loss=20%"
# Pings are lost too, so the lossy link must be allowed to be silent for longer.
PATIENT = {"health_check_timeout_ms": 30000}


def make_pair(lab, mode="auto"):
    pair = WanPair(lab, mode, rates=[LINE, LOSSY], client=PATIENT, server=PATIENT)
    wait_until(lambda: [p["state"] for p in pair.server.paths()] == ["up"] * 2, 10, "the server has found both paths")
    return pair


def ask_names(source, target, address):
    """As a resolver would: small packets now and then."""
    return udp_probe(source, target, address, count=250, interval=0.02)


@pytest.mark.parametrize("is_upload", [True, False], ids=["upload", "download"])
def test_urgent_packets_are_not_lost_while_one_link_loses_a_fifth(lab, is_upload):
    pair = make_pair(lab)
    sender = pair.client if is_upload else pair.server
    ends = [(pair.client_node, pair.server_node, SERVER_IP), (pair.server_node, pair.client_node, CLIENT_IP)]

    outcome = ask_names(*ends[0 if is_upload else 1])

    assert (outcome.lost, outcome.duplicates) == (0, 0)
    copied = sender.peer()["copied"]
    assert copied["packets"] >= 250
    assert copied["bytes"] >= 250 * 100
    assert copied["refused"] == 0


def test_beside_bulk_which_is_spread_and_not_copied(lab):
    pair = make_pair(lab)
    bulk = threading.Thread(target=lambda: iperf(
        pair.client_node, pair.server_node, SERVER_IP, 6, "--udp", "--bitrate", "6500k", "--length", 1200))
    bulk.start()
    wait_until(lambda: pair.client.peer()["tx_bytes"] > 1 << 18, 10, "the bulk flows")
    before = [pair.sent(cable) for cable in pair.cables]

    outcome = ask_names(pair.client_node, pair.server_node, SERVER_IP)

    carried = [pair.sent(cable) - b for cable, b in zip(pair.cables, before)]
    bulk.join(60)
    assert outcome.lost <= 2
    assert outcome.duplicates == 0
    assert min(carried) > 0.2 * sum(carried), f"both links carry the bulk: {carried}"
    assert pair.client.peer()["copied"]["bytes"] < 0.05 * sum(carried)


def test_the_mode_can_be_set_while_it_runs(lab):
    pair = make_pair(lab, "aggregate")
    ask_names(pair.client_node, pair.server_node, SERVER_IP)
    assert pair.client.peer()["copied"]["packets"] == 0

    pair.client_node.run(VTRUNKCTL, "--socket", pair.client.control, "mode", "set", "auto")

    assert pair.client.network()["mode"] == "auto"
    assert ask_names(pair.client_node, pair.server_node, SERVER_IP).lost == 0
    assert pair.client.peer()["copied"]["packets"] >= 250
