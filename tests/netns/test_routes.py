# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Routes to the allowed IPs of peers that never come.

    server, tun0 10.10.0.1/24; peers behind it have 10.<n>.0.0/16 and fd<n>::/32
"""
import json
import os
import signal

from bond import PORT, SERVER_IP, Daemon, Keys, Pair, network_section
from lab import wait_until
from traffic import wait_for_ping

PROTOCOL = 119


def daemon_with(lab, allowed, start=True, **network):
    """One peer for each text of `allowed`."""
    peers = {f"peer {n}": {"public_key": Keys().public, "allowed_ips": ips} for n, ips in enumerate(allowed)}
    return Daemon(lab.node("server"), {
        "network": network_section("10.10.0.1", **network),
        "wireguard": {"private_key": Keys().private},
        "link wan": {"bind": f"0.0.0.0:{PORT}"}, **peers}, start=start)


def routes(daemon, family=4, table="all"):
    done = daemon.node.run("ip", "-j", f"-{family}", "route", "show", "table", table, "proto", PROTOCOL, check=False)
    return json.loads(done.stdout or "[]") if done.returncode == 0 else []


def test_allowed_ips_become_routes_of_our_protocol(lab):
    daemon = daemon_with(lab, ["10.1.0.0/16, fd01::/32", "10.2.0.0/16, 10.3.0.1/32"], table="main", metric=50)

    assert {(r["dst"], r["dev"], r["metric"]) for r in routes(daemon, table="main")} == {
        ("10.1.0.0/16", "tun0", 50), ("10.2.0.0/16", "tun0", 50), ("10.3.0.1", "tun0", 50)}
    assert {(r["dst"], r["metric"]) for r in routes(daemon, 6, "main")} == {("fd01::/32", 50)}
    assert daemon.stop() == 0
    assert routes(daemon) == []


def test_a_table_above_255_and_the_default_route(lab):
    daemon = daemon_with(lab, ["0.0.0.0/0, ::/0"], table=51820)

    assert [(r["dst"], r["dev"]) for r in routes(daemon, 4, 51820)] == [("default", "tun0")]
    assert [(r["dst"], r["dev"]) for r in routes(daemon, 6, 51820)] == [("default", "tun0")]
    assert routes(daemon, table="main") == []


def test_without_a_table_there_are_none(lab):
    assert routes(daemon_with(lab, ["10.1.0.0/16"])) == []


def test_a_route_that_is_there_already_is_named_and_stays(lab):
    daemon = daemon_with(lab, ["10.1.0.0/16"], start=False, table="main")
    daemon.node.ip("link add other type veth")
    daemon.node.ip("link set other up")
    daemon.node.ip("route add 10.1.0.0/16 dev other")

    output = daemon.fails_to_start(seconds=10)

    assert "10.1.0.0/16" in output and "there is one already" in output
    assert "other" in daemon.node.ip("route show 10.1.0.0/16").stdout
    assert not daemon.node.has_interface("tun0")


def test_routes_stay_while_a_crashed_engine_is_replaced(lab):
    daemon = daemon_with(lab, ["10.1.0.0/16"], table="main")
    pid = daemon.process.pid
    engine = lambda: open(f"/proc/{pid}/task/{pid}/children").read().split()
    before = engine()

    os.kill(int(before[0]), signal.SIGKILL)

    wait_until(lambda: len(engine()) == 1 and engine() != before, 5, "another engine")
    wait_until(daemon.answers, 5, "it is up again")
    assert [r["dst"] for r in routes(daemon)] == ["10.1.0.0/16"]


def test_ten_thousand_routes(lab):
    daemon = daemon_with(lab, [], start=False, table=1000)
    daemon.sections["peer many"] = {"public_key": Keys().public, "allowed_ips": "10.0.0.0/30"}
    lines = "".join(f"allowed_ips = 10.{n >> 14 & 255}.{n >> 6 & 255}.{n << 2 & 255}/30\n" for n in range(1, 10000))
    write = daemon.write_config
    daemon.write_config = lambda: (write(), daemon.config.open("a").write("\n" + lines))

    # [daemon] is the last section that is written: the peer's lines must come behind its own.
    daemon.sections = {"daemon": {}, **daemon.sections}
    daemon.start()

    assert len(routes(daemon, 4, 1000)) == 10000
    assert daemon.stop() == 0
    assert routes(daemon) == []


def has_carrier(node):
    return "NO-CARRIER" not in json.loads(node.ip("-j link show tun0").stdout)[0]["flags"]


def test_the_carrier_follows_the_peers(lab):
    pair = Pair(lab, rates=[None], start=False)
    for daemon in (pair.client, pair.server):
        daemon.sections["network"]["carrier"] = "follow"

    pair.client.start()
    assert not has_carrier(pair.client_node), "nobody is there"
    pair.server.start()

    wait_until(lambda: has_carrier(pair.client_node) and has_carrier(pair.server_node), 10, "both have a carrier")
    wait_for_ping(pair.client_node, SERVER_IP)
    pair.cables[0].cut_silently()
    wait_until(lambda: not has_carrier(pair.client_node), 10, "the path is down")
    pair.cables[0].mend()
    wait_until(lambda: has_carrier(pair.client_node), 10, "the path is up")
    wait_for_ping(pair.client_node, SERVER_IP)


def test_the_carrier_is_always_there_otherwise(lab):
    assert has_carrier(daemon_with(lab, ["10.1.0.0/16"]).node)
