# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""A link that works badly is left to others, by thresholds with others for its recovery.

    client 10.10.0.2                                server 10.10.0.1
      wan1 10.0.1.1 ------ [ wan ] 10.0.1.0/24 ------ 10.0.1.2 wan1
      wan2 10.0.2.1 ------ [ wan ] 10.0.2.0/24 ------ 10.0.2.2 wan2   becomes slow, or loses
"""
import pytest

from bond import SERVER_IP
from lab import stays_true, wait_until
from traffic import PingTrain, ping_lost, udp_probe
from wan import WanPair

# A link that loses half of the pings is not to be taken for dead.
PATIENT = {"health_check_timeout_ms": 30000}


@pytest.fixture
def make_pair(lab):
    def make(**thresholds):
        pair = WanPair(lab, rates=["delay=5ms"] * 2, client={**PATIENT, **thresholds}, server=PATIENT)
        pair.bad = pair.cables[1]
        pair.is_poor = lambda: pair.client.path(pair.bad.name)["poor"]
        assert not pair.is_poor()
        return pair
    return make


def carries(pair, cable):
    """Whether the client sends data over it."""
    before = pair.sent(cable)
    udp_probe(pair.client_node, pair.server_node, SERVER_IP, count=300, size=1000)
    return pair.sent(cable) - before > 300 * 1000 / 10


def test_a_slow_link_is_left_until_it_is_below_the_recovery_latency(make_pair):
    pair = make_pair(failure_latency_ms=100, recovery_latency_ms=50)

    pair.bad.set("delay=80ms")
    wait_until(pair.is_poor, 10, "160 ms are beyond the threshold")
    assert pair.client.path(pair.bad.name)["state"] == "up"
    assert not carries(pair, pair.bad)
    pair.bad.set("delay=35ms")
    wait_until(lambda: pair.client.path(pair.bad.name)["rtt_us"] < 80000, 10, "its round trip is shorter")
    stays_true(pair.is_poor, 1.5, "70 ms are too much to come back")
    pair.bad.set("delay=5ms")
    wait_until(lambda: not pair.is_poor(), 10, "10 ms are not")

    wait_until(lambda: pair.client.path(pair.bad.name)["active"], 5, "it is used again")


def test_a_lossy_link_is_left_and_used_again(make_pair):
    pair = make_pair(failure_loss=20, recovery_loss=5)

    # Both directions count, and there is no loss without packets.
    with PingTrain(pair.client_node, SERVER_IP):
        pair.bad.set("up.loss=60%")
        wait_until(pair.is_poor, 20, "60 % are beyond the threshold")
        assert not carries(pair, pair.bad)
        pair.bad.set("up.loss=0%")
        wait_until(lambda: not pair.is_poor(), 60, "it loses no more")
        wait_until(lambda: pair.client.path(pair.bad.name)["active"], 5, "it is used again")


def test_a_poor_link_is_used_while_there_is_no_other(make_pair):
    pair = make_pair(failure_latency_ms=100)
    pair.bad.set("delay=80ms")
    wait_until(pair.is_poor, 10, "it is poor")

    pair.cables[0].down()

    wait_until(lambda: pair.client.path(pair.bad.name)["active"], 10, "it is used")
    assert ping_lost(pair.client_node, SERVER_IP) == 0
