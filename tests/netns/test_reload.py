# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""The configuration changes while the tunnel carries traffic.

    client 10.10.0.2                       server 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
      wan2 10.0.2.1 ------ 10.0.2.0/24 ------ 10.0.2.2 wan2
"""
import random
import re
import signal
import socket

from bond import SERVER_IP, VTRUNKCTL, Keys, Pair, network_section
from lab import wait_until
from traffic import PingTrain, is_listening, ping_lost, wait_for_ping


def ctl(daemon, *arguments, check=True):
    return daemon.node.run(VTRUNKCTL, "--socket", daemon.control, *arguments, check=check)


def reload(daemon):
    daemon.write_config()
    return ctl(daemon, "reload", check=False)


def links(daemon):
    return sorted(link["name"] for link in daemon.network()["links"])


def change_at_random(chance, daemon, aside):
    """One of the things that may change at any time; returns what."""
    sections = daemon.sections
    wireguard = sections["wireguard"]
    what = chance.choice(["weight", "mode", "health", "keepalive", "link", "scheduler"])
    if what == "weight":
        sections["link wan1"]["weight"] = chance.randint(1, 9)
    elif what == "mode":
        wireguard["bonding_mode"] = chance.choice(["aggregate", "redundant", "failover"])
    elif what == "health":
        wireguard["health_check_interval_ms"] = chance.randint(50, 150)
    elif what == "keepalive":
        wireguard["persistent_keepalive"] = chance.randint(1, 60)
    elif what == "scheduler":
        wireguard["scheduler"] = chance.choice(["adaptive", "weight"])
    elif "link wan2" in sections:
        aside["link wan2"] = sections.pop("link wan2")
    else:
        sections["link wan2"] = aside.pop("link wan2")
    return what


def test_many_reloads_keep_session_and_flows(lab):
    pair = Pair(lab)
    chance = random.Random(1)
    aside = {}
    pair.server_node.spawn("iperf3", "-s", "-1", "-p", "5201")
    wait_until(lambda: is_listening(pair.server_node, 5201), 10, "iperf3 listens")
    handshakes = pair.client.peer()["handshakes"]

    with PingTrain(pair.client_node, SERVER_IP) as train:
        flow = pair.client_node.spawn("iperf3", "-c", SERVER_IP, "-p", "5201", "-t", "12", "-b", "5M")
        for _ in range(40):
            what = change_at_random(chance, pair.client, aside)
            done = reload(pair.client)
            assert done.returncode == 0, f"{what}: {done.stderr}"
        assert flow.wait(40) == 0, flow.output()
        assert len(train.read()) > 0
    assert pair.client.peer()["handshakes"] == handshakes, "the session is the same"
    assert links(pair.client) == sorted(s[5:] for s in pair.client.sections if s.startswith("link "))
    wait_until(lambda: ping_lost(pair.client_node, SERVER_IP, 5) == 0, 10, "pings are answered")


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
    assert "[peer other] added" in reload(daemon).stdout
    assert daemon.peer("other")["allowed_ips"] == ["10.10.0.9/32"]
    ctl(daemon, "peer", "set", "other", "allowed_ips=10.10.0.8/32", "persistent_keepalive=7")
    assert daemon.peer("other")["allowed_ips"] == ["10.10.0.8/32"]
    assert daemon.peer("other")["persistent_keepalive_s"] == 7
    ctl(daemon, "peer", "remove", "other")
    assert [p["name"] for p in daemon.network()["peers"]] == ["client"]
    ctl(daemon, "peer", "add", "third", f"public_key={Keys().public}", "allowed_ips=10.10.0.7/32")
    assert daemon.peer("third")
    assert daemon.peer("client")["handshakes"] == handshakes
    assert ping_lost(pair.client_node, SERVER_IP) == 0


def test_links_come_and_go_by_command(lab):
    pair = Pair(lab)
    endpoint = pair.client.sections["link wan2"]["endpoint"]

    ctl(pair.client, "link", "disable", "wan2")
    assert links(pair.client) == ["wan1"]
    ctl(pair.client, "link", "enable", "wan2")
    pair.client.wait_path("wan2", "up")
    ctl(pair.client, "link", "remove", "wan2")
    assert links(pair.client) == ["wan1"]
    ctl(pair.client, "link", "add", "lte/5g", f"endpoint={endpoint}", "weight=3")
    pair.client.wait_path("lte/5g", "up")
    assert "weight changed" in ctl(pair.client, "link", "set", "lte/5g", "weight=5").stdout
    assert pair.client.path("lte/5g")["weight"] == 5
    ctl(pair.client, "mode", "set", "failover")
    assert pair.client.network()["mode"] == "failover"
    wait_until(lambda: ping_lost(pair.client_node, SERVER_IP, 5) == 0, 10, "pings are answered")


def test_what_is_wrong_or_needs_a_restart_changes_nothing(lab):
    pair = Pair(lab)
    sections = pair.client.sections

    sections["link wan1"]["weight"] = 7
    sections["network"]["mtu"] = 1300
    done = reload(pair.client)
    assert done.returncode == 1 and "[network] mtu" in done.stderr and "restart" in done.stderr
    del sections["network"]["mtu"]
    sections["link wan1"]["weight"] = 0
    done = reload(pair.client)
    assert done.returncode == 1 and "weight" in done.stderr and str(pair.client.config) in done.stderr
    sections["link wan1"]["weight"] = 1
    assert pair.client.path("wan1")["weight"] == 1, "what is good was not taken either"
    for command in (["link", "remove", "nowhere"], ["link", "set", "wan1", "weight=0"], ["mode", "set", "fast"],
                    ["link", "add", "wan1", "weight=1"], ["peer", "set", "nobody", "multilink=no"]):
        assert ctl(pair.client, *command, check=False).returncode == 1, command
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
    assert "removed" in reload(pair.client).stdout
    assert not pair.client_node.has_interface("tun2")
    assert ping_lost(pair.client_node, SERVER_IP) == 0


def uapi_private_key(directory, interface):
    """What wg(8) would show as the private key, in hexadecimal."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(str(directory / f"{interface}.sock"))
        s.sendall(b"get=1\n\n")
        answer = b""
        while not answer.endswith(b"\n\n"):
            part = s.recv(65536)
            assert part, answer
            answer += part
    return re.search(r"^private_key=(\w+)$", answer.decode(), re.MULTILINE)[1]


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
    keys = {name: uapi_private_key(directory, name) for name in ("tun0", "tun2")}
    assert keys["tun0"] != keys["tun2"]

    for name in ("network two", "wireguard two", "link other"):
        del sections[name]
    assert "removed" in reload(pair.client).stdout
    assert uapi_private_key(directory, "tun0") == keys["tun0"]
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
    assert reload(client).returncode == 0
    wait_until(lambda: names() == ["tun0.sock", "tun9.sock"], 5, "wg finds the network that came")
    assert uapi_private_key(sockets, "tun9")
    ctl(client, "disconnect", "extra")
    wait_until(lambda: names() == ["tun0.sock"], 5, "a network that is stopped has no socket")
    ctl(client, "connect", "extra")
    wait_until(lambda: names() == ["tun0.sock", "tun9.sock"], 5, "it has one again")
    sections["network default"]["uapi"] = "off"
    assert reload(client).returncode == 0
    wait_until(lambda: names() == ["tun9.sock"], 5, "wg does not find what it is not to find")
    for section in ("network extra", "wireguard extra", "link extra", "peer nobody"):
        del sections[section]
    assert reload(client).returncode == 0
    wait_until(lambda: names() == [], 5, "wg finds nothing any more")


def test_rates_roles_and_thresholds_need_no_restart(lab):
    pair = Pair(lab, rates=[None])
    wait_for_ping(pair.client_node, SERVER_IP, 25)
    done = ctl(pair.client, "link", "set", "wan1", "rate=7mbit", "role=backup")
    assert "rate changed" in done.stdout and "role changed" in done.stdout
    link, = pair.client.network()["links"]
    assert link["rate_bps"] == 7000000 and link["role"] == "backup"
    pair.client.sections["wireguard"].update(max_spread_ms=50, health_check_up=2, failure_loss=30)
    assert reload(pair.client).returncode == 0
    assert ping_lost(pair.client_node, SERVER_IP) == 0


def test_a_new_private_key_makes_new_sessions(lab):
    pair = Pair(lab, rates=[None])
    new = Keys()

    pair.client.sections["wireguard"]["private_key"] = new.private
    pair.server.sections["wireguard"]["peer_public_key"] = new.public
    assert reload(pair.server).returncode == 0
    assert reload(pair.client).returncode == 0

    assert pair.client.network()["public_key"] == new.public
    wait_for_ping(pair.client_node, SERVER_IP, 25)


def test_no_key_is_in_any_output(lab):
    pair = Pair(lab)
    ctl(pair.client, "log", "level", "debug")
    said = [ctl(pair.client, *words, check=False) for words in (
        ["status"], ["--json", "status"], ["metrics"], ["health"], ["doctor"], ["reload"],
        ["peer", "set", "peer", f"preshared_key={pair.client_keys.private}"],
        ["link", "add", "x", f"fwmark={pair.client_keys.private}"])]
    pair.client.sections["wireguard"]["mtu"] = pair.client_keys.private
    said.append(reload(pair.client))
    del pair.client.sections["wireguard"]["mtu"]
    texts = [done.stdout + done.stderr for done in said] + [
        pair.client.process.output(), pair.server.process.output()]
    for secret in (pair.client_keys.private, pair.server_keys.private):
        assert not [text for text in texts if secret in text or secret[:20] in text]
