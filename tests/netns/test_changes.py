# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Links and peers come, change and go under bulk traffic, by vtrunkctl and by wg.

    client 10.10.0.2                       server 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
      wan2 10.0.2.1 ------ 10.0.2.0/24 ------ 10.0.2.2 wan2
"""
import base64
import socket

import pytest
from bond import SERVER_IP, VTRUNKCTL, Keys, Pair, new_psk
from lab import wait_until
from traffic import begin_iperf
from wan import WanPair

ROUNDS = 10  # each makes two new paths, of which a peer has sixteen
MOVES_BYTES = 1_000_000  # more than what may have been under way
# What a change must not cost while one link stays. The others tell of congestion, of copies, or of the handshakes with
# the other peer, which go to the server too, since the links lead there.
NEVER = {"rx_malformed", "rx_handshake_queue", "rx_bad_tag", "rx_bad_frame", "rx_not_ip", "rx_source_not_allowed",
         "rx_tun_write", "tx_malformed", "tx_no_peer", "tx_too_big", "tx_no_session", "tx_no_path"}


def ctl(daemon, *arguments):
    return daemon.node.run(VTRUNKCTL, "--socket", daemon.control, *arguments)


def wg_set(directory, *lines):
    """What `wg set` sends; its answer must be that all is well."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(str(directory / "tun0.sock"))
        s.sendall("\n".join(["set=1", *lines, "", ""]).encode())
        assert s.recv(100) == b"errno=0\n\n"


def hexadecimal(key):
    return base64.b64decode(key).hex()


def drops(daemon):
    network = daemon.network()
    return {reason: sum(o["drops"][reason] for o in [network, *network["links"]])
            for reason in network["drops"] if reason in NEVER}


class Changes:
    """One after the other, each to an end at which all is as it was, but for paths that are still to come up."""

    def __init__(self, pair, directory, is_patient):
        self.client, self.server, self.directory = pair.client, pair.server, directory
        self.endpoint = pair.client.sections["link wan2"]["endpoint"]
        self.other = Keys().public
        self.is_patient = is_patient

    def wait_path(self, link):
        if self.is_patient:
            self.client.wait_path(link, "up")

    def link_goes_and_comes(self):
        ctl(self.client, "link", "remove", "wan2")
        ctl(self.client, "link", "add", "wan2", f"endpoint={self.endpoint}")
        self.wait_path("wan2")

    def link_is_disabled_and_enabled(self):
        ctl(self.client, "link", "disable", "wan1")
        ctl(self.client, "link", "enable", "wan1")
        self.wait_path("wan1")

    def link_changes(self):
        ctl(self.client, "link", "set", "wan2", "weight=7", "rate=500mbit")
        ctl(self.client, "link", "set", "wan2", "weight=1", "rate=0")

    def mark_and_port_change(self):
        wg_set(self.directory, "fwmark=119", "listen_port=51999")
        wg_set(self.directory, "fwmark=0", "listen_port=0")

    def peer_comes_changes_and_goes(self):
        key = f"public_key={hexadecimal(self.other)}"
        wg_set(self.directory, key, f"preshared_key={hexadecimal(new_psk())}", "endpoint=192.0.2.9:9",
               "persistent_keepalive_interval=1", "allowed_ip=10.99.0.0/24")
        wg_set(self.directory, key, f"preshared_key={hexadecimal(new_psk())}", "replace_allowed_ips=true",
               "allowed_ip=10.98.0.0/24")
        wg_set(self.directory, key, "remove=true")

    def peer_at_the_other_end(self):
        ctl(self.server, "peer", "add", "guest", f"public_key={self.other}", "allowed_ips=10.97.0.1/32")
        ctl(self.server, "peer", "remove", "guest")

    def all(self):
        return [self.link_goes_and_comes, self.link_is_disabled_and_enabled, self.link_changes,
                self.mark_and_port_change, self.peer_comes_changes_and_goes, self.peer_at_the_other_end]


def wait_for_movement(pair, n_bytes=MOVES_BYTES):
    def arrived():
        return pair.server_node.counters("tun0")["rx"]["bytes"]

    start = arrived()
    wait_until(lambda: arrived() > start + n_bytes, 20, "the flow moves on")


def begin_flow(pair):
    # By cubic (lab.py): BBR takes a path that is longer all at once for a queue, for 10 s, whatever we do.
    return begin_iperf(pair.client_node, pair.server_node, SERVER_IP, 300)[0]


@pytest.mark.parametrize("is_patient", [True, False], ids=["one link stays", "no link stays"])
def test_bulk_traffic_lives_on(lab, is_patient):
    pair = Pair(lab, rates=["200mbit", "200mbit"], start=False)
    del pair.server.sections["wireguard"]["peer_public_key"]
    pair.server.sections["peer client"] = {"public_key": pair.client_keys.public, "allowed_ips": "10.10.0.2/32"}
    pair.start()
    changes = Changes(pair, next(lab.directory.glob("*-client-wg")), is_patient)
    before = drops(pair.client), drops(pair.server)

    flow = begin_flow(pair)
    wait_for_movement(pair)
    for _ in range(ROUNDS):
        for change in changes.all():
            change()
        wait_for_movement(pair)
    assert flow.is_running(), flow.output()
    assert not is_patient or (drops(pair.client), drops(pair.server)) == before
    flow.stop()


def test_a_mark_that_leads_another_way_makes_the_path_learn_anew(lab):
    """One link, whose mark decides by which of two lines it goes. What is longer there by 60 ms is not a queue."""
    pair = WanPair(lab, rates=["rate=30mbit delay=2ms queue=100ms", "rate=30mbit delay=62ms queue=100ms"], start=False)
    del pair.client.sections["link wan2"]
    pair.client.sections["link wan1"]["endpoint"] = "10.9.9.9:51820"
    pair.server_node.ip("addr add 10.9.9.9/32 dev lo")
    first, second = pair.cables
    pair.client_node.ip(f"route add 10.9.9.9 via {first.v4(pair.server_node)}")
    pair.client_node.ip(f"route add 10.9.9.9 via {second.v4(pair.server_node)} table 77")
    pair.client_node.ip("rule add fwmark 119 table 77")
    pair.server.start()
    pair.client.start()
    pair.client.wait_path("wan1", "up")

    flow = begin_flow(pair)
    wait_until(lambda: pair.client.path("wan1")["learnt_bps"], 10, "its rate is learnt")
    wait_for_movement(pair, 2 * MOVES_BYTES)
    wg_set(next(lab.directory.glob("*-client-wg")), "fwmark=119")
    wait_until(lambda: pair.server.path_to(second.v4(pair.client_node)), 10, "it goes by the second line")
    # Taken for a queue, it would be waited for to go away: 3 % of the rate, for 20 s and more.
    wait_for_movement(pair, 4 * MOVES_BYTES)
    assert flow.is_running(), flow.output()
    wait_until(lambda: pair.client.path("wan1")["queue_us"] < 40_000, 5, "it has no queue of 60 ms")
    flow.stop()
