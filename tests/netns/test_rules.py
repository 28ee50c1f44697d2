# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Rules bind what they are about to certain links, and the rest goes as always.

    client 10.10.0.2                                server 10.10.0.1
      wan1 10.0.1.1 ------ [ wan ] 10.0.1.0/24 ------ 10.0.1.2 wan1
      wan2 10.0.2.1 ------ [ wan ] 10.0.2.0/24 ------ 10.0.2.2 wan2
"""
import json
import threading

import pytest

from bond import CLIENT_IP, SERVER_IP, VTRUNKD
from lab import becomes_true, wait_until
from traffic import iperf, ping_lost, udp_probe
from wan import WanPair

LINE = "rate=30mbit delay=5ms queue=100ms"
SATELLITE = "rate=30mbit delay=150ms queue=100ms"
PATIENT = {"health_check_interval_ms": 1000, "health_check_timeout_ms": 20000}
EF, LE = 46, 1


def make_pair(lab, client_rules=None, server_rules=None, mode="aggregate", lines=(LINE, LINE), wireguard=None,
              rank=None):
    settings = {**(wireguard or {})}
    pair = WanPair(lab, mode, rates=lines, weights=rank, client=settings, server=settings, start=False)
    pair.client.sections.update(client_rules or {})
    pair.server.sections.update(server_rules or {})
    pair.start()
    wait_until(lambda: [p["state"] for p in pair.server.paths()] == ["up"] * len(lines), 10,
               "the server has found both paths")
    return pair


def rule(daemon, name):
    return next(r for r in daemon.network()["rules"] if r["name"] == name)


class Carried:
    """What each cable carries of the client's in a block, in bytes."""

    def __init__(self, pair, end="tx"):
        self.pair, self.end = pair, end

    def now(self):
        return [self.pair.client_node.counters(cable.name)[self.end]["bytes"] for cable in self.pair.cables]

    def __enter__(self):
        self.before = self.now()
        return self

    def __exit__(self, *_):
        self.bytes = [after - before for before, after in zip(self.before, self.now())]


MODES = {
    "aggregate": ("aggregate", {}),
    "auto": ("auto", {}),
    "failover": ("failover", {}),
    "redundant": ("redundant", {}),
    "weight": ("aggregate", {"scheduler": "weight"}),
}


@pytest.mark.parametrize("mode", MODES)
def test_calls_take_their_link_in_order_and_bulk_goes_as_before(lab, mode):
    name, settings = MODES[mode]
    lines = (LINE, "rate=30mbit delay=20ms queue=100ms")  # what may choose takes the first
    pair = make_pair(lab, {"rule calls": {"dscp": "EF", "links": "wan2"}}, mode=name, wireguard=settings, rank=(2, 1),
                     lines=lines)

    with Carried(pair) as calls:
        outcome = udp_probe(pair.client_node, pair.server_node, SERVER_IP, count=400, size=1000, dscp=EF)
    with Carried(pair) as bulk:
        udp_probe(pair.client_node, pair.server_node, SERVER_IP, count=400, size=1000)

    assert (outcome.lost, outcome.duplicates, outcome.late) == (0, 0, 0)
    assert calls.bytes[1] > 400 * 1000 and calls.bytes[0] < 100 * 1000, calls.bytes
    assert bulk.bytes[0] > 200 * 1000, bulk.bytes
    met = rule(pair.client, "calls")
    assert (met["packets"], met["bytes"], met["elsewhere_bytes"]) == (400, 400 * 1028, 0)
    assert rule(pair.client, None)["packets"] == 0


def test_the_side_without_the_links_names_those_of_its_peer(lab):
    pair = make_pair(lab, server_rules={"rule calls": {"dscp": "EF", "peer_links": "wan2"}})

    with Carried(pair, "rx") as calls:
        outcome = udp_probe(pair.server_node, pair.client_node, CLIENT_IP, count=400, size=1000, dscp=EF)

    assert (outcome.lost, outcome.late) == (0, 0)
    assert calls.bytes[1] > 400 * 1000 and calls.bytes[0] < 100 * 1000, calls.bytes


def test_bulk_and_calls_at_once_do_not_wait_for_each_other(lab):
    pair = make_pair(lab, {"rule slow": {"protocol": "tcp", "links": "wan2"}}, lines=(LINE, SATELLITE),
                     wireguard=PATIENT)
    bulk = threading.Thread(target=lambda: iperf(pair.client_node, pair.server_node, SERVER_IP, 4))
    bulk.start()
    wait_until(lambda: rule(pair.client, "slow")["bytes"] > 1 << 20, 20, "the bulk flows")

    outcome = udp_probe(pair.client_node, pair.server_node, SERVER_IP, count=300, size=1000)

    bulk.join(60)
    assert (outcome.lost, outcome.duplicates, outcome.late) == (0, 0, 0)
    assert rule(pair.client, "slow")["elsewhere_bytes"] == 0
    # None of what goes over the satellite was missed, or waited for, on the other side.
    assert pair.server.peer()["reseq"]["asked"] == 0


@pytest.mark.parametrize("fallback", ["any", "drop"])
def test_what_its_links_do_not_carry_any_more(lab, fallback):
    pair = make_pair(lab, {"rule calls": {"dscp": "EF", "links": "wan2", "fallback": fallback}})
    pair.cables[1].cut_silently()
    pair.client.wait_path("wan2", "down")

    outcome = udp_probe(pair.client_node, pair.server_node, SERVER_IP, count=100, dscp=EF)

    assert outcome.lost == (100 if fallback == "drop" else 0)
    assert pair.client.dropped("tx_rule") == (100 if fallback == "drop" else 0)
    pair.cables[1].mend()
    pair.client.wait_path("wan2", "up")
    before = rule(pair.client, "calls")["elsewhere_bytes"]
    assert udp_probe(pair.client_node, pair.server_node, SERVER_IP, count=100, dscp=EF).lost == 0
    assert rule(pair.client, "calls")["elsewhere_bytes"] == before


@pytest.mark.parametrize("mode", ["aggregate", "failover"])
def test_a_flow_leaves_its_link_by_the_missing_reports_and_comes_back(lab, mode):
    """The pings would tell of the link's death after 20 s, the data does so at once."""
    pair = make_pair(lab, {"rule calls": {"protocol": "udp", "links": "wan2, wan1"}}, mode=mode, wireguard=PATIENT)
    outcome = []
    prober = threading.Thread(target=lambda: outcome.append(
        udp_probe(pair.client_node, pair.server_node, SERVER_IP, count=1500, size=600, interval=0.002)))
    prober.start()
    becomes_true(lambda: False, 0.7)
    pair.cables[1].cut_silently()
    becomes_true(lambda: False, 0.7)
    pair.cables[1].mend()
    wait_until(lambda: not outcome, 1, "it still runs")
    with Carried(pair) as back:
        prober.join(30)

    # What was on its way is lost, as on that link alone: what nobody reports for some hundred milliseconds.
    assert outcome[0].lost < 400 and outcome[0].duplicates == 0
    assert back.bytes[1] > back.bytes[0], "it is on its link again"


def test_two_copies_where_a_link_loses_a_fifth(lab):
    lines = (LINE + " loss=20%", LINE)
    pair = make_pair(lab, {"rule calls": {"dscp": "EF", "links": "wan1, wan2", "redundant": "yes"}}, lines=lines,
                     wireguard={"health_check_timeout_ms": 30000})

    with Carried(pair) as calls:
        outcome = udp_probe(pair.client_node, pair.server_node, SERVER_IP, count=400, dscp=EF)

    assert (outcome.lost, outcome.duplicates) == (0, 0)
    assert min(calls.bytes) > 300 * 200, calls.bytes


def test_a_reload_moves_a_tcp_flow_that_lives_on(lab):
    pair = make_pair(lab, {"rule bulk": {"protocol": "tcp", "links": "wan1"}})
    handshakes = pair.client.peer()["handshakes"]
    answer = []
    flow = threading.Thread(target=lambda: answer.append(iperf(pair.client_node, pair.server_node, SERVER_IP, 5)))
    flow.start()
    wait_until(lambda: rule(pair.client, "bulk")["bytes"] > 2 << 20, 20, "it flows")
    with Carried(pair) as first:
        becomes_true(lambda: False, 0.5)
    # Another rule before it, which leaves its number alone.
    pair.client.sections = {"rule pings": {"protocol": "icmp", "links": "wan1"}, **pair.client.sections,
                            "rule bulk": {"protocol": "tcp", "links": "wan2"}}

    reply = pair.client.reload()

    assert reply.returncode == 0, reply.stderr
    becomes_true(lambda: False, 0.5)
    with Carried(pair) as second:
        becomes_true(lambda: False, 0.5)
    flow.join(60)
    assert first.bytes[0] > 10 * first.bytes[1], first.bytes
    assert second.bytes[1] > 10 * second.bytes[0], second.bytes
    assert answer[0]["end"]["sum_received"]["bytes"] > 5 << 20
    assert pair.client.peer()["handshakes"] == handshakes
    assert rule(pair.client, "bulk")["bytes"] > 5 << 20, "it goes on counting"


def test_lower_effort_takes_the_link_that_stands_by(lab):
    pair = make_pair(lab, lines=(LINE, SATELLITE), wireguard=PATIENT)

    with Carried(pair) as plain:
        udp_probe(pair.client_node, pair.server_node, SERVER_IP, count=300, size=1000)
    with Carried(pair) as marked:
        outcome = udp_probe(pair.client_node, pair.server_node, SERVER_IP, count=300, size=1000, dscp=LE)

    assert plain.bytes[0] > 300 * 1000 and plain.bytes[1] < 50 * 1000, plain.bytes
    assert marked.bytes[1] > 300 * 1000 and marked.bytes[0] < 50 * 1000, marked.bytes
    assert (outcome.lost, outcome.late) == (0, 0)
    assert rule(pair.client, None)["packets"] == 300


def test_lower_effort_is_like_all_else_where_no_link_stands_by_or_a_rule_says_so(lab):
    pair = make_pair(lab, {"rule le": {"dscp": "LE"}}, lines=(LINE, SATELLITE), wireguard=PATIENT)

    with Carried(pair) as marked:
        udp_probe(pair.client_node, pair.server_node, SERVER_IP, count=300, size=1000, dscp=LE)

    assert marked.bytes[0] > 300 * 1000 and marked.bytes[1] < 50 * 1000, marked.bytes
    assert rule(pair.client, "le")["elsewhere_bytes"] == 300 * 1028
    pair.client.sections.pop("rule le")
    pair.client.sections["wireguard"]["max_spread_ms"] = 400
    assert pair.client.reload().returncode == 0
    assert ping_lost(pair.client_node, SERVER_IP, 5, "-Q", LE << 2) == 0
    assert rule(pair.client, None)["bytes"] == rule(pair.client, None)["elsewhere_bytes"]


def test_check_names_what_is_wrong_and_a_reload_with_it_is_refused(lab):
    pair = make_pair(lab, {"rule calls": {"dscp": "EF", "links": "wan2"}})
    pair.client.sections["rule calls"] = {"dscp": "EF", "links": "wan3"}

    reply = pair.client.reload()

    assert reply.returncode != 0
    assert "[rule calls] links: found 'wan3'" in reply.stderr + reply.stdout
    check = pair.client_node.run(VTRUNKD, "check", "-c", pair.client.config, check=False)
    assert check.returncode != 0 and "allowed: wan1, wan2" in check.stdout + check.stderr
    assert json.loads(pair.client.control_answer().stdout)["networks"][0]["rules"][0]["name"] == "calls"
