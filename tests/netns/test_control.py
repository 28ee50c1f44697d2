# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""What the control socket can do to a running daemon.

    client 10.10.0.2                       server 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
"""
import json
import socket

from bond import PORT, SERVER_IP, VTRUNKCTL, Daemon, Keys, Pair, network_section
from lab import wait_until
from traffic import wait_for_ping


def ctl(daemon, *arguments, check=True):
    return daemon.node.run(VTRUNKCTL, "--socket", daemon.control, *arguments, check=check)


def ask(daemon, action, **keys):
    """The answer to one request, as the socket gives it."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(str(daemon.control))
        s.sendall(json.dumps({"action": action, **keys}).encode() + b"\n")
        return json.loads(s.makefile().readline())


def error_of(daemon, action, **keys):
    answer = ask(daemon, action, **keys)
    assert not answer["success"], answer
    return answer["error"]["type"]


def two_networks(lab, second_interface="tun1"):
    """A daemon with the networks "one" and "two"."""
    def sections(name, interface, address, port):
        return {f"network {name}": network_section(address, interface=interface),
                f"wireguard {name}": {"private_key": Keys().private, "peer_public_key": Keys().public},
                f"link {name}": {"network": name, "bind": f"0.0.0.0:{port}"}}
    return Daemon(lab.node("server"), {**sections("one", "tun0", SERVER_IP, PORT),
                                       **sections("two", second_interface, "10.11.0.1", PORT + 1)}, start=False)


def states(daemon):
    return {n["name"]: n["state"] for n in json.loads(daemon.control_answer().stdout)["networks"]}


def test_a_network_is_disconnected_and_connected_again(lab):
    pair = Pair(lab, rates=[None])

    assert error_of(pair.client, "connect") == "invalid_state"
    ctl(pair.client, "disconnect")
    assert not pair.client_node.has_interface("tun0")
    assert pair.client.network()["state"] == "stopped"
    assert error_of(pair.client, "disconnect") == "invalid_state"
    assert "state: active" in ctl(pair.client, "connect").stdout
    wait_for_ping(pair.client_node, SERVER_IP)
    assert pair.client.network()["state"] == "active"


def test_a_network_that_cannot_start_leaves_the_others_alone(lab):
    daemon = two_networks(lab)
    daemon.node.ip("link add tun1 type veth")

    daemon.start()

    assert states(daemon) == {"one": "active", "two": "error"}
    assert daemon.network("two")["reason"]
    assert "error" in ctl(daemon, "status").stdout
    assert error_of(daemon, "connect", network="two") == "platform_error"
    daemon.node.ip("link del tun1")
    assert ask(daemon, "connect", network="two")["success"]
    assert states(daemon) == {"one": "active", "two": "active"}


def test_a_network_that_fails_leaves_the_others_alone(lab):
    daemon = two_networks(lab)
    daemon.start()

    daemon.node.ip("link del tun1")
    wait_until(lambda: states(daemon) == {"one": "active", "two": "error"}, 10, "the network has failed")

    assert "vanished" in daemon.network("two")["reason"]
    assert ask(daemon, "connect", network="two")["success"]
    assert daemon.node.has_interface("tun1")


def test_a_network_that_is_not_enabled_waits_to_be_connected(lab):
    daemon = two_networks(lab)
    daemon.sections["network two"]["enable_wireguard"] = "false"

    daemon.start()

    assert states(daemon) == {"one": "active", "two": "uninitialized"}
    ctl(daemon, "connect", "two")
    assert states(daemon)["two"] == "active"


def test_unknown_names_are_errors_of_their_type(lab):
    daemon = two_networks(lab)
    daemon.start()

    assert error_of(daemon, "dance") == "unknown_action"
    assert error_of(daemon, "status", network="three") == "network_not_found"
    assert error_of(daemon, "connect") == "network_not_found", "of two networks none is the default"
    assert error_of(daemon, "log_level", level="loud") == "config_error"
    assert ctl(daemon, "disconnect", "three", check=False).returncode == 1
    assert ctl(daemon, "dance", check=False).returncode == 2


def test_the_log_level_changes_at_once(lab):
    pair = Pair(lab, rates=[None])

    assert "level: debug" in ctl(pair.client, "log", "level").stdout
    ctl(pair.client, "log", "level", "error")
    before = len(pair.client.process.output())
    ctl(pair.client, "disconnect")
    assert len(pair.client.process.output()) == before
    assert "level: error" in ctl(pair.client, "log", "level").stdout
