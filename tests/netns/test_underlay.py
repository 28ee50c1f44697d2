# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""IPv4 and IPv6 outside and inside, sizes, and pre-shared keys.

    client 10.10.0.2, fd10::2                     server 10.10.0.1, fd10::1
      wan1 10.0.1.1, fd00:1::1 ---------------- 10.0.1.2, fd00:1::2 wan1
      wan2 10.0.2.1, fd00:2::1 ---------------- 10.0.2.2, fd00:2::2 wan2
"""
import pytest

from bond import CLIENT_IP, CLIENT_IP6, SERVER_IP, SERVER_IP6, Pair, new_psk
from lab import stays_true
from traffic import answers_ping, iperf, ping_lost, transfer

MTU = 1420


@pytest.mark.parametrize("families", [[4, 4], [6, 6], [4, 6]], ids=["v4", "v6", "mixed"])
def test_both_families_travel_over_each_underlay(lab, families):
    pair = Pair(lab, rates=["50mbit"] * 2, families=families)

    assert ping_lost(pair.client_node, SERVER_IP) == 0
    assert ping_lost(pair.client_node, SERVER_IP6) == 0
    assert ping_lost(pair.server_node, CLIENT_IP6) == 0
    for address in (SERVER_IP, SERVER_IP6):
        before = [pair.sent(cable) for cable in pair.cables]
        transfer(pair.client_node, pair.server_node, address)
        assert all(pair.sent(cable) - b > 1 << 17 for cable, b in zip(pair.cables, before))


def test_the_default_socket_follows_the_family_of_the_endpoint(lab):
    pair = Pair(lab, rates=[None], families=[6])

    sockets = pair.client_node.run("ss", "-Hunl").stdout
    assert "[::]" in sockets or "*:" in sockets
    assert "0.0.0.0:" not in sockets


def test_the_source_address_is_the_one_that_was_spoken_to(lab):
    """A wildcard server with two addresses on one cable answers from the one it was asked at."""
    pair = Pair(lab, rates=[None], start=False)
    cable = pair.cables[0]
    pair.server_node.ip(f"addr add 10.0.1.77/24 dev {cable.name}")
    pair.client.sections[f"link {cable.name}"]["endpoint"] = "10.0.1.77:51820"
    pair.start()

    transfer(pair.server_node, pair.client_node, CLIENT_IP)
    assert pair.client_path(cable)["remote"] == "10.0.1.77:51820"


def test_packets_of_exactly_the_mtu_pass_unfragmented(lab):
    pair = Pair(lab)

    assert ping_lost(pair.client_node, SERVER_IP, 10, "-M", "do", "-s", MTU - 28) == 0
    assert ping_lost(pair.server_node, CLIENT_IP6, 10, "-M", "do", "-s", MTU - 48) == 0
    assert ping_lost(pair.client_node, SERVER_IP, 10, "-M", "dont", "-s", 20000) == 0, "fragments"


@pytest.mark.parametrize("mtu", [576, 1280, 1420, 9000])
def test_every_packet_size_arrives(lab, mtu):
    pair = Pair(lab, rates=[None], start=False)
    for cable in pair.cables:
        for end in cable.ends:
            end.ip(f"link set {cable.name} mtu 9200")
    for daemon in (pair.client, pair.server):
        daemon.sections["network"]["mtu"] = mtu
        if mtu < 1280:  # the least that IPv6 lives with
            daemon.sections["network"]["address"] = daemon.sections["network"]["address"].split(",")[0]
    pair.start()

    for size in {0, 1, 15, 16, 17, 255, 256, 500, mtu - 29, mtu - 28}:
        assert ping_lost(pair.client_node, SERVER_IP, 2, "-M", "do", "-s", size) == 0, f"{size} bytes"


@pytest.mark.parametrize("mode", ["aggregate", "redundant", "failover"])
def test_large_transfers_arrive_intact_both_ways(lab, mode):
    pair = Pair(lab, mode)

    transfer(pair.client_node, pair.server_node, SERVER_IP, 32 << 20)
    transfer(pair.server_node, pair.client_node, CLIENT_IP, 32 << 20)
    transfer(pair.client_node, pair.server_node, SERVER_IP6, 8 << 20, write_bytes=1000)


def test_many_flows_at_once_arrive(lab):
    pair = Pair(lab)

    answer = iperf(pair.client_node, pair.server_node, SERVER_IP, 2, "--parallel", 8, "--bidir")

    for stream in answer["end"]["streams"]:
        assert stream["receiver"]["bytes"] > 0


def test_the_same_preshared_key_lets_them_talk(lab):
    psk = {"preshared_key": new_psk()}
    pair = Pair(lab, client=psk, server=psk)

    assert ping_lost(pair.client_node, SERVER_IP) == 0


@pytest.mark.parametrize("server_has_one", [True, False], ids=["another", "none"])
def test_a_different_preshared_key_keeps_them_apart(lab, server_has_one):
    server = {"preshared_key": new_psk()} if server_has_one else {}
    pair = Pair(lab, client={"preshared_key": new_psk()}, server=server, start=False)
    pair.server.start()
    pair.client.start()

    stays_true(lambda: not pair.client.peer()["session"], 2, "no session")
    assert not answers_ping(pair.client_node, SERVER_IP)
