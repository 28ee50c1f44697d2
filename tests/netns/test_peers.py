# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Several peers on one port, and several networks in one daemon.

    one   10.10.0.2, 10.20.0.0/16   10.0.1.1 ----- 10.0.1.2 \\
    two   10.10.0.3, 10.20.5.0/24   10.0.2.1 ----- 10.0.2.2  server 10.10.0.1, port 51820
    three 10.10.0.4                 10.0.3.1 ----- 10.0.3.2 /
"""
from bond import HEALTH, PORT, SERVER_IP, Daemon, Keys, network_section
from lab import wait_until
from traffic import PingTrain, answers_ping, ping_lost, transfer, wait_for_ping

NAMES = ("one", "two", "three")
ADDRESS = {"one": "10.10.0.2", "two": "10.10.0.3", "three": "10.10.0.4"}
ALLOWED = {"one": "10.10.0.2/32, 10.20.0.0/16", "two": "10.10.0.3/32, 10.20.5.0/24", "three": "10.10.0.4/32"}


class Star:
    def __init__(self, lab):
        self.hub = lab.node("server")
        keys = {name: Keys() for name in ("server", *NAMES)}
        self.nodes, cables = {}, {}
        for name in NAMES:
            self.nodes[name] = lab.node(name)
            cables[name] = lab.cable(self.nodes[name], self.hub, f"wan-{name}")
        self.server = Daemon(self.hub, {
            "network": network_section(SERVER_IP),
            "wireguard": {**HEALTH, "private_key": keys["server"].private},
            "link wan": {"bind": f"0.0.0.0:{PORT}"},
            **{f"peer {name}": {"public_key": keys[name].public, "allowed_ips": ALLOWED[name]}
               for name in NAMES}})
        self.daemons = {
            name: Daemon(self.nodes[name], {
                "network": network_section(ADDRESS[name]),
                "wireguard": {**HEALTH, "private_key": keys[name].private,
                              "peer_public_key": keys["server"].public},
                "link wan": {"endpoint": f"{cables[name].v4(self.hub)}:{PORT}"}})
            for name in NAMES}
        for name in NAMES:
            wait_for_ping(self.nodes[name], SERVER_IP)


def test_three_peers_share_one_port(lab):
    star = Star(lab)

    for name in NAMES:
        assert ping_lost(star.nodes[name], SERVER_IP) == 0
        assert ping_lost(star.hub, ADDRESS[name]) == 0
        transfer(star.hub, star.nodes[name], ADDRESS[name])
        assert star.server.peer(name)["session"]


def test_peers_reach_each_other_through_the_server(lab):
    star = Star(lab)
    star.hub.run("sysctl", "-qw", "net.ipv4.ip_forward=1")

    transfer(star.nodes["one"], star.nodes["two"], ADDRESS["two"])
    assert ping_lost(star.nodes["three"], ADDRESS["one"]) == 0


def test_the_longest_allowed_prefix_gets_the_packet(lab):
    star = Star(lab)
    star.hub.ip("route add 10.20.0.0/16 dev tun0")
    star.nodes["one"].ip("addr add 10.20.0.1/32 dev lo")
    star.nodes["two"].ip("addr add 10.20.5.1/32 dev lo")
    star.nodes["one"].ip("addr add 10.20.5.2/32 dev lo")

    assert ping_lost(star.hub, "10.20.0.1") == 0
    assert ping_lost(star.hub, "10.20.5.1") == 0
    assert not answers_ping(star.hub, "10.20.5.2"), "that prefix belongs to two"


def test_an_inner_source_of_another_peer_is_dropped_and_counted(lab):
    star = Star(lab)
    star.nodes["one"].ip(f"addr add {ADDRESS['two']}/32 dev tun0")
    before = star.server.dropped("rx_source_not_allowed")

    star.nodes["one"].run("ping", "-n", "-c", 5, "-i", 0.01, "-W", 1, "-I", ADDRESS["two"], SERVER_IP, check=False)

    wait_until(lambda: star.server.dropped("rx_source_not_allowed") - before >= 5, 5, "five drops")
    assert ping_lost(star.nodes["two"], SERVER_IP) == 0, "and two is not disturbed"


def test_a_destination_of_no_peer_is_dropped_and_counted(lab):
    star = Star(lab)
    before = star.server.dropped("tx_no_peer")

    answers_ping(star.hub, "10.10.0.200")

    assert star.server.dropped("tx_no_peer") > before


def test_a_peer_that_goes_does_not_disturb_the_others(lab):
    star = Star(lab)

    with PingTrain(star.nodes["two"], SERVER_IP) as train:
        assert star.daemons["one"].stop() == 0
        star.daemons["three"].kill()
        star.daemons["three"].start()
        wait_for_ping(star.nodes["three"], SERVER_IP)
    assert train.lost == 0


def test_one_daemon_runs_several_networks(lab):
    client, servers = lab.node("client"), [lab.node(f"server{n}") for n in range(2)]
    sections = {}
    for n, node in enumerate(servers):
        cable = lab.cable(client, node, f"wan{n}")
        client_keys, server_keys = Keys(), Keys()
        Daemon(node, {
            "network": network_section(f"10.1{n}.0.1"),
            "wireguard": {**HEALTH, "private_key": server_keys.private, "peer_public_key": client_keys.public},
            "link wan": {"bind": f"0.0.0.0:{PORT}"}})
        sections[f"network net{n}"] = network_section(f"10.1{n}.0.2", interface=f"tun{n}")
        sections[f"wireguard net{n}"] = {**HEALTH, "private_key": client_keys.private,
                                         "peer_public_key": server_keys.public}
        sections[f"link wan{n}"] = {"network": f"net{n}", "endpoint": f"{cable.v4(node)}:{PORT}"}
    daemon = Daemon(client, sections)

    for n, node in enumerate(servers):
        wait_for_ping(client, f"10.1{n}.0.1")
        transfer(client, node, f"10.1{n}.0.1")
        assert daemon.network(f"net{n}")["interface"] == f"tun{n}"
