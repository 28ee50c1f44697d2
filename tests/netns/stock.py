# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Stock WireGuard as vtrunkd's peer: wireguard-go, or the kernel's in a guest (guest.py).

    vtrunkd 10.10.0.2, fd10::2             stock 10.10.0.1, fd10::1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
      wan2 10.0.2.1 ------ 10.0.2.0/24 ------ 10.0.2.2 wan2
"""
import itertools
import os
import pathlib

from bond import (CLIENT_IP, CLIENT_IP6, HEALTH, PORT, SERVER_IP, SERVER_IP6, Daemon, Keys, endpoint,
                  network_section)
from guest import TUNNEL
from lab import wait_until
from traffic import ping_lost, wait_for_ping

MTU = 1420
# vtrunkd begins, with a pre-shared key, family of the addresses outside
COMBINATIONS = [(True, False, 4), (True, True, 6), (False, True, 4), (False, False, 6)]
COMBINATION_NAMES = ["initiator", "initiator-psk-ipv6", "responder-psk", "responder-ipv6"]
_numbers = itertools.count()


class StockPeer:
    """What wg(8) configures; its tunnel has the addresses SERVER_IP and SERVER_IP6."""

    def __init__(self, node, interface):
        self.node = node
        self.interface = interface

    def configure(self, keys, peer_keys, psk=None, remote=None, mtu=MTU):
        self.set("private-key", self.secret(keys.private), "listen-port", PORT)
        self.peer = ["peer", peer_keys.public]
        if psk:
            self.peer += ["preshared-key", self.secret(psk)]
        self.add_peer(remote)
        self.node.ip(f"addr add {SERVER_IP}/24 dev {self.interface}")
        self.node.ip(f"addr add {SERVER_IP6}/64 dev {self.interface}")
        self.node.ip(f"link set {self.interface} mtu {mtu} up")

    def add_peer(self, remote):
        self.set(*self.peer, "allowed-ips", f"{CLIENT_IP}/32,{CLIENT_IP6}/128", *(["endpoint", remote] if remote else []))

    def forget_peer(self):
        """But for its keys, and where it was last."""
        remote = self.show("endpoints")
        self.set(*self.peer[:2], "remove")
        self.add_peer(remote)

    def set(self, *arguments):
        self.node.run("wg", "set", self.interface, *arguments)

    def show(self, what):
        """The value of its one peer, as `wg show IFACE WHAT` has it."""
        return self.node.run("wg", "show", self.interface, what).stdout.split()[1]

    def handshake_seconds(self):
        """When it last completed a handshake, by its own clock; 0: never."""
        return int(self.show("latest-handshakes"))


class GoPeer(StockPeer):
    """A wireguard-go. Its control socket has one directory for the whole machine: its name is unique."""

    def __init__(self, node):
        super().__init__(node, f"wg{os.getpid()}-{next(_numbers)}")
        socket = pathlib.Path(f"/run/wireguard/{self.interface}.sock")
        node.lab.stack.callback(socket.unlink, missing_ok=True)
        node.spawn("wireguard-go", "--foreground", self.interface, env={"LOG_LEVEL": "verbose"})
        wait_until(socket.exists, 5, "wireguard-go is up")

    def secret(self, text):
        path = self.node.lab.file("secret")
        path.write_text(text)
        return path


class KernelPeer(StockPeer):
    def __init__(self, guest):
        super().__init__(guest, TUNNEL)
        guest.ip(f"link add {TUNNEL} type wireguard")

    def secret(self, text):
        return self.node.write(text)


class Mixed:
    """vtrunkd on one side, stock on the other. Who initiates is whoever has the other's endpoint."""

    def __init__(self, lab, n_links=1, vtrunkd_initiates=True, psk=None, stock_psk=None, mtu=MTU,
                 wireguard=None, guest=None, family=4, start=True):
        self.client = lab.node("vtrunkd")
        far_end = guest.machine if guest else lab.node("stock")
        self.cables = [lab.cable(self.client, far_end, f"wan{n + 1}") for n in range(n_links)]
        self.server = guest or far_end
        if guest:
            guest.plug(self.cables)
        keys, stock_keys = Keys(), Keys()
        remote = None
        if vtrunkd_initiates:
            links = {f"link {c.name}": {"endpoint": endpoint(address_of(c, far_end, family))} for c in self.cables}
        else:
            links = {"link wan": {"bind": endpoint("::" if family == 6 else "0.0.0.0")}}
            remote = endpoint(address_of(self.cables[0], self.client, family))
        self.stock = KernelPeer(guest) if guest else GoPeer(far_end)
        self.stock.configure(stock_keys, keys, stock_psk or psk, remote, mtu)
        self.daemon = Daemon(self.client, {
            "network": network_section(CLIENT_IP, CLIENT_IP6, mtu=MTU),
            "wireguard": {**HEALTH, "private_key": keys.private, "peer_public_key": stock_keys.public,
                          "preshared_key": psk, **(wireguard or {})},
            **links}, start=start)

    def connect(self):
        if "link wan" in self.daemon.sections:
            wait_for_ping(self.server, CLIENT_IP)
        else:
            wait_for_ping(self.client, SERVER_IP)

    def is_seen_at(self, cable):
        """Is the peer's endpoint there?"""
        return self.stock.show("endpoints").startswith(cable.v4(self.client) + ":")


def check_pings(mixed):
    """Both ways, of both families, and as large as the tunnel takes them."""
    for node, address, address6 in ((mixed.client, SERVER_IP, SERVER_IP6), (mixed.server, CLIENT_IP, CLIENT_IP6)):
        assert ping_lost(node, address) == 0
        assert ping_lost(node, address6) == 0
        assert ping_lost(node, address, 5, "-M", "do", "-s", MTU - 28) == 0
        assert ping_lost(node, address6, 5, "-M", "do", "-s", MTU - 48) == 0


def check_roaming(mixed):
    """We get another address, and the peer follows."""
    mixed.connect()
    cable = mixed.cables[0]

    mixed.client.ip(f"addr add 10.0.{cable.number}.77/24 dev {cable.name}")
    mixed.client.ip(f"addr del {cable.v4(mixed.client)}/24 dev {cable.name}")
    mixed.client.run("ip", "addr", "replace", f"10.0.{cable.number}.77/24", "dev", cable.name)
    wait_for_ping(mixed.client, SERVER_IP)

    assert mixed.stock.show("endpoints").startswith(f"10.0.{cable.number}.77:")
    assert ping_lost(mixed.server, CLIENT_IP) == 0


def address_of(cable, end, family):
    return cable.v6(end) if family == 6 else cable.v4(end)
