# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Against wireguard-go, the stock userspace WireGuard, over one link and over two; drawn in stock.py."""
import pytest

from bond import CLIENT_IP, PORT, SERVER_IP, SERVER_IP6, new_psk
from lab import wait_until
from stock import COMBINATION_NAMES, COMBINATIONS, Mixed, check_pings, check_roaming
from traffic import answers_ping, ping_lost, transfer, udp_probe, wait_for_ping


@pytest.mark.parametrize("vtrunkd_initiates, psk, family", COMBINATIONS, ids=COMBINATION_NAMES)
def test_a_stock_peer_and_vtrunkd_talk(lab, vtrunkd_initiates, psk, family):
    mixed = Mixed(lab, 1, vtrunkd_initiates, new_psk() if psk else None, family=family)
    mixed.connect()

    check_pings(mixed)
    transfer(mixed.client, mixed.server, SERVER_IP, 16 << 20)
    transfer(mixed.server, mixed.client, CLIENT_IP, 16 << 20)
    transfer(mixed.client, mixed.server, SERVER_IP6, 1 << 20)


def test_a_stock_peer_is_followed_when_it_roams(lab):
    mixed = Mixed(lab)
    mixed.connect()
    cable = mixed.cables[0]

    cable.unaddress(mixed.server)
    mixed.server.ip(f"addr add 10.0.{cable.number}.77/24 dev {cable.name}")
    # Until its socket is another one it holds on to the address that it was asked at, which is gone.
    mixed.stock.set("listen-port", PORT + 1)
    wait_for_ping(mixed.server, CLIENT_IP)

    wait_until(lambda: mixed.daemon.path_to(f"10.0.{cable.number}.77"), 10, "the path follows")
    assert ping_lost(mixed.client, SERVER_IP) == 0


def test_a_stock_peer_follows_when_we_roam(lab):
    check_roaming(Mixed(lab))


def test_a_stock_peer_is_shown_as_not_multilink(lab):
    mixed = Mixed(lab)
    mixed.connect()

    wait_until(lambda: mixed.daemon.peer()["multilink"] is False, 15, "the peer is known as a stock one")
    assert ping_lost(mixed.client, SERVER_IP) == 0


@pytest.mark.parametrize("multilink", ["auto", "yes", "no"])
def test_the_questions_to_a_stock_peer_do_it_no_harm(lab, multilink):
    mixed = Mixed(lab, wireguard={"multilink": multilink})
    mixed.connect()

    outcome = udp_probe(mixed.client, mixed.server, SERVER_IP, count=2000)

    assert (outcome.lost, outcome.duplicates, outcome.late) == (0, 0, 0)
    assert mixed.daemon.peer()["session"]


@pytest.mark.parametrize("mode", ["aggregate", "redundant", "failover", "auto"])
def test_a_stock_peer_can_be_served_over_two_links(lab, mode):
    mixed = Mixed(lab, n_links=2, wireguard={"bonding_mode": mode})
    mixed.connect()

    outcome = udp_probe(mixed.client, mixed.server, SERVER_IP, count=500)
    assert (outcome.lost, outcome.duplicates) == (0, 0)
    transfer(mixed.client, mixed.server, SERVER_IP, 8 << 20)
    transfer(mixed.server, mixed.client, CLIENT_IP, 8 << 20)


def test_auto_sends_a_stock_peer_no_copies(lab):
    """They would come first now and then, and lead its endpoint to and fro."""
    mixed = Mixed(lab, n_links=2, wireguard={"bonding_mode": "auto"})
    mixed.connect()
    wait_until(lambda: mixed.daemon.peer()["multilink"] is False, 15, "the peer is known as a stock one")
    before = [mixed.client.counters(cable.name)["tx"]["bytes"] for cable in mixed.cables]

    outcome = udp_probe(mixed.client, mixed.server, SERVER_IP, count=500)

    sent = [mixed.client.counters(cable.name)["tx"]["bytes"] - b for cable, b in zip(mixed.cables, before)]
    assert (outcome.lost, outcome.duplicates) == (0, 0)
    assert mixed.daemon.peer()["copied"]["packets"] == 0
    assert min(sent) < 0.1 * max(sent), f"one link carries it all: {sent}"


@pytest.mark.parametrize("scheduler", ["adaptive", "weight"])
def test_aggregate_to_a_stock_peer_uses_several_links_only_by_weight(lab, scheduler):
    mixed = Mixed(lab, n_links=2, wireguard={"bonding_mode": "aggregate", "scheduler": scheduler})
    mixed.connect()
    transfer(mixed.client, mixed.server, SERVER_IP, 8 << 20)

    sent = [mixed.client.counters(cable.name)["tx"]["bytes"] for cable in mixed.cables]

    if scheduler == "weight":
        assert min(sent) > sum(sent) * 0.3, sent
    else:
        assert min(sent) < 1 << 20, sent


def test_a_stock_peer_answers_over_the_link_that_carries_the_data(lab):
    mixed = Mixed(lab, n_links=2, wireguard={"bonding_mode": "failover"})
    mixed.connect()
    wait_until(lambda: mixed.daemon.peer()["multilink"] is False, 15, "the peer is known as a stock one")

    # Nothing but the questions was sent on the second link, and they are not what it is left with.
    first = mixed.cables[0]
    wait_until(lambda: mixed.is_seen_at(first), 5, "its endpoint is on the first link")


def test_with_a_stock_peer_failover_still_leaves_a_link_that_goes_down_and_comes_back(lab):
    mixed = Mixed(lab, n_links=2, wireguard={"bonding_mode": "failover"})
    mixed.connect()

    first = mixed.cables[0]

    first.down()
    wait_for_ping(mixed.client, SERVER_IP, 15)

    first.up()
    wait_until(lambda: answers_ping(mixed.client, SERVER_IP) and mixed.is_seen_at(first), 15,
               "the peer's endpoint is on the first link again")


def test_a_preferred_link_that_is_dead_from_the_start_is_used_when_it_answers(lab):
    mixed = Mixed(lab, n_links=2, wireguard={"bonding_mode": "failover", "multilink": "no"}, start=False)
    first, second = mixed.cables
    first.cut_silently()

    mixed.daemon.start()
    wait_for_ping(mixed.client, SERVER_IP, 8)
    assert mixed.is_seen_at(second)

    first.mend()
    wait_until(lambda: mixed.daemon.path("wan1")["state"] == "up", 25, "the first link answers a trial")
    wait_until(lambda: mixed.is_seen_at(first), 5, "and is the one that carries the data")
    assert ping_lost(mixed.client, SERVER_IP) == 0


def test_packets_beyond_our_mtu_from_an_authenticated_peer_do_no_harm(lab):
    mixed = Mixed(lab, mtu=9000)
    for end in mixed.cables[0].ends:
        end.ip(f"link set {mixed.cables[0].name} mtu 9200")
    mixed.connect()

    mixed.server.run("ping", "-n", "-c", 20, "-i", 0.01, "-W", 1, "-M", "do", "-s", 8000, CLIENT_IP, check=False)

    assert ping_lost(mixed.client, SERVER_IP) == 0
    assert ping_lost(mixed.server, CLIENT_IP) == 0


def test_a_stock_peer_with_another_preshared_key_gets_no_session(lab):
    mixed = Mixed(lab, psk=new_psk(), stock_psk=new_psk())

    assert not answers_ping(mixed.client, SERVER_IP)
    assert mixed.daemon.peer()["session"] is False
