# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Links that carry less than others, or less than before, and say nothing of it.

    client 10.10.0.2                                server 10.10.0.1
      wan1 10.0.1.1 ------ [ wan ] 10.0.1.0/24 ------ 10.0.1.2 wan1
      wan2 10.0.2.1 ------ [ wan ] 10.0.2.0/24 ------ 10.0.2.2 wan2
"""
import json
import threading

import pytest

from bond import SERVER_IP, SERVER_IP6, Pair
from lab import becomes_true, wait_until
from traffic import iperf, is_listening, transfer
from wan import WanPair

GRAIN = 4  # to which it is searched
OVERHEAD = {4: 60, 6: 80}


def tunnel_mtu(node):
    return json.loads(node.ip("-j link show tun0").stdout)[0]["mtu"]


def wait_mtu(pair, cable, mtu, seconds=20):
    wait_until(lambda: mtu - GRAIN < (pair.client.path(cable.name)["mtu"] or 0) <= mtu, seconds,
               f"{cable.name} is known to carry {mtu}")


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("icmp", ["yes", "no"])
def test_the_interface_follows_the_smallest_path(lab, family, icmp):
    pair = WanPair(lab, rates=["", f"mtu=1400 mtu_icmp={icmp}"], families=[family] * 2)
    wide, narrow = pair.cables

    wait_mtu(pair, wide, 1500)
    wait_mtu(pair, narrow, 1400)
    for node in (pair.client_node, pair.server_node):
        wait_until(lambda: 1400 - GRAIN < tunnel_mtu(node) + OVERHEAD[family] <= 1400, 20, "the interface follows")
    transfer(pair.client_node, pair.server_node, SERVER_IP)


def test_it_follows_up_again_when_the_small_path_is_gone(lab):
    pair = WanPair(lab, rates=["", "mtu=1400"])
    narrow = pair.cables[1]
    wait_until(lambda: tunnel_mtu(pair.client_node) < 1420, 20, "the interface follows down")

    narrow.cut_silently()

    wait_until(lambda: tunnel_mtu(pair.client_node) == 1420, 25, "the interface follows up")


def test_a_tcp_flow_survives_a_decrease_that_nobody_tells_of(lab):
    """Over IPv6, where nobody on the way cuts a packet that is too large."""
    pair = WanPair(lab, rates=["rate=50mbit delay=5ms"], families=[6])
    wan = pair.cables[0]
    wait_mtu(pair, wan, 1500)
    answers = []
    flow = threading.Thread(target=lambda: answers.append(
        iperf(pair.client_node, pair.server_node, SERVER_IP6, 15)))
    flow.start()
    before = pair.sent(wan)
    wait_until(lambda: pair.sent(wan) - before > 1 << 20, 10, "the flow flows")

    wan.set("mtu=1380 mtu_icmp=no")
    becomes_true(lambda: False, 1)

    wait_until(lambda: tunnel_mtu(pair.client_node) <= 1300, 10, "the interface follows")
    flow.join(60)
    intervals = answers[0]["intervals"]
    assert intervals[-2]["sum"]["bytes"] > 100000, "it flows again in the end"
    assert pair.client.path(wan.name)["downs"] == 0


def test_a_configured_mtu_is_left_alone(lab):
    pair = WanPair(lab, rates=["mtu=1400"], start=False)
    pair.client.sections["network"]["mtu"] = 1420
    pair.start()
    wait_mtu(pair, pair.cables[0], 1400)

    assert tunnel_mtu(pair.client_node) == 1420
    transfer(pair.client_node, pair.server_node, SERVER_IP)  # routers cut what is too large


@pytest.mark.parametrize("clamp, mss", [("yes", 1240), ("no", 1380)])
def test_mss_clamp_keeps_what_a_connection_sends_below_the_mtu(lab, clamp, mss):
    """The client promises to take 1460 bytes, as a host behind a router does; its tunnel takes 1280."""
    pair = Pair(lab, start=False)
    pair.client.sections["network"] |= {"mtu": 1280, "mss_clamp": clamp}
    pair.start()
    pair.client_node.ip(f"route replace {SERVER_IP} dev tun0 advmss 1460")
    pair.server_node.spawn("/usr/bin/python3", "-c", "import socket, time\n"
                           f"s = socket.create_server(('{SERVER_IP}', 5201)); c = s.accept(); time.sleep(60)")
    wait_until(lambda: is_listening(pair.server_node, 5201), 10, "the server listens")
    pair.client_node.spawn("/usr/bin/python3", "-c", "import socket, time\n"
                           f"c = socket.create_connection(('{SERVER_IP}', 5201)); time.sleep(60)")

    def sent_mss():
        shown = pair.server_node.run("ss", "-Htin", "sport = :5201").stdout
        return next((int(word[4:]) for word in shown.split() if word.startswith("mss:")), None)

    wait_until(sent_mss, 10, "they are connected")
    assert sent_mss() in (mss, mss - 12), "12 bytes are the timestamps'"
