# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""What each bonding mode promises.

    client 10.10.0.2                       server 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
      wan2 10.0.2.1 ------ 10.0.2.0/24 ------ 10.0.2.2 wan2
"""
import pytest

from bond import CLIENT_IP, SERVER_IP, Pair
from lab import wait_until
from traffic import PingTrain, iperf, tcp_mbps, transfer, udp_probe

LINK_MBPS = 50


@pytest.mark.parametrize("congestion", ["cubic", "bbr"])
@pytest.mark.parametrize("is_reverse", [False, True], ids=["upload", "download"])
def test_aggregate_gives_one_tcp_flow_more_than_one_link(lab, is_reverse, congestion):
    pair = Pair(lab, "aggregate", rates=[f"{LINK_MBPS}mbit"] * 2)
    for node in (pair.client_node, pair.server_node):
        node.use_congestion_control(congestion)

    mbps = tcp_mbps(pair.client_node, pair.server_node, SERVER_IP, 4, *(["--reverse"] if is_reverse else []))

    assert mbps > 1.4 * LINK_MBPS
    counter = "rx_bytes" if is_reverse else "tx_bytes"
    carried = [pair.client_path(cable)[counter] for cable in pair.cables]
    assert min(carried) > 0.3 * sum(carried), f"both links carry data: {carried}"


def test_aggregate_splits_bytes_by_weight_if_told_to(lab):
    pair = Pair(lab, "aggregate", weights=[3, 1], client={"scheduler": "weight"})
    before = [pair.sent(cable) for cable in pair.cables]

    iperf(pair.client_node, pair.server_node, SERVER_IP, 3, "--udp", "--bitrate", "20M", "--length", 1200)

    first, second = (pair.sent(cable) - b for cable, b in zip(pair.cables, before))
    assert first / (first + second) == pytest.approx(0.75, rel=0.05)


def test_aggregate_keeps_the_order_of_packets(lab):
    pair = Pair(lab, "aggregate")

    outcome = udp_probe(pair.client_node, pair.server_node, SERVER_IP, count=1000, interval=0.001)

    assert (outcome.lost, outcome.duplicates) == (0, 0)
    assert outcome.late <= 5, "but for what a busy machine holds up for longer than any link would"


@pytest.mark.parametrize("is_upload", [True, False], ids=["upload", "download"])
def test_redundant_loses_nothing_while_one_link_loses_half(lab, is_upload):
    # Pings are lost too, so the lossy link must be allowed to be silent for longer.
    patient = {"health_check_timeout_ms": 30000}
    pair = Pair(lab, "redundant", client=patient, server=patient)
    ends = [(pair.client_node, pair.server_node, SERVER_IP), (pair.server_node, pair.client_node, CLIENT_IP)]
    source, target, address = ends[0 if is_upload else 1]
    pair.cables[0].lose(50)

    # So slow that the queue of the good link does not fill while a busy machine lets it wait.
    outcome = udp_probe(source, target, address, count=400, interval=0.003)

    assert outcome.lost == 0
    assert outcome.duplicates == 0


def test_redundant_sends_every_packet_on_both_links(lab):
    pair = Pair(lab, "redundant")
    before = [pair.client_path(cable)["tx_packets"] for cable in pair.cables]

    outcome = udp_probe(pair.client_node, pair.server_node, SERVER_IP, count=500)

    assert (outcome.lost, outcome.duplicates) == (0, 0)
    wait_until(lambda: all(pair.client_path(cable)["tx_packets"] - b >= 500
                           for cable, b in zip(pair.cables, before)), 5, "500 packets on each link")
    assert pair.server.dropped("rx_duplicate") >= 500


def test_failover_uses_the_heavier_link_alone_and_comes_back_to_it(lab):
    pair = Pair(lab, "failover", weights=[1, 9])
    light, heavy = pair.cables

    def carries(cable, other):
        before = [pair.sent(c) for c in (cable, other)]
        udp_probe(pair.client_node, pair.server_node, SERVER_IP, count=200, size=1000)
        used, unused = (pair.sent(c) - b for c, b in zip((cable, other), before))
        return used > 200 * 1000 and unused < 50 * 1000

    assert carries(heavy, light)
    with PingTrain(pair.client_node, SERVER_IP) as train:
        heavy.cut_silently()
        pair.client.wait_path(heavy.name, "down")
        wait_until(lambda: pair.client_path(light)["active"], 5, "the light link takes over")
        assert carries(light, heavy)
        heavy.mend()
        pair.client.wait_path(heavy.name, "up")
        wait_until(lambda: pair.client_path(heavy)["active"], 5, "the heavy link takes over again")
    assert train.longest_gap < 3
    assert not pair.client_path(light)["active"]
    assert carries(heavy, light)


def test_failover_prefers_the_first_of_equal_weight(lab):
    pair = Pair(lab, "failover")

    assert pair.client_path(pair.cables[0])["active"]
    assert not pair.client_path(pair.cables[1])["active"]


@pytest.mark.parametrize("alias", ["bonding", "bonded"])
def test_an_alias_of_aggregate_is_shown_as_aggregate(lab, alias):
    pair = Pair(lab, alias, rates=[None])

    assert pair.client.network()["mode"] == "aggregate"


def test_an_idle_standby_link_still_gets_handshakes(lab):
    pair = Pair(lab, "failover", weights=[9, 1], start=False)
    for cable in pair.cables:
        pair.server_node.nft(f"""
            table netdev count_{cable.name} {{
                chain in {{
                    type filter hook ingress device "{cable.name}" priority 0
                    udp dport 51820 @th,64,8 1 counter
                }}
            }}""")
    pair.start()

    for cable in pair.cables:
        wait_until(lambda: "counter packets 0 " not in pair.server_node.run(
            "nft", "list", "table", "netdev", f"count_{cable.name}").stdout, 5, f"an initiation on {cable.name}")


def test_a_backup_link_carries_data_only_while_the_primary_one_does_not(lab):
    pair = Pair(lab, start=False)
    primary, backup = pair.cables
    pair.client.sections[f"link {backup.name}"]["role"] = "backup"
    pair.start()

    def server_path():
        return pair.server.path_to(pair.client_address(backup))

    wait_until(lambda: server_path() and server_path()["role"] == "backup", 5, "the server has been told")
    before = pair.sent(backup)
    transfer(pair.client_node, pair.server_node, SERVER_IP, 300000)
    assert pair.sent(backup) - before < 300000 / 4, "only pings"

    primary.cut_silently()
    pair.client.wait_path(primary.name, "down")
    wait_until(lambda: pair.client.path(backup.name)["active"] and server_path()["active"], 5, "the backup is used")
    transfer(pair.client_node, pair.server_node, SERVER_IP, 300000)

    primary.mend()
    pair.client.wait_path(primary.name, "up")
    assert not pair.client.path(backup.name)["active"]


def test_a_rate_caps_what_is_sent(lab):
    pair = Pair(lab, rates=[None], start=False)
    pair.client.sections["link wan1"]["rate"] = "20mbit"
    pair.start()

    assert 10 < tcp_mbps(pair.client_node, pair.server_node, SERVER_IP, 3) < 22
