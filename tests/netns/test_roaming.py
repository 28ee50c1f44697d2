# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Who may move a path: the peer, by authenticated packets, and nobody else.

    client 10.0.1.2 ------ .1 router .1 ------ 10.0.2.2 server
                              .1
                               |
                            10.0.3.2
                            mallory, who sees what the client sends and may forge any source
"""
import pytest

from bond import CLIENT_IP, PORT, SERVER_IP, Pair
from hostile import UDP, Tap, send_forged
from lab import stays_true, wait_until
from traffic import PingTrain, answers_ping, ping_lost, wait_for_ping

CLIENT_ADDRESS, SERVER_ADDRESS = "10.0.1.2", "10.0.2.2"


class RoutedPair(Pair):
    def __init__(self, lab, **options):
        super().__init__(lab, rates=[], start=False, **options)
        self.router, self.mallory = lab.node("router"), lab.node("mallory")
        self.router.run("sysctl", "-qw", "net.ipv4.ip_forward=1",
                        "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0")
        for number, (node, name) in enumerate(
                [(self.client_node, "wan1"), (self.server_node, "wan2"), (self.mallory, "wan3")], 1):
            cable = lab.cable(self.router, node, name)
            node.ip(f"route add default via 10.0.{number}.1")
            self.cables.append(cable)
        self.client.sections["link wan1"] = {"endpoint": f"{SERVER_ADDRESS}:{PORT}"}
        self.server.start()
        self.client.start()
        wait_for_ping(self.client_node, SERVER_IP)
        self.client.wait_path("wan1", "up")
        wait_until(lambda: self.server.path_to(CLIENT_ADDRESS)["state"] == "up", 5, "the server's path is up")

    def client_remote(self):
        """Where the server believes the client to be."""
        return self.server.path_to(CLIENT_ADDRESS)["remote"]

    def client_port(self):
        return int(self.client_remote().rsplit(":", 1)[1])


def test_the_server_follows_a_client_whose_address_changes(lab):
    pair = RoutedPair(lab)
    handshake_age = pair.server.peer()["handshake_age_s"]

    with PingTrain(pair.client_node, SERVER_IP) as train:
        pair.client_node.ip("addr add 10.0.1.99/32 dev wan1")
        pair.client_node.ip("route replace 10.0.1.0/24 dev wan1 src 10.0.1.99")
        pair.client_node.ip("route replace default via 10.0.1.1 src 10.0.1.99")
        pair.client_node.ip("addr del 10.0.1.2/24 dev wan1")
        wait_until(lambda: pair.server.path_to("10.0.1.99"), 10, "the server knows the new address")
        wait_until(lambda: pair.server.path_to("10.0.1.99")["state"] == "up", 10, "the path is up")
        assert ping_lost(pair.client_node, SERVER_IP) == 0
    assert ping_lost(pair.server_node, CLIENT_IP) == 0
    assert train.longest_gap < 3
    assert pair.server.peer()["handshake_age_s"] > handshake_age, "within the same session"


def test_the_server_follows_a_client_whose_nat_changes_its_port(lab):
    pair = RoutedPair(lab)
    port = pair.client_port()

    def translate(outside):
        pair.client_node.nft(f"""
            table netdev nat
            delete table netdev nat
            table netdev nat {{
                chain out {{
                    type filter hook egress device "wan1" priority 0
                    udp sport {port} udp sport set {outside}
                }}
                chain in {{
                    type filter hook ingress device "wan1" priority 0
                    udp dport {outside} udp dport set {port}
                }}
            }}""")

    for outside in (40001, 40002):
        translate(outside)
        wait_until(lambda: any(p["remote"] == f"{CLIENT_ADDRESS}:{outside}" and p["state"] == "up"
                               for p in pair.server.paths()), 10, f"the server answers to port {outside}")
        wait_for_ping(pair.client_node, SERVER_IP)
        assert ping_lost(pair.client_node, SERVER_IP) == 0


def captured(pair, count=50):
    """Datagrams that the server has already had from the client."""
    with Tap(pair.client_node, "wan1") as tap:
        assert ping_lost(pair.client_node, SERVER_IP, count) == 0
        return tap.wait_for(count, to_port=PORT)


def replays(pair):
    return pair.server.dropped("rx_replay") + pair.server.dropped("rx_duplicate")


def test_a_replayed_datagram_from_elsewhere_moves_nothing(lab):
    pair = RoutedPair(lab)
    remotes = [p["remote"] for p in pair.server.paths()]
    datagrams = captured(pair)
    before = replays(pair)

    attacker = pair.mallory.socket(*UDP)
    for datagram in datagrams:
        attacker.sendto(datagram, (SERVER_ADDRESS, PORT))

    wait_until(lambda: replays(pair) - before >= len(datagrams), 5, "the replays are counted")
    assert [p["remote"] for p in pair.server.paths()] == remotes
    assert ping_lost(pair.server_node, CLIENT_IP) == 0


def test_a_forged_source_address_neither_moves_nor_breaks_the_path(lab):
    pair = RoutedPair(lab)
    remotes = [p["remote"] for p in pair.server.paths()]
    before = pair.server.all_drops()

    with PingTrain(pair.client_node, SERVER_IP) as train:
        for datagram in captured(pair):
            garbled = datagram[:16] + bytes(b ^ 0x55 for b in datagram[16:])
            send_forged(pair.mallory, (CLIENT_ADDRESS, pair.client_port()), (SERVER_ADDRESS, PORT), garbled)
            send_forged(pair.mallory, ("10.0.3.77", 9), (SERVER_ADDRESS, PORT), garbled)
        wait_until(lambda: pair.server.all_drops() - before >= 100, 5, "the forgeries are counted")
    assert train.lost == 0
    assert [p["remote"] for p in pair.server.paths()] == remotes


@pytest.mark.parametrize("is_garbled", [False, True], ids=["replayed", "garbled"])
def test_nothing_forged_keeps_a_dead_path_alive(lab, is_garbled):
    pair = RoutedPair(lab)
    source = (CLIENT_ADDRESS, pair.client_port())
    datagrams = captured(pair)
    if is_garbled:
        datagrams = [datagram[:-1] + bytes([datagram[-1] ^ 1]) for datagram in datagrams]

    def forge():
        for datagram in datagrams:
            send_forged(pair.mallory, source, (SERVER_ADDRESS, PORT), datagram)
        return True

    pair.cables[0].cut_silently()
    wait_until(lambda: forge() and pair.server.path_to(CLIENT_ADDRESS)["state"] == "down", 10,
               "the path goes down in spite of the forgeries")
    stays_true(lambda: forge() and pair.server.path_to(CLIENT_ADDRESS)["state"] == "down", 1, "it stays down")
    pair.cables[0].mend()
    pair.client.wait_path("wan1", "up")
    assert answers_ping(pair.client_node, SERVER_IP)
