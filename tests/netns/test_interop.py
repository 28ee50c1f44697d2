# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Against wireguard-go, the stock userspace WireGuard, over one link and over two.

    vtrunkd 10.10.0.2                      stock 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
      wan2 10.0.2.1 ------ 10.0.2.0/24 ------ 10.0.2.2 wan2
"""
import itertools
import os
import pathlib

import pytest

from bond import CLIENT_IP, HEALTH, PORT, SERVER_IP, Daemon, Keys, network_section, new_psk
from lab import wait_until
from traffic import answers_ping, ping_lost, transfer, udp_probe, wait_for_ping

MTU = 1420
_numbers = itertools.count()


class StockPeer:
    """A wireguard-go. Its control socket has one directory for the whole machine: its name is unique."""

    def __init__(self, node, keys, peer_keys, psk=None, endpoint=None, mtu=MTU):
        self.node = node
        self.interface = f"wg{os.getpid()}-{next(_numbers)}"
        socket = pathlib.Path(f"/run/wireguard/{self.interface}.sock")
        node.lab.stack.callback(socket.unlink, missing_ok=True)
        node.spawn("wireguard-go", "--foreground", self.interface, env={"LOG_LEVEL": "verbose"})
        wait_until(socket.exists, 5, "wireguard-go is up")
        self.set("private-key", self.secret(keys.private), "listen-port", PORT)
        peer = ["peer", peer_keys.public, "allowed-ips", f"{CLIENT_IP}/32"]
        if psk:
            peer += ["preshared-key", self.secret(psk)]
        if endpoint:
            peer += ["endpoint", endpoint]
        self.set(*peer)
        node.ip(f"addr add {SERVER_IP}/24 dev {self.interface}")
        node.ip(f"link set {self.interface} mtu {mtu} up")

    def set(self, *arguments):
        self.node.run("wg", "set", self.interface, *arguments)

    def secret(self, text):
        path = self.node.lab.file("secret")
        path.write_text(text)
        return path


class Mixed:
    """vtrunkd on one side, stock on the other. Who initiates is whoever has the other's endpoint."""

    def __init__(self, lab, n_links=1, vtrunkd_initiates=True, psk=None, stock_psk=None, mtu=MTU,
                 wireguard=None):
        self.client, self.server = lab.node("vtrunkd"), lab.node("stock")
        self.cables = [lab.cable(self.client, self.server, f"wan{n + 1}") for n in range(n_links)]
        keys, stock_keys = Keys(), Keys()
        if vtrunkd_initiates:
            links = {f"link {c.name}": {"endpoint": f"{c.v4(self.server)}:{PORT}"} for c in self.cables}
            endpoint = None
        else:
            links = {"link wan": {"bind": f"0.0.0.0:{PORT}"}}
            endpoint = f"{self.cables[0].v4(self.client)}:{PORT}"
        self.stock = StockPeer(self.server, stock_keys, keys, stock_psk or psk, endpoint, mtu)
        self.daemon = Daemon(self.client, {
            "network": network_section(CLIENT_IP, mtu=MTU),
            "wireguard": {**HEALTH, "private_key": keys.private, "peer_public_key": stock_keys.public,
                          "preshared_key": psk, **(wireguard or {})},
            **links})

    def connect(self):
        wait_for_ping(self.server if "link wan" in self.daemon.sections else self.client,
                      CLIENT_IP if "link wan" in self.daemon.sections else SERVER_IP)


@pytest.mark.parametrize("psk", [None, "psk"], ids=["no_psk", "psk"])
@pytest.mark.parametrize("vtrunkd_initiates", [True, False], ids=["initiator", "responder"])
def test_a_stock_peer_and_vtrunkd_talk(lab, vtrunkd_initiates, psk):
    mixed = Mixed(lab, 1, vtrunkd_initiates, psk and new_psk())
    mixed.connect()

    assert ping_lost(mixed.client, SERVER_IP) == 0
    assert ping_lost(mixed.server, CLIENT_IP) == 0
    assert ping_lost(mixed.client, SERVER_IP, 5, "-M", "do", "-s", MTU - 28) == 0
    assert ping_lost(mixed.server, CLIENT_IP, 5, "-M", "do", "-s", MTU - 28) == 0
    transfer(mixed.client, mixed.server, SERVER_IP, 16 << 20)
    transfer(mixed.server, mixed.client, CLIENT_IP, 16 << 20)


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


@pytest.mark.parametrize("mode", ["aggregate", "redundant", "failover"])
def test_a_stock_peer_can_be_served_over_two_links(lab, mode):
    mixed = Mixed(lab, n_links=2, wireguard={"bonding_mode": mode})
    mixed.connect()

    outcome = udp_probe(mixed.client, mixed.server, SERVER_IP, count=500)
    assert (outcome.lost, outcome.duplicates) == (0, 0)
    transfer(mixed.client, mixed.server, SERVER_IP, 8 << 20)
    transfer(mixed.server, mixed.client, CLIENT_IP, 8 << 20)


def test_with_a_stock_peer_failover_still_leaves_a_link_that_goes_down(lab):
    mixed = Mixed(lab, n_links=2, wireguard={"bonding_mode": "failover"})
    mixed.connect()

    mixed.cables[0].down()

    wait_for_ping(mixed.client, SERVER_IP, 15)


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
