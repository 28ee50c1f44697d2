# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""An engine that crashes, and the tunnel that the next one makes; nobody waits for a peer's timers.

    client 10.10.0.2                       server 10.10.0.1 (its links have no endpoint)
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
      wan2 10.0.2.1 ------ 10.0.2.0/24 ------ 10.0.2.2 wan2
"""
import json
import os
import signal

import pytest

from bond import CLIENT_IP, SERVER_IP, Daemon, Keys, Pair, engine_of, network_section
from lab import wait_until
from many import peer_sections
from stock import Mixed
from traffic import wait_for_ping

ROUNDS = 3
# A message of 148 bytes: nothing else that WireGuard sends has this length.
NO_INITIATIONS = """
    table inet silence {
        chain out {
            type filter hook output priority 0
            udp length 156 drop
        }
    }"""


def addresses_of(daemon):
    found = json.loads(daemon.node.ip("-j addr show tun0").stdout)[0]["addr_info"]
    return [f"{a['local']}/{a['prefixlen']}" for a in found if a["scope"] == "global"]


def crash(daemon):
    """Until the next engine is up."""
    engine = engine_of(daemon)
    os.kill(engine, signal.SIGKILL)
    wait_until(lambda: engine_of(daemon) not in (None, engine) and daemon.answers(), 10, "another engine is up")


def handshakes_begun(daemon):
    return daemon.peer()["handshakes_begun"]


def test_a_server_that_crashed_begins_the_handshake_itself(lab):
    default = dict.fromkeys(["health_check_interval_ms", "health_check_timeout_ms", "error_backoff_secs"])
    pair = Pair(lab, client=default, server=default)
    pair.client_node.nft(NO_INITIATIONS)

    for _ in range(ROUNDS):  # each a moment after the handshake that the last one led to
        crash(pair.server)
        wait_for_ping(pair.client_node, SERVER_IP)
        assert handshakes_begun(pair.server) == 1

    for cable in pair.cables:
        pair.client.wait_path(cable.name, "up")
        wait_until(lambda: pair.server.path_to(pair.client_address(cable)), 5, f"the server knows {cable.name}")


def test_both_ends_crash_at_once(lab):
    pair = Pair(lab)

    for _ in range(ROUNDS):
        engines = [engine_of(daemon) for daemon in (pair.client, pair.server)]
        for engine in engines:
            os.kill(engine, signal.SIGKILL)
        wait_until(lambda: not {None, *engines} & {engine_of(pair.client), engine_of(pair.server)}, 10, "both are back")
        wait_for_ping(pair.client_node, SERVER_IP)


@pytest.mark.parametrize("family", [4, 6])
def test_a_stock_peer_is_found_again_by_a_server_that_crashed(lab, family):
    mixed = Mixed(lab, vtrunkd_initiates=False, family=family)
    mixed.connect()
    mixed.server.nft(NO_INITIATIONS)

    for _ in range(ROUNDS):
        crash(mixed.daemon)
        wait_for_ping(mixed.server, CLIENT_IP)
        assert handshakes_begun(mixed.daemon) == 1


def test_a_reload_that_is_asked_for_during_a_crash_is_done_by_the_next_engine(lab):
    pair = Pair(lab, rates=[None])
    supervisor, engine = pair.client.process.pid, engine_of(pair.client)
    pair.client.sections["network"]["mtu"] = 1300
    pair.client.write_config()

    os.kill(supervisor, signal.SIGSTOP)  # so that it learns of both at once
    os.kill(engine, signal.SIGKILL)
    os.kill(supervisor, signal.SIGHUP)
    os.kill(supervisor, signal.SIGCONT)

    wait_until(lambda: engine_of(pair.client) not in (None, engine) and pair.client.answers(), 10, "another engine")
    wait_until(lambda: pair.client.network()["mtu"] == 1300, 5, "the configuration is in force")
    assert pair.client.process.output().count("the configuration is reloaded") == 1


@pytest.mark.parametrize("address", ["10.10.0.9", "10.20.0.9", "fd10::9"])
def test_an_address_of_a_reload_that_crashed_is_taken_away(lab, address):
    network = network_section(SERVER_IP)
    daemon = Daemon(lab.node("server"), {"network": network, "wireguard": {"private_key": Keys().private}, "link wan": {},
                                         **peer_sections(1)})
    before = addresses_of(daemon)
    daemon.node.ip("addr add 10.30.0.1/24 dev tun0")  # which is nobody's but the user's
    network |= network_section(address)
    daemon.sections |= peer_sections(4000)  # with which the reload is at work for a while
    daemon.write_config()

    os.kill(daemon.process.pid, signal.SIGHUP)
    wait_until(lambda: not set(before) & set(addresses_of(daemon)), 10, "the address has changed")
    crash(daemon)

    assert "the configuration is reloaded" not in daemon.process.output()
    assert sorted(addresses_of(daemon)) == [*before, "10.30.0.1/24"]
    assert daemon.network()["addresses"] == before
    wait_until(lambda: daemon.reload().returncode == 0, 10, "it is loaded after all")
    assert daemon.network()["addresses"] == [network["address"]]


def test_without_a_network_the_next_engine_waits_for_a_reload(lab):
    pair = Pair(lab, rates=[None])
    network = pair.client.sections["network"]
    network["enabled"] = "no"
    assert pair.client.reload().returncode == 0

    crash(pair.client)

    network["enabled"] = "yes"
    assert pair.client.reload().returncode == 0
    wait_for_ping(pair.client_node, SERVER_IP)


def test_a_link_that_a_reload_has_renamed_is_the_one_that_is_known(lab):
    pair = Pair(lab, rates=[None])
    server = pair.server
    server.sections["link uplink"] = server.sections.pop("link wan4")
    assert server.reload().returncode == 0
    server.wait_log("1 endpoints, the first over link uplink, for after a crash: kept")
    pair.client_node.nft(NO_INITIATIONS)

    crash(server)

    wait_for_ping(pair.client_node, SERVER_IP)
    assert [path["link"] for path in server.paths()] == ["uplink"]


def test_a_peer_that_a_reload_has_removed_is_forgotten(lab):
    pair = Pair(lab, rates=[None], start=False)
    server = pair.server
    del server.sections["wireguard"]["peer_public_key"]
    server.sections |= {"peer client": {"public_key": pair.client_keys.public, "allowed_ips": f"{CLIENT_IP}/32"},
                        "peer other": {"public_key": Keys().public, "allowed_ips": "10.10.0.3/32"}}
    pair.start()
    crash(server)
    server.wait_log("where 1 peers were is known")
    wait_for_ping(pair.client_node, SERVER_IP)
    del server.sections["peer client"]
    assert server.reload().returncode == 0

    crash(server)

    assert server.process.output().count("is known from before") == 1
