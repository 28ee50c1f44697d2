# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""vtrunkctl doctor: each trouble is found, and comes with its remedy.

    client 10.10.0.2                       server 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
      wan2 10.0.2.1 ------ 10.0.2.0/24 ------ 10.0.2.2 wan2
"""
import json

from bond import VTRUNKCTL, Pair


def findings(daemon):
    """(check, result) -> text and remedy."""
    done = daemon.node.run(VTRUNKCTL, "--socket", daemon.control, "--json", "doctor", check=False)
    found = {(f["check"], f["result"]): f'{f["text"]} -> {f["remedy"]}' for f in json.loads(done.stdout)}
    assert (done.returncode == 1) == any(result == "BAD" for _, result in found)
    return found


def test_a_healthy_bond_has_nothing_bad(lab):
    pair = Pair(lab)
    for name in ("all", "default"):
        pair.client_node.run("sysctl", "-qw", f"net.ipv4.conf.{name}.rp_filter=0", "net.ipv4.ip_forward=1")

    found = findings(pair.client)

    assert not [text for (_, result), text in found.items() if result == "BAD"], found
    assert ("tun", "ok") in found and ("daemon", "ok") in found and ("forwarding", "ok") in found


def test_troubles_are_found_with_their_remedies(lab):
    pair = Pair(lab, start=False)
    for cable in pair.cables:
        pair.client.sections[f"link {cable.name}"]["device"] = cable.name
    pair.client.sections["link gone"] = {"device": "wwan7", "endpoint": "10.0.9.2:51820"}
    pair.client.sections["network"]["mtu"] = 1480
    pair.start()
    pair.client_node.run("sysctl", "-qw", "net.ipv4.conf.wan1.rp_filter=1", "net.ipv4.ip_forward=0")

    found = findings(pair.client)

    assert "net.ipv4.conf.wan1.rp_filter=2" in found["rp_filter", "BAD"]
    assert "ip_forward=1" in found["forwarding", "note"]
    assert "link gone" in found["link", "BAD"] and "No such device" in found["link", "BAD"]
    assert "mtu = 1420" in found["mtu", "note"]


def test_a_route_into_a_tunnel_is_found(lab):
    pair = Pair(lab, rates=[None])
    pair.client_node.ip(f"route add {pair.server_address(pair.cables[0])}/32 dev tun0")

    assert "a tunnel" in findings(pair.client)["routes", "BAD"]


def test_without_a_daemon_it_says_so(lab):
    pair = Pair(lab, start=False)

    assert "no vtrunkd listens" in findings(pair.client)["daemon", "BAD"]
