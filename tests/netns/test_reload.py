# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""The configuration changes while the tunnel carries traffic.

    client 10.10.0.2                       server 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
      wan2 10.0.2.1 ------ 10.0.2.0/24 ------ 10.0.2.2 wan2
"""
import base64
import ipaddress
import json
import os
import random
import re
import signal
import socket

import pytest

from bond import (CLIENT_IP, CLIENT_IP6, PORT, SERVER_IP, Daemon, Keys, Pair, assert_no_key_was_told, endpoint,
                  engine_of, network_section, new_psk)
from lab import wait_until
from traffic import PingTrain, begin_iperf, ping_lost, wait_for_ping


def links(daemon):
    return sorted(link["name"] for link in daemon.network()["links"])


def tell(daemon, **request):
    """The control socket's answer, without a process for each of a hundred."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(str(daemon.control))
        s.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(s.makefile().readline())


class Changes:
    """All that may change of a bond while it works; each is one reload, of either end."""

    OTHER_PEER = "peer other"

    def __init__(self, pair, seed):
        self.pair = pair
        self.chance = random.Random(seed)
        self.aside = {}

    def one(self):
        """Makes one; returns the daemon and what it was."""
        daemon = self.chance.choice([self.pair.client, self.pair.server])
        kinds = ["mode", "health", "keepalive", "scheduler", "address", "mtu", "mss_clamp", "route", "log_level",
                 *(["link", "weight"] if daemon is self.pair.client else ["peer", "key"])]
        what = self.chance.choice(kinds)
        getattr(self, what)(daemon.sections)
        return daemon, what

    def toggle(self, keys, key, value):
        keys[key] = None if keys.get(key) else value

    def weight(self, sections):
        sections["link wan1"]["weight"] = self.chance.randint(1, 9)

    def mode(self, sections):
        sections["wireguard"]["bonding_mode"] = self.chance.choice(["aggregate", "redundant", "failover"])

    def health(self, sections):
        sections["wireguard"]["health_check_interval_ms"] = self.chance.randint(50, 150)

    def keepalive(self, sections):
        for head in ("peer client", "wireguard"):
            if head in sections and (head != "wireguard" or "peer client" not in sections):
                sections[head]["persistent_keepalive"] = self.chance.randint(1, 60)
                return

    def scheduler(self, sections):
        sections["wireguard"]["scheduler"] = self.chance.choice(["adaptive", "weight"])

    def address(self, sections):
        own = sections["network"]["address"].split(", ")[:2]
        more = [f"10.10.0.{self.chance.randint(20, 30)}/24", f"10.30.0.{self.chance.randint(20, 30)}/16",
                f"fd10::{self.chance.randint(20, 30)}/64"]
        sections["network"]["address"] = ", ".join(own + self.chance.sample(more, self.chance.randint(0, 3)))

    def mtu(self, sections):
        sections["network"]["mtu"] = self.chance.choice(["auto", 1280, 1380, 1420])

    def mss_clamp(self, sections):
        self.toggle(sections["network"], "mss_clamp", "no")

    def route(self, sections):
        sections["network"].update(table=self.chance.choice([None, 100, 101]), metric=self.chance.choice([None, 7]))

    def log_level(self, sections):
        sections["daemon"] = {"log_level": self.chance.choice(["debug", "info"])}

    def link(self, sections):
        if "link wan2" in sections:
            self.aside["link wan2"] = sections.pop("link wan2")
        else:
            sections["link wan2"] = self.aside.pop("link wan2")

    def peer(self, sections):
        if not sections.pop(self.OTHER_PEER, None):
            sections[self.OTHER_PEER] = {"public_key": Keys().public, "allowed_ips": "10.10.0.77/32"}

    def key(self, sections):
        if self.OTHER_PEER in sections:
            sections[self.OTHER_PEER]["preshared_key"] = new_psk()


def serve_named_peer(pair):
    """The server's configuration gets room for other peers."""
    del pair.server.sections["wireguard"]["peer_public_key"]
    pair.server.sections["peer client"] = {"public_key": pair.client_keys.public,
                                           "allowed_ips": "10.10.0.2/32, fd10::2/128"}
    pair.server.stop()
    pair.server.start()
    wait_for_ping(pair.client_node, SERVER_IP, 25)


def inner_addresses(daemon):
    """What the kernel has on the interface, but for what it made by itself."""
    found = json.loads(daemon.node.ip("-j addr show tun0").stdout)[0]["addr_info"]
    return sorted(f"{a['local']}/{a['prefixlen']}" for a in found if a["scope"] == "global")


def routes_of(daemon, table):
    return daemon.node.run("ip", "route", "show", "table", str(table), check=False).stdout


def present_routes(daemon):
    """Into the tunnel, in all tables, but for what the kernel made by itself: (destination, table, metric)."""
    found = [route for family in ("-4", "-6")
             for route in json.loads(daemon.node.ip(f"-j {family} route show table all").stdout)]
    return sorted((route["dst"], route.get("table", "main"), route.get("metric", 0)) for route in found
                  if route.get("dev") == "tun0" and route["protocol"] != "kernel")


def wanted_routes(daemon):
    network, peers = daemon.sections["network"], wanted_peers(daemon)
    prefixes = [ipaddress.ip_network(p) for peer in peers.values() for p in peer["allowed_ips"].split(", ")]
    return sorted(("default" if not p.prefixlen else str(p).removesuffix(f"/{p.max_prefixlen}"), str(network["table"]),
                   network.get("metric") or {4: 0, 6: 1024}[p.version]) for p in prefixes if network.get("table"))


def wanted_peers(daemon):
    """By name; the only one of the other form has the keys of [wireguard]."""
    only = {"allowed_ips": "0.0.0.0/0, ::/0", **daemon.sections["wireguard"]}
    named = {head[5:]: keys for head, keys in daemon.sections.items() if head.startswith("peer ")}
    return named or {"peer": {**only, "public_key": only["peer_public_key"]}}


def assert_kernel_agrees(daemon):
    network = daemon.sections["network"]
    assert inner_addresses(daemon) == sorted(network["address"].split(", "))
    if isinstance(network.get("mtu"), int):
        assert daemon.network()["mtu"] == network["mtu"]
        assert f"mtu {network['mtu']} " in daemon.node.ip("link show tun0").stdout
    assert present_routes(daemon) == wanted_routes(daemon)


def assert_status_agrees(daemon):
    network = daemon.network()
    sections = daemon.sections
    assert network["mode"] == sections["wireguard"]["bonding_mode"]
    assert {(link["name"], link["weight"], link["open"]) for link in network["links"]} == {
        (head[5:], keys.get("weight", 1), True) for head, keys in sections.items() if head.startswith("link ")}
    assert {(p["name"], p["public_key"], p["persistent_keepalive_s"], *sorted(p["allowed_ips"]))
            for p in network["peers"]} == {
        (name, keys["public_key"], keys.get("persistent_keepalive", 0), *sorted(keys["allowed_ips"].split(", ")))
        for name, keys in wanted_peers(daemon).items()}


def test_a_hundred_random_reloads_keep_session_and_flows(lab):
    pair = Pair(lab)
    serve_named_peer(pair)
    seed = int(os.environ.get("VTRUNKD_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"VTRUNKD_SEED={seed}")
    changes = Changes(pair, seed)
    handshakes = pair.client.peer()["handshakes"]

    with PingTrain(pair.client_node, SERVER_IP) as train:
        flow, _ = begin_iperf(pair.client_node, pair.server_node, SERVER_IP, 20, "--bitrate", "5M")
        for number in range(100):
            daemon, what = changes.one()
            daemon.write_config()
            answer = tell(daemon, action="reload")
            assert answer["success"], f"{number}, {what} of {daemon.node.name}: {answer}"
            if number % 10 == 9:
                assert present_routes(daemon) == wanted_routes(daemon), f"{number}, {what} of {daemon.node.name}"
        assert flow.is_running(), "all of them happened while it ran"
        assert flow.wait(40) == 0, flow.output()
        assert len(train.read()) > 0
    assert pair.client.peer()["handshakes"] == handshakes, "the session is the same"
    assert links(pair.client) == sorted(s[5:] for s in pair.client.sections if s.startswith("link "))
    for daemon in (pair.client, pair.server):
        assert_kernel_agrees(daemon)
        assert_status_agrees(daemon)
    wait_until(lambda: ping_lost(pair.client_node, SERVER_IP, 5) == 0, 10, "pings are answered")


def test_routes_move_to_another_metric_and_back(lab):
    pair = Pair(lab, rates=[None])
    network = pair.client.sections["network"]
    for metric in (None, 7, None, 1024, None, 2000, 1024):
        network.update(table=100, metric=metric)
        done = pair.client.reload()
        assert done.returncode == 0, done.stderr
        assert_kernel_agrees(pair.client)


def test_addresses_change_and_a_flow_of_another_lives(lab):
    pair = Pair(lab, rates=[None])
    network = pair.client.sections["network"]
    pair.server.sections["network"].update(address="10.10.0.1/24, fd10::1/64, 10.40.0.1/24")
    assert pair.server.reload().returncode == 0
    for address in ("10.10.0.7/24, 10.10.0.2/24, fd10::2/64", "10.10.0.2/24, fd10::2/64", "10.10.0.2/16, fd10::2/64",
                    "10.10.0.2/24, 10.40.0.2/24"):
        network["address"] = address
        done = pair.client.reload()
        assert done.returncode == 0, done.stderr
        assert inner_addresses(pair.client) == sorted(address.split(", "))
        assert ping_lost(pair.client_node, SERVER_IP, 5) == 0
    assert ping_lost(pair.client_node, "10.40.0.1", 5) == 0

    network["table"] = 100
    network["address"] = "10.40.0.2/24"  # the first one goes, and with it what the kernel ties to it
    assert pair.client.reload().returncode == 0
    assert "default" in routes_of(pair.client, 100)
    assert ping_lost(pair.client_node, "10.40.0.1", 5) == 0


def test_an_address_of_another_interface_takes_all_back(lab):
    pair = Pair(lab, rates=[None])
    network = pair.client.sections["network"]
    before = inner_addresses(pair.client), pair.client.network()["mtu"]

    network.update(mtu=1300, table=100, address=f"10.10.0.9/24, {pair.client_address(pair.cables[0])}/24")
    pair.client.sections["link wan1"]["weight"] = 5
    done = pair.client.reload()
    assert done.returncode == 1 and "nothing was changed" in done.stderr
    assert (inner_addresses(pair.client), pair.client.network()["mtu"]) == before
    assert pair.client.path("wan1")["weight"] == 1
    assert not routes_of(pair.client, 100)
    pair.client.wait_log("is taken by interface wan1")
    assert ping_lost(pair.client_node, SERVER_IP, 5) == 0


def test_a_refused_reload_leaves_the_sessions(lab):
    pair = Pair(lab, rates=[None])
    serve_named_peer(pair)
    sections = pair.server.sections
    pair.server_node.socket(socket.AF_INET, socket.SOCK_DGRAM).bind(("0.0.0.0", PORT + 1))
    before = pair.server.peer("client")

    sections["peer by another name"] = sections.pop("peer client")
    sections["link wan4"]["bind"] = f"0.0.0.0:{PORT + 1}"
    done = pair.server.reload()

    assert done.returncode == 1 and "nothing was changed" in done.stderr
    after = pair.server.peer("client")
    assert after["session"] and after["handshakes"] == before["handshakes"]
    assert [p["id"] for p in after["paths"]] == [p["id"] for p in before["paths"]]


@pytest.mark.parametrize("family", [4, 6])
def test_an_endpoint_may_go_to_the_other_family(lab, family):
    pair = Pair(lab, rates=[None], families=[family], start=False)
    pair.server.sections["link both"] = {"port": PORT}
    del pair.server.sections[f"link wan{family}"]
    pair.client.sections["link wan1"]["port"] = PORT
    pair.start()
    other = pair.server_address(pair.cables[0], 10 - family)

    pair.client.ctl("link", "set", "wan1", f"endpoint={endpoint(other)}")

    wait_until(lambda: (pair.client.path_to(other) or {}).get("state") == "up", 15, "the path is up")
    assert pair.client.network()["links"][0]["local"].endswith(f":{PORT}")
    assert ping_lost(pair.client_node, SERVER_IP, 5) == 0


def test_a_second_peer_may_be_of_the_other_family(lab):
    pair = Pair(lab, rates=[None], start=False)
    sections, keys = pair.client.sections, Keys()
    Daemon(pair.server_node, {
        "network": network_section("10.20.0.1", interface="tun2"),
        "wireguard": {"private_key": keys.private, "peer_public_key": pair.client_keys.public},
        "link other": {"port": PORT + 1}})
    del sections["wireguard"]["peer_public_key"]
    sections["peer first"] = {"public_key": pair.server_keys.public, "allowed_ips": f"{SERVER_IP}/32",
                              "endpoint": sections["link wan1"].pop("endpoint")}
    pair.start()
    sections["peer second"] = {"public_key": keys.public, "allowed_ips": "10.20.0.1/32",
                               "endpoint": endpoint(pair.server_address(pair.cables[0], 6), PORT + 1)}

    assert pair.client.reload().returncode == 0

    wait_until(lambda: [p["state"] for p in pair.client.peer("second")["paths"]] == ["up"], 15, "the second is up")
    assert [p["state"] for p in pair.client.peer("first")["paths"]] == ["up"]


def test_a_taken_address_gives_way_to_the_next_and_stays(lab):
    pair = Pair(lab, start=False)
    node, network = pair.client_node, pair.client.sections["network"]
    node.ip("link add other type bridge")
    node.ip("addr add 10.10.0.2/32 dev other")
    node.ip("addr add 10.10.0.3/32 dev other")
    network["address_collision"] = "next"
    chosen = {"10.10.0.4/24", f"{CLIENT_IP6}/64"}
    pair.start()
    assert inner_addresses(pair.client) == sorted(pair.client.network()["addresses"]) == sorted(chosen)
    pair.client.wait_log("address 10.10.0.2/24 is taken by interface other: it is 10.10.0.4/24")

    node.ip("addr del 10.10.0.3/32 dev other")
    network["address"] += ", 10.10.7.1/24"
    assert pair.client.reload().returncode == 0
    assert inner_addresses(pair.client) == sorted(chosen | {"10.10.7.1/24"}), "one that runs keeps what it has"
    network["address"] = network["address"].replace(f"{CLIENT_IP}/24, ", "")
    assert pair.client.reload().returncode == 0
    assert inner_addresses(pair.client) == ["10.10.7.1/24", f"{CLIENT_IP6}/64"], "and gives it back"
    network["address"] = f"{CLIENT_IP}/24, {CLIENT_IP6}/64"
    assert pair.client.reload().returncode == 0
    assert inner_addresses(pair.client) == ["10.10.0.3/24", f"{CLIENT_IP6}/64"]

    network["address_collision"] = "refuse"
    assert pair.client.reload().returncode == 0, "for what comes from now on"
    assert "10.10.0.3/24" in inner_addresses(pair.client)
    pair.client.stop()
    assert "10.10.0.2/24 is taken by interface other" in pair.client.fails_to_start()


def test_the_next_address_is_no_peers_and_the_same_after_a_crash(lab):
    node = lab.node("server")
    node.ip("link add other type bridge")
    node.ip("addr add 10.10.0.1/32 dev other")
    node.ip("addr add 10.10.0.6/24 dev other")
    peers = {f"peer p{n}": {"public_key": Keys().public, "allowed_ips": f"10.10.0.{n}/32"} for n in (2, 3)}
    daemon = Daemon(node, {"network": network_section("10.10.0.1", address_collision="next"),
                           "wireguard": {"private_key": Keys().private}, "link wan": {}, **peers,
                           "peer office": {"public_key": Keys().public, "allowed_ips": "10.10.0.4/31"}})
    assert inner_addresses(daemon) == ["10.10.0.7/24"]
    assert "interface other is in the subnet of 10.10.0.7/24" in daemon.control_answer().stdout

    os.kill(daemon.processes()[1], signal.SIGKILL)
    daemon.wait_log("started again")
    wait_until(daemon.answers, 10, "it answers")
    assert inner_addresses(daemon) == ["10.10.0.7/24"] == daemon.network()["addresses"]

    node.ip("addr del 10.10.0.1/32 dev other")
    engine = engine_of(daemon)
    os.kill(engine, signal.SIGKILL)
    wait_until(lambda: engine_of(daemon) not in (None, engine) and daemon.answers(), 10, "it answers once more")
    assert inner_addresses(daemon) == ["10.10.0.7/24"] == daemon.network()["addresses"], "also when the first is free"

    node.ip("addr add 10.10.0.1/32 dev other")
    daemon.stop()
    daemon.sections["network"]["address"] = "10.10.0.1/32"
    assert "10.10.0.1/32 is taken by interface other, and none that follows is free" in daemon.fails_to_start()


def test_peers_come_and_go(lab):
    pair = Pair(lab, rates=[None])
    daemon = pair.server
    del daemon.sections["wireguard"]["peer_public_key"]
    daemon.sections["peer client"] = {"public_key": pair.client_keys.public, "allowed_ips": "10.10.0.2/32"}
    daemon.stop()
    daemon.start()
    wait_for_ping(pair.client_node, SERVER_IP, 25)
    handshakes = daemon.peer("client")["handshakes"]

    daemon.sections["peer other"] = {"public_key": Keys().public, "allowed_ips": "10.10.0.9/32"}
    assert "[peer other] added" in daemon.reload().stdout
    assert daemon.peer("other")["allowed_ips"] == ["10.10.0.9/32"]
    daemon.ctl("peer", "set", "other", "allowed_ips=10.10.0.8/32", "persistent_keepalive=7")
    assert daemon.peer("other")["allowed_ips"] == ["10.10.0.8/32"]
    assert daemon.peer("other")["persistent_keepalive_s"] == 7
    daemon.ctl("peer", "remove", "other")
    assert [p["name"] for p in daemon.network()["peers"]] == ["client"]
    daemon.ctl("peer", "add", "third", f"public_key={Keys().public}", "allowed_ips=10.10.0.7/32")
    assert daemon.peer("third")
    assert daemon.peer("client")["handshakes"] == handshakes
    assert ping_lost(pair.client_node, SERVER_IP) == 0


def test_links_come_and_go_by_command(lab):
    pair = Pair(lab)
    endpoint = pair.client.sections["link wan2"]["endpoint"]

    pair.client.ctl("link", "disable", "wan2")
    assert links(pair.client) == ["wan1"]
    pair.client.ctl("link", "enable", "wan2")
    pair.client.wait_path("wan2", "up")
    pair.client.ctl("link", "remove", "wan2")
    assert links(pair.client) == ["wan1"]
    pair.client.ctl("link", "add", "lte/5g", f"endpoint={endpoint}", "weight=3")
    pair.client.wait_path("lte/5g", "up")
    assert "weight changed" in pair.client.ctl("link", "set", "lte/5g", "weight=5").stdout
    assert pair.client.path("lte/5g")["weight"] == 5
    pair.client.ctl("mode", "set", "failover")
    assert pair.client.network()["mode"] == "failover"
    wait_until(lambda: ping_lost(pair.client_node, SERVER_IP, 5) == 0, 10, "pings are answered")


def test_what_is_wrong_or_needs_a_restart_changes_nothing(lab):
    pair = Pair(lab)
    sections = pair.client.sections

    sections["link wan1"]["weight"] = 7
    sections["network"]["mtu"] = 9000
    sections["daemon"] = {"user": "nobody", "log_level": "info"}
    done = pair.client.reload()
    assert done.returncode == 1 and "restart" in done.stderr
    assert "[network] mtu" in done.stderr and "[daemon] user" in done.stderr and "log_level" not in done.stderr
    del sections["network"]["mtu"], sections["daemon"]
    sections["link wan1"]["weight"] = 0
    done = pair.client.reload()
    assert done.returncode == 1 and "weight" in done.stderr and str(pair.client.config) in done.stderr
    sections["link wan1"]["weight"] = 1
    assert pair.client.path("wan1")["weight"] == 1, "what is good was not taken either"
    for command in (["link", "remove", "nowhere"], ["link", "set", "wan1", "weight=0"], ["mode", "set", "fast"],
                    ["link", "add", "wan1", "weight=1"], ["peer", "set", "nobody", "multilink=no"]):
        assert pair.client.ctl(*command, check=False).returncode == 1, command
    assert ping_lost(pair.client_node, SERVER_IP) == 0


def test_sighup_reloads_networks_and_all(lab):
    pair = Pair(lab, rates=[None])
    keys = Keys()
    pair.client.sections["network default"] = pair.client.sections.pop("network")
    pair.client.sections["wireguard default"] = pair.client.sections.pop("wireguard")
    pair.client.sections["link wan1"]["network"] = "default"
    pair.client.stop()
    pair.client.start()
    wait_for_ping(pair.client_node, SERVER_IP, 25)

    pair.client.sections["network two"] = network_section("10.20.0.1", interface="tun2")
    pair.client.sections["wireguard two"] = {"private_key": keys.private, "peer_public_key": Keys().public}
    pair.client.sections["link other"] = {"network": "two"}
    pair.client.write_config()
    pair.client.process.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: pair.client_node.has_interface("tun2"), 10, "the second network has come")
    assert pair.client.network("two")["public_key"] == keys.public
    for name in ("network two", "wireguard two", "link other"):
        del pair.client.sections[name]
    assert "removed" in pair.client.reload().stdout
    assert not pair.client_node.has_interface("tun2")
    assert ping_lost(pair.client_node, SERVER_IP) == 0


def two_networks_of_one_interface(lab):
    sections = {}
    for n, name in enumerate(("two", "one"), 1):
        sections |= {f"network {name}": network_section(f"10.{n}.0.1", enabled="no" if name == "two" else "yes"),
                     f"wireguard {name}": {"private_key": Keys().private, "peer_public_key": Keys().public},
                     f"link {name}": {"network": name, "port": PORT if name == "one" else PORT + 1}}
    return Daemon(lab.node("client"), sections)


def test_an_interface_is_one_networks_at_a_time(lab):
    daemon = two_networks_of_one_interface(lab)

    done = daemon.ctl("connect", "two", check=False)

    assert done.returncode == 1 and "platform_error" in done.stderr
    daemon.wait_log("interface tun0 is taken by network one")
    assert (daemon.network("one")["state"], daemon.network("two")["state"]) == ("active", "error")
    assert inner_addresses(daemon) == ["10.2.0.1/24"]
    daemon.ctl("disconnect", "one")
    daemon.ctl("connect", "two")
    assert inner_addresses(daemon) == ["10.1.0.1/24"]


def test_an_interface_and_a_port_go_from_network_to_network(lab):
    daemon = two_networks_of_one_interface(lab)
    daemon.sections["network one"]["enabled"], daemon.sections["network two"]["enabled"] = "no", "yes"
    daemon.sections["link one"]["port"], daemon.sections["link two"]["port"] = PORT + 1, PORT

    assert daemon.reload().returncode == 0

    assert (daemon.network("one")["state"], daemon.network("two")["state"]) == ("stopped", "active")
    assert inner_addresses(daemon) == ["10.1.0.1/24"]
    daemon.sections["network two"]["address"] = "10.3.0.1/24"
    assert daemon.reload().returncode == 0
    assert inner_addresses(daemon) == ["10.3.0.1/24"]


def test_a_port_of_another_network_is_told_and_free_after_a_reload_of_that(lab):
    daemon = two_networks_of_one_interface(lab)
    one, two = daemon.sections["link one"], daemon.sections["link two"]
    daemon.sections["network two"].update(interface="tun1", enabled="yes")
    assert daemon.reload().returncode == 0

    one["port"], two["port"] = two["port"], one["port"]
    done = daemon.reload()
    assert done.returncode == 1
    assert "is still that of network" in done.stderr and "nothing was changed" in done.stderr
    assert {n: daemon.network(n)["state"] for n in ("one", "two")} == {"one": "active", "two": "active"}

    one["port"], two["port"] = PORT + 2, PORT + 1
    assert daemon.reload().returncode == 0
    one["port"], two["port"] = PORT + 1, PORT
    assert daemon.reload().returncode == 0


def uapi_get(path):
    """What wg(8) is told, without counters."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(str(path))
        s.sendall(b"get=1\n\n")
        answer = b""
        while not answer.endswith(b"\n\n"):
            part = s.recv(65536)
            assert part, answer
            answer += part
    return re.sub(r"^[rt]x_bytes=\d+\n", "", answer.decode(), flags=re.MULTILINE)


def uapi_value(path, key):
    """The first of that name."""
    return re.search(rf"^{key}=(\w+)$", uapi_get(path), re.MULTILINE)[1]


def test_wg_finds_an_interface_when_the_networks_before_it_go(lab):
    pair = Pair(lab, rates=[None])
    directory = lab.file("wg")
    directory.mkdir()
    sections = {"network two": network_section("10.20.0.1", interface="tun2"),
                "wireguard two": {"private_key": Keys().private, "peer_public_key": Keys().public},
                "link other": {"network": "two"},
                "network default": pair.client.sections.pop("network"),
                "wireguard default": pair.client.sections.pop("wireguard"), **pair.client.sections}
    sections["link wan1"]["network"] = "default"
    pair.client.stop()
    pair.client.sections = sections
    pair.client.launch("env", f"VTRUNKD_UAPI_DIR={directory}")
    wait_until(pair.client.answers, 10, "the daemon answers")
    pair.client.is_expected = True
    keys = {name: uapi_value(directory / f"{name}.sock", "private_key") for name in ("tun0", "tun2")}
    assert keys["tun0"] != keys["tun2"]

    for name in ("network two", "wireguard two", "link other"):
        del sections[name]
    assert "removed" in pair.client.reload().stdout
    assert uapi_value(directory / "tun0.sock", "private_key") == keys["tun0"]
    wait_for_ping(pair.client_node, SERVER_IP, 25)
    pair.client.stop()
    assert not list(directory.iterdir())


def test_wg_finds_a_network_that_comes_and_loses_one_that_goes(lab):
    pair = Pair(lab)
    client = pair.client
    sockets = lab.file("sockets")
    client.stop()
    client.launch("env", f"VTRUNKD_UAPI_DIR={sockets}")
    wait_until(client.answers, 10, "the client answers")
    client.is_expected = True

    def names():
        return sorted(path.name for path in sockets.iterdir())

    wait_until(lambda: names() == ["tun0.sock"], 5, "wg finds the first network")
    sections = client.sections
    for kind in ("network", "wireguard"):
        sections[f"{kind} default"] = sections.pop(kind)
    for cable in pair.cables:
        sections[f"link {cable.name}"]["network"] = "default"
    sections["network extra"] = network_section("10.99.0.1", interface="tun9")
    sections["wireguard extra"] = {"private_key": Keys().private}
    sections["link extra"] = {"network": "extra"}
    sections["peer nobody"] = {"network": "extra", "public_key": Keys().public, "allowed_ips": "10.99.0.2/32"}
    assert client.reload().returncode == 0
    wait_until(lambda: names() == ["tun0.sock", "tun9.sock"], 5, "wg finds the network that came")
    assert uapi_value(sockets / "tun9.sock", "private_key")
    client.ctl("disconnect", "extra")
    wait_until(lambda: names() == ["tun0.sock"], 5, "a network that is stopped has no socket")
    client.ctl("connect", "extra")
    wait_until(lambda: names() == ["tun0.sock", "tun9.sock"], 5, "it has one again")
    sections["network default"]["uapi"] = "off"
    assert client.reload().returncode == 0
    wait_until(lambda: names() == ["tun9.sock"], 5, "wg does not find what it is not to find")
    for section in ("network extra", "wireguard extra", "link extra", "peer nobody"):
        del sections[section]
    assert client.reload().returncode == 0
    wait_until(lambda: names() == [], 5, "wg finds nothing any more")


def wg_set(path, *lines):
    """The answer to a request of `wg set`; b"" where the connection is ended instead."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(str(path))
        s.sendall("\n".join(["set=1", *lines, "", ""]).encode())
        return s.recv(100)


def test_what_a_reload_changes_is_whole_whatever_wg_has_done_to_it(lab):
    keys = Keys()
    peer = {"public_key": keys.public, "preshared_key": new_psk(), "allowed_ips": "0.0.0.0/0"}
    daemon = Daemon(lab.node("client"), {
        "network": network_section(CLIENT_IP, table="auto"),
        "wireguard": {"private_key": Keys().private, "bonding_mode": "aggregate"},
        "link one": {}, "link two": {}, "peer server": peer})
    key = f"public_key={base64.b64decode(keys.public).hex()}"

    for left in ([key, "remove=true"], [key, "remove=true", key, "allowed_ip=10.1.0.0/16"]):
        assert b"errno=0" in wg_set(daemon.wg_socket(), "fwmark=7", *left)
        peer["persistent_keepalive"] = peer.get("persistent_keepalive", 0) + 5
        daemon.sections["link one"]["weight"] = peer["persistent_keepalive"]
        done = daemon.reload()
        assert done.returncode == 0, done.stderr
        assert_status_agrees(daemon)
        assert [(dst, table) for dst, table, _ in present_routes(daemon)] == [("default", "51820")]
        assert {link["fwmark"] for link in daemon.network()["links"]} == {51820}
        assert uapi_value(daemon.wg_socket(), "preshared_key") == base64.b64decode(peer["preshared_key"]).hex()


@pytest.mark.parametrize("refused", ["later network", "metrics"])
def test_a_refused_reload_leaves_what_wg_has_done(lab, refused):
    sections = {"daemon": {}}
    for n, name in enumerate(("one", "two", "three")):
        sections |= {f"network {name}": network_section(f"10.{n}.0.1", interface=f"tun{n}"),
                     f"wireguard {name}": {"private_key": Keys().private},
                     f"link {name}": {"network": name, "port": PORT + n},
                     f"peer {name}": {"network": name, "public_key": Keys().public, "allowed_ips": "10.0.1.0/24"}}
    daemon = Daemon(lab.node("client"), sections)
    peer = sections["peer one"]
    path, = lab.directory.glob("*-wg/tun0.sock")
    other = Keys()
    assert b"errno=0" in wg_set(
        path, "fwmark=7", f"listen_port={PORT + 9}", f"private_key={base64.b64decode(Keys().private).hex()}",
        f"public_key={base64.b64decode(peer['public_key']).hex()}",
        f"preshared_key={base64.b64decode(new_psk()).hex()}", "endpoint=192.0.2.1:7", "allowed_ip=10.0.3.0/24",
        f"public_key={base64.b64decode(other.public).hex()}", "allowed_ip=10.0.1.0/24", "persistent_keepalive_interval=7")
    before = uapi_get(path)

    peer["persistent_keepalive"] = 5
    sections["wireguard one"]["private_key"] = Keys().private
    sections["link one"]["weight"] = 3
    sections["peer named"] = {"network": "one", "public_key": other.public, "allowed_ips": "10.0.4.0/24"}
    if refused == "metrics":
        taken = daemon.node.socket(socket.AF_INET, socket.SOCK_STREAM)
        taken.bind(("127.0.0.1", 9586))
        taken.listen()
        sections["daemon"]["metrics_listen"] = "127.0.0.1:9586"
    else:
        sections["link two"]["port"], sections["link three"]["port"] = PORT + 2, PORT + 3
    done = daemon.reload()

    assert done.returncode == 1 and "nothing was changed" in done.stderr, done.stderr
    assert uapi_get(path) == before
    assert [link["weight"] for link in daemon.network("one")["links"]] == [1]
    assert [p["name"] for p in daemon.network("one")["peers"]] == ["one", other.public]


def test_a_request_of_wg_with_a_zero_in_it_does_nothing(lab):
    daemon = Daemon(lab.node("client"), {
        "network": network_section(CLIENT_IP), "wireguard": {"private_key": Keys().private}, "link one": {},
        "peer server": {"public_key": Keys().public, "allowed_ips": "10.1.0.0/16"}})

    assert wg_set(daemon.wg_socket(), "replace_peers=true", "\0", f"public_key={'11' * 32}") == b""

    assert [p["name"] for p in daemon.network()["peers"]] == ["server"]


def test_rates_roles_and_thresholds_need_no_restart(lab):
    pair = Pair(lab, rates=[None])
    wait_for_ping(pair.client_node, SERVER_IP, 25)
    done = pair.client.ctl("link", "set", "wan1", "rate=7mbit", "role=backup")
    assert "rate changed" in done.stdout and "role changed" in done.stdout
    link, = pair.client.network()["links"]
    assert link["rate_bps"] == 7000000 and link["role"] == "backup"
    pair.client.sections["wireguard"].update(max_spread_ms=50, health_check_up=2, failure_loss=30)
    assert pair.client.reload().returncode == 0
    assert ping_lost(pair.client_node, SERVER_IP) == 0


def test_a_new_private_key_makes_new_sessions(lab):
    pair = Pair(lab, rates=[None])
    new = Keys()

    pair.client.sections["wireguard"]["private_key"] = new.private
    pair.server.sections["wireguard"]["peer_public_key"] = new.public
    assert pair.server.reload().returncode == 0
    assert pair.client.reload().returncode == 0

    assert pair.client.network()["public_key"] == new.public
    wait_for_ping(pair.client_node, SERVER_IP, 25)


def test_no_key_is_in_any_output(lab):
    """Of what could show one; the lab looks through all that was said, in every test."""
    pair = Pair(lab)
    pair.client.ctl("log", "level", "debug")
    for words in (["status"], ["--json", "status"], ["metrics"], ["health"], ["doctor"], ["reload"],
                  ["peer", "set", "peer", f"preshared_key={pair.client_keys.private}"],
                  ["link", "add", "x", f"fwmark={pair.client_keys.private}"]):
        pair.client.ctl(*words, check=False)
    pair.client.sections["wireguard"]["mtu"] = pair.client_keys.private
    pair.client.reload()
    del pair.client.sections["wireguard"]["mtu"]


@pytest.mark.parametrize("form", [str, lambda key: base64.b64decode(key).hex(), lambda key: key[:41]],
                         ids=["base64", "hexadecimal", "a part"])
def test_a_key_that_is_told_is_found(lab, form):
    keys = Keys()
    said = lab.file("said.txt")
    said.write_text(f"the key is {form(keys.private)}")

    with pytest.raises(AssertionError, match="keys in the output of .*said.txt"):
        assert_no_key_was_told(lab)
    said.unlink()
