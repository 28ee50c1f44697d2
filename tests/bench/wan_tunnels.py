# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Tunnels over the emulated links of a scenario.

    client 10.10.0.2 ========== tunnel, MTU 1420 ========== 10.10.0.1 server
         10.0.1.1 wan1 ------------- [ wan ] ------------- wan1 10.0.1.2
         10.0.2.1 wan2 ------------- [ wan ] ------------- wan2 10.0.2.2
"""
import os
import shlex

from bond import CLIENT_IP, SERVER_IP
from lab import wait_until
from tunnels import MTU, Tunnel, Uapi, Vtrunkd
from wan import Wan, WanPair

INTERFACE = "bond0"  # of the tunnels of --peer
# Neither end is to be the limit, nor is what another flow has learnt.
SYSCTLS = ("net.ipv4.tcp_rmem=4096 131072 67108864", "net.ipv4.tcp_wmem=4096 65536 67108864",
           "net.ipv4.tcp_no_metrics_save=1")


class OverWires(Tunnel):
    """Base of all. `flow_kind` is what the traffic tool opens: "tcp" or "mptcp"."""

    flow_kind = "tcp"

    def __init__(self, wires):
        self.wires = wires
        super().__init__()

    def make_ends(self):
        """Two nodes and the links between them, without a tunnel."""
        self.client, self.server = self.lab.node("client"), self.lab.node("server")
        self.tune(self.client, self.server)
        return [Wan(self.client, self.server, f"wan{n}", wire.settings) for n, wire in enumerate(self.wires, 1)]

    def tune(self, *nodes):
        for node in nodes:
            node.run("sysctl", "-qw", *SYSCTLS)

    def settle(self):
        """Links are as they are before the schedule, and all of them are used."""
        for cable, wire in zip(self.lab.cables, self.wires):
            cable.set(f"{wire.settings} blackout=no")


class BondedVtrunkd(OverWires, Vtrunkd):
    def __init__(self, wires, mode="aggregate"):
        self.mode = mode
        OverWires.__init__(self, wires)

    def make_pair(self, **options):
        pair = WanPair(self.lab, mode=self.mode, rates=[wire.settings for wire in self.wires], **options)
        self.tune(pair.client_node, pair.server_node)
        return pair

    def settle(self):
        super().settle()
        for cable in self.lab.cables:
            self.pair.client.wait_path(cable.name, "up", 20)


class Mptcp(OverWires):
    """The kernel's Multipath TCP, which carries TCP only and encrypts nothing: the probe goes over the
    first link itself, and shows what queue stands there."""

    flow_kind = "mptcp"

    def set_up(self):
        cables = self.make_ends()
        for node in (self.client, self.server):
            node.run("sysctl", "-qw", "net.mptcp.enabled=1")
            node.ip("mptcp limits set subflows 8 add_addr_accepted 8")
        for cable in cables[1:]:
            self.server.ip(f"mptcp endpoint add {cable.v4(self.server)} dev {cable.name} signal")
        self.address = cables[0].v4(self.server)


class SingleLink(OverWires, Uapi):
    """A WireGuard that knows of one link, which it has to itself."""

    def __init__(self, wires, command):
        self.wires = wires
        Uapi.__init__(self, command)

    def make_cable(self):
        self.tune(self.client, self.server)
        return Wan(self.client, self.server, "wan1", self.wires[0].settings)


class Foreign(OverWires):
    """Any other tunnel: the command runs in both namespaces, the server's first, and makes an interface.

    It finds in its environment: ROLE (client or server), INTERFACE to be made, LINKS (how many), and for
    each link N: DEVICE_N, LOCAL_N, REMOTE_N, RATE_N (Mbit/s, towards the server); DIRECTORY, which both
    share and which is removed in the end.
    """

    def __init__(self, wires, command):
        self.command = command
        super().__init__(wires)

    def set_up(self):
        cables = self.make_ends()
        for node, role, address in ((self.server, "server", SERVER_IP), (self.client, "client", CLIENT_IP)):
            self.run_end(node, role, address, cables)

    def run_end(self, node, role, address, cables):
        process = node.spawn(*shlex.split(self.command), env=self.environment(node, role, cables))
        wait_until(lambda: node.has_interface(INTERFACE) or (not process.is_running() and process.wait() != 0), 10,
                   f"'{self.command}' makes {INTERFACE}")
        assert node.has_interface(INTERFACE), f"'{self.command}' ended: {process.output()[-1000:]}"
        node.ip(f"addr replace {address}/24 dev {INTERFACE}")
        node.ip(f"link set {INTERFACE} mtu {MTU} up")

    def environment(self, node, role, cables):
        values = {"ROLE": role, "INTERFACE": INTERFACE, "LINKS": len(cables), "DIRECTORY": self.lab.directory}
        for n, (cable, wire) in enumerate(zip(cables, self.wires), 1):
            other = self.client if node is self.server else self.server
            values |= {f"DEVICE_{n}": cable.name, f"LOCAL_{n}": cable.v4(node), f"REMOTE_{n}": cable.v4(other),
                       f"RATE_{n}": f"{wire.capacity_mbps(1):.0f}"}
        return {**os.environ, **{key: str(value) for key, value in values.items()}}
