# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Links that go, come back, or were never there.

    client 10.10.0.2                       server 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
      wan2 10.0.2.1 ------ 10.0.2.0/24 ------ 10.0.2.2 wan2
"""
import pytest

from bond import SERVER_IP, Pair
from hostile import Tap
from lab import stays_true, wait_until
from traffic import PingTrain, answers_ping, ping_lost, udp_probe, wait_for_ping

MODES = ["aggregate", "redundant", "failover"]


def take_down(cable):
    cable.down()


def cut_silently(cable):
    cable.cut_silently()


def remove_address(cable):
    cable.unaddress(cable.ends[0])


REPAIR = {
    take_down: lambda cable: cable.up(),
    cut_silently: lambda cable: cable.mend(),
    remove_address: lambda cable: cable.address(cable.ends[0]),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("cut", REPAIR, ids=lambda cut: cut.__name__)
def test_traffic_survives_a_cut_and_the_link_is_used_again(lab, mode, cut):
    pair = Pair(lab, mode)
    cable = pair.cables[0]

    def server_path():
        return pair.server.path_to(pair.client_address(cable))

    with PingTrain(pair.client_node, SERVER_IP) as train:
        cut(cable)
        pair.client.wait_path(cable.name, "down")
        wait_until(lambda: server_path()["state"] == "down", 5, "the server has found out too")
        assert ping_lost(pair.client_node, SERVER_IP) == 0, "the other link carries all"
        REPAIR[cut](cable)
        pair.client.wait_path(cable.name, "up")
        wait_until(lambda: server_path()["state"] == "up", 10, "the server uses it again")
        assert ping_lost(pair.client_node, SERVER_IP) == 0
    assert train.longest_gap < 3
    assert train.duplicates == 0
    assert pair.client.path(cable.name)["downs"] == 1, "it did not flap"


def test_the_server_sees_the_cut_too(lab):
    pair = Pair(lab)
    cable = pair.cables[0]
    address = pair.client_address(cable)

    cable.cut_silently()

    wait_until(lambda: pair.server.path_to(address)["state"] == "down", 5, "the server's path is down")
    cable.mend()
    wait_until(lambda: pair.server.path_to(address)["state"] == "up", 10, "the server's path is up")


@pytest.mark.parametrize("mode", MODES)
def test_a_link_that_never_answered_is_down_and_unused(lab, mode):
    pair = Pair(lab, mode, start=False)
    dead, alive = pair.cables
    dead.cut_silently()
    pair.server.start()
    pair.client.start()
    wait_for_ping(pair.client_node, SERVER_IP)

    pair.client.wait_path(dead.name, "down")
    before = pair.sent(dead)
    outcome = udp_probe(pair.client_node, pair.server_node, SERVER_IP, count=300, size=1000)

    assert outcome.lost == 0
    assert pair.sent(dead) - before < 300 * 1000 / 4, "no data goes into it"
    dead.mend()
    pair.client.wait_path(dead.name, "up")


def test_a_device_that_is_absent_at_start_is_used_when_it_appears(lab):
    pair = Pair(lab, start=False)
    late = pair.cables[1]
    pair.client.sections[f"link {late.name}"]["device"] = late.name
    pair.client_node.ip(f"link set {late.name} name absent")
    pair.server.start()
    pair.client.start()
    wait_for_ping(pair.client_node, SERVER_IP)
    assert pair.client.network()["links"][1]["open"] is False

    pair.client_node.ip("link set absent down")
    pair.client_node.ip(f"link set absent name {late.name}")
    late.up()

    pair.client.wait_path(late.name, "up")
    assert ping_lost(pair.client_node, SERVER_IP) == 0


def test_an_address_that_is_absent_at_start_is_used_when_it_appears(lab):
    pair = Pair(lab, start=False)
    late = pair.cables[1]
    pair.client.sections[f"link {late.name}"]["bind"] = pair.client_address(late)
    late.unaddress(pair.client_node)
    pair.server.start()
    pair.client.start()
    wait_for_ping(pair.client_node, SERVER_IP)

    late.address(pair.client_node)

    pair.client.wait_path(late.name, "up")


@pytest.mark.parametrize("cut", REPAIR, ids=lambda cut: cut.__name__)
def test_the_daemon_outlives_a_time_without_any_link(lab, cut):
    pair = Pair(lab)

    for cable in pair.cables:
        cut(cable)
    for cable in pair.cables:
        pair.client.wait_path(cable.name, "down")
    answers_ping(pair.client_node, SERVER_IP)
    stays_true(lambda: pair.client.answers() and pair.server.answers(), 2, "both daemons run")
    for cable in pair.cables:
        REPAIR[cut](cable)

    wait_for_ping(pair.client_node, SERVER_IP)
    for cable in pair.cables:
        pair.client.wait_path(cable.name, "up")


def test_all_links_dead_from_the_start_is_no_failure(lab):
    pair = Pair(lab, start=False)
    for cable in pair.cables:
        cable.down()
    pair.server.start()
    pair.client.start()
    stays_true(pair.client.answers, 1, "the daemon runs")

    for cable in pair.cables:
        cable.up()

    wait_for_ping(pair.client_node, SERVER_IP, seconds=15)


def without_routes(lab):
    """A pair that is not started, of whose client's second cable no route leads anywhere."""
    pair = Pair(lab, start=False)
    second = pair.cables[1]
    pair.client_node.ip(f"addr flush dev {second.name} scope global")
    pair.client_node.ip(f"addr add {pair.client_address(second)}/32 dev {second.name}")
    return pair


def test_a_link_bound_to_a_device_keeps_to_it(lab):
    pair = without_routes(lab)
    first, second = pair.cables
    # By the routes alone, both endpoints would be reached over the first cable.
    pair.client_node.ip(f"route add 10.0.2.0/24 dev {first.name} metric 1")
    pair.client_node.ip(f"route add 10.0.2.0/24 dev {second.name} metric 9")
    pair.client.sections[f"link {second.name}"]["device"] = second.name
    pair.start()

    assert pair.server.path_to(pair.client_address(second)) is not None


def test_a_mark_leads_a_link_by_a_table_of_its_own(lab):
    pair = without_routes(lab)
    first, second = pair.cables
    # By the main table alone, both endpoints would be reached over the first cable.
    pair.client_node.ip(f"route add 10.0.2.0/24 dev {first.name}")
    pair.client_node.ip(f"route add 10.0.2.0/24 dev {second.name} table 77")
    pair.client_node.ip("rule add fwmark 7 table 77")
    pair.client.sections[f"link {second.name}"]["fwmark"] = 7
    pair.start()

    assert pair.server.path_to(pair.client_address(second)) is not None


def test_a_link_without_endpoint_initiates_nothing(lab):
    pair = Pair(lab, rates=[None], start=False)
    with Tap(pair.server_node, "wan1") as tap:
        pair.server.start()

        stays_true(pair.server.answers, 1, "the server runs")

        assert not tap.datagrams()
    assert pair.server.peer()["session"] is False
