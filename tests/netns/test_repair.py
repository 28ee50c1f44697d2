# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""What a link loses, or takes along when it dies, comes over the others.

    client 10.10.0.2                                server 10.10.0.1
      wan1 10.0.1.1 ------ [ wan ] 10.0.1.0/24 ------ 10.0.1.2 wan1
      wan2 10.0.2.1 ------ [ wan ] 10.0.2.0/24 ------ 10.0.2.2 wan2
"""
import threading

import pytest

from bond import CLIENT_IP, SERVER_IP
from lab import becomes_true, wait_until
from traffic import PingTrain, iperf, udp_probe
from wan import WanPair

LINE = "rate=100mbit delay=10ms queue=100ms"
# Death is to be noticed by the data, long before pings could tell.
PATIENT = {"health_check_interval_ms": 1000, "health_check_timeout_ms": 20000}


def make_pair(lab, mode="aggregate", lines=(LINE, LINE)):
    pair = WanPair(lab, mode, rates=lines, client=PATIENT, server=PATIENT)
    wait_until(lambda: [p["state"] for p in pair.server.paths()] == ["up"] * len(lines), 10,
               "the server has found all paths")
    return pair


def probe_while_links_die(pair, source, target, address):
    """Cuts the one link, and when it is back the other, without a word to anybody."""
    outcome = []
    prober = threading.Thread(target=lambda: outcome.append(
        udp_probe(source, target, address, count=800, interval=0.005)))
    prober.start()
    for cable in pair.cables:
        becomes_true(lambda: False, 0.7)
        cable.cut_silently()
        becomes_true(lambda: False, 0.7)
        cable.mend()
    prober.join(60)
    return outcome[0]


@pytest.mark.parametrize("mode", ["aggregate", "failover"])
@pytest.mark.parametrize("is_upload", [True, False], ids=["upload", "download"])
def test_a_link_that_dies_silently_takes_no_packet_along(lab, mode, is_upload):
    pair = make_pair(lab, mode)
    ends = [(pair.client_node, pair.server_node, SERVER_IP), (pair.server_node, pair.client_node, CLIENT_IP)]

    outcome = probe_while_links_die(pair, *ends[0 if is_upload else 1])

    assert (outcome.lost, outcome.duplicates) == (0, 0)


def test_nor_beside_a_flow_that_fills_both(lab):
    pair = make_pair(lab)
    flow = threading.Thread(target=lambda: iperf(pair.client_node, pair.server_node, SERVER_IP, 6))
    flow.start()

    outcome = probe_while_links_die(pair, pair.client_node, pair.server_node, SERVER_IP)

    flow.join(60)
    assert (outcome.lost, outcome.duplicates) == (0, 0)


def test_what_a_lossy_link_loses_is_repaired(lab):
    pair = make_pair(lab, lines=[LINE + " loss=3%"] * 2)

    outcome = udp_probe(pair.client_node, pair.server_node, SERVER_IP, count=1500, interval=0.002)

    # 45 are lost on the way; of requests and what they bring some as well.
    assert outcome.lost <= 3
    assert outcome.duplicates == 0
    assert pair.server.peer()["reseq"]["repaired"] >= 20
    resent = pair.client.peer()["resend"]
    assert resent["packets"] >= 20
    assert resent["bytes"] >= 200 * resent["packets"]


def test_without_a_buffer_nothing_is_sent_again(lab):
    pair = WanPair(lab, rates=[LINE + " loss=3%"] * 2, client=PATIENT, server=PATIENT, start=False)
    pair.client.sections["network"]["repair_buffer"] = 0
    pair.start()

    outcome = udp_probe(pair.client_node, pair.server_node, SERVER_IP, count=500, interval=0.002)

    assert outcome.lost > 0
    assert pair.client.peer()["resend"]["packets"] == 0
    buffers = [daemon.network()["buffers"] for daemon in (pair.client, pair.server)]
    assert [b["repair_bytes"] for b in buffers] == [0, 8 << 20]


def test_pings_of_a_long_path_hold_up_nothing(lab):
    pair = make_pair(lab, lines=["delay=5ms", "delay=150ms"])

    with PingTrain(pair.client_node, SERVER_IP) as train:
        becomes_true(lambda: False, 4)

    # Those of the first third of a second may take either: nothing is known of the paths yet.
    times = train.times_ms[20:]
    slow = [ms for ms in times if ms > 100]
    assert len(slow) <= 0.05 * len(times), slow
