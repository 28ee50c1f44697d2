# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""What the control socket can do to a running daemon.

    client 10.10.0.2                       server 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
"""
import json
import os
import pathlib
import signal
import socket
import stat
import subprocess

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
        answer = s.makefile().readline()
    daemon.node.lab.heard.append(([VTRUNKCTL, action], answer))
    return json.loads(answer)


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


# What is wrong with a request, for each action that has something to be wrong; the network has the link wan1 alone.
MALFORMED = [
    ("parse_error", [
        b'{"action":', b'[]', b'"x"', b'{"action": 7}', b'{}', b'\xff\xfe', b'[' * 100, b'{"action": "status", "network": 7}',
        {"action": "connect", "network": []}, {"action": "link_add"}, {"action": "link_add", "name": 7},
        {"action": "link_add", "name": "x", "settings": []}, {"action": "link_set", "name": "wan1", "settings": "weight=1"},
        {"action": "link_enable"}, {"action": "link_disable", "name": []}, {"action": "link_remove", "name": None},
        {"action": "peer_add", "name": {}}, {"action": "peer_set"}, {"action": "peer_remove", "name": True},
        {"action": "mode_set"}, {"action": "mode_set", "mode": 3}, {"action": "rotate_keys", "stage": 5},
        {"action": "rotate_keys", "stage": "later"}, {"action": "disconnect", "netwrok": "default"},
        {"action": "link_remove", "name": "wan1", "settings": {}}, {"action": "status", "config": {}}]),
    ("config_error", [
        {"action": "link_add", "name": ""}, {"action": "link_add", "name": "x]"},
        {"action": "link_add", "name": "x\n[daemon]", "settings": {"user": "root"}},
        {"action": "link_add", "name": "x", "settings": {"colour": "red"}},
        {"action": "link_add", "name": "x", "network": "elsewhere"},
        {"action": "link_set", "name": "wan1", "settings": {"weight": "0"}},
        {"action": "link_set", "name": "wan1", "settings": {"weight": "1\nfwmark = 2"}},
        {"action": "link_remove", "name": "wan1"}, {"action": "peer_add", "name": "x"},
        {"action": "peer_add", "name": "x", "settings": {"public_key": "nonsense", "allowed_ips": "10.9.9.9"}},
        {"action": "mode_set", "mode": "fast"}, {"action": "log_level", "level": 5}]),
    ("invalid_state", [
        {"action": "link_add", "name": "wan1"}, {"action": "link_set", "name": "nowhere"},
        {"action": "link_enable", "name": "nowhere"}, {"action": "link_remove", "name": "nowhere"},
        {"action": "peer_set", "name": "nobody"}, {"action": "peer_remove", "name": "nobody"},
        {"action": "rotate_keys"}, {"action": "connect"}]),
    ("network_not_found", [
        {"action": "mode_set", "network": "elsewhere", "mode": "failover"},
        *({"action": action, "network": "elsewhere"} for action in ("status", "connect", "disconnect", "rotate_keys"))]),
]


def test_what_is_wrong_with_a_request_is_told_and_the_connection_lives(lab):
    pair = Pair(lab, rates=[None])
    before = pair.client.network()
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(str(pair.client.control))
        answers = s.makefile()

        def answer_to(request):
            s.sendall((request if isinstance(request, bytes) else json.dumps(request).encode()) + b"\n")
            return json.loads(answers.readline())

        for wanted, requests in MALFORMED:
            for request in requests:
                answer = answer_to(request)
                assert not answer["success"] and answer["error"]["type"] == wanted, (request, answer)
        assert answer_to({"action": "log_level"})["success"]
    after = pair.client.network()
    for key in ("mode", "public_key", "state"):
        assert after[key] == before[key]
    assert [link["name"] for link in after["links"]] == ["wan1"] and after["links"][0]["weight"] == 1


def test_the_log_level_changes_at_once(lab):
    pair = Pair(lab, rates=[None])

    assert "level: debug" in ctl(pair.client, "log", "level").stdout
    ctl(pair.client, "log", "level", "error")
    before = len(pair.client.process.output())
    ctl(pair.client, "disconnect")
    assert len(pair.client.process.output()) == before
    assert "level: error" in ctl(pair.client, "log", "level").stdout


class Events:
    """What a subscriber of a daemon's events has got so far."""

    def __init__(self, daemon):
        self.socket = daemon.node.lab.stack.enter_context(socket.socket(socket.AF_UNIX))
        self.socket.connect(str(daemon.control))
        self.socket.sendall(b'{"action": "events"}\n')
        self.socket.settimeout(0.2)
        self.heard = daemon.node.lab.heard
        self.text = b""
        wait_until(lambda: b'"success":true' in self.read(), 10, "the subscription is accepted")

    def read(self):
        try:
            part = self.socket.recv(1 << 16)
            self.heard.append(([VTRUNKCTL, "events"], part.decode(errors="replace")))
            self.text += part
        except TimeoutError:
            pass
        return self.text

    def list(self):
        lines = self.read().split(b"\n")[1:-1]
        return [json.loads(line) for line in lines]

    def wait(self, name, **fields):
        """The first event of that name with these fields."""
        def found():
            return next((e for e in self.list() if e.get("event") == name and fields.items() <= e.items()), None)
        return wait_until(found, 15, f"an event {name} {fields}")


def test_subscribers_hear_what_happens_to_paths_links_and_peers(lab):
    pair = Pair(lab, start=False)
    pair.server.start()
    events = Events(pair.server)

    pair.client.start()
    events.wait("peer_handshake", network="default", peer="peer")
    events.wait("path_learnt", link="wan4")
    assert events.wait("path_up", link="wan4", reason="the peer answers")["rtt_ms"] > 0
    events.wait("peer_up", peer="peer")

    client = Events(pair.client)
    wan1 = pair.cables[0]
    pair.client_node.ip(f"link set {wan1.name} down")
    down = client.wait("path_down", link="wan1", state="down")
    assert down["reason"] and down["downs"] >= 1
    pair.client_node.ip(f"link set {wan1.name} up")
    client.wait("path_up", link="wan1")
    pair.client.stop()
    events.wait("path_down")
    events.wait("peer_down", peer="peer")


def test_subscribers_hear_of_networks_and_ask_on_the_same_connection(lab):
    daemon = two_networks(lab)
    daemon.start()
    events = Events(daemon)

    events.socket.sendall(b'nonsense\n{"action": "disconnect", "network": "two", "id": "x"}\n')

    events.wait("network_state", network="two", state="stopping")
    events.wait("network_state", network="two", state="stopped")
    assert b"parse_error" in events.text and b'"id":"x"' in events.text
    events.socket.shutdown(socket.SHUT_WR)
    ask(daemon, "connect", network="two")
    events.wait("network_state", network="two", state="active")


def test_subscribers_hear_of_the_daemons_life_however_late_they_come(lab):
    daemon = two_networks(lab)
    daemon.start()
    first = Events(daemon)
    first.wait("setup_finished")
    assert [e["event"] for e in first.list()[:2]] == ["spawned", "setup_finished"]
    engine = first.list()[0]["pid"]

    os.kill(engine, signal.SIGKILL)
    daemon.wait_log("started again in 100 ms (crash 1 of at most 5 in a row)")
    wait_until(daemon.answers, 10, "it is up again")

    second = Events(daemon)
    second.wait("setup_finished")
    told = second.list()[:3]
    assert [e["event"] for e in told] == ["exited", "spawned", "setup_finished"]
    assert told[0].items() >= {"pid": engine, "signal": signal.SIGKILL, "cause": "killed by SIGKILL", "crashes": 1,
                               "restart_limit": 5, "restart_ms": 100}.items()
    assert told[1]["pid"] == told[2]["pid"] != engine
    assert daemon.stop() == 0
    last = second.wait("exited", cause="told to stop", code=0)
    assert second.list()[-1] == last
    assert second.list()[-2]["event"] == "network_state"


def test_vtrunkctl_prints_events_as_lines(lab):
    daemon = two_networks(lab)
    daemon.start()

    follower = daemon.node.spawn(VTRUNKCTL, "--socket", daemon.control, "events")

    def is_followed():
        if "network_state" not in follower.output():
            ask(daemon, "disconnect", network="two")
            ask(daemon, "connect", network="two")
        return "state=active" in follower.output()
    wait_until(is_followed, 10, "an event is printed")
    assert "network=two" in follower.output()
    daemon.stop()
    assert follower.wait(5) == 1


def health(daemon):
    """The exit status, and what was said."""
    done = ctl(daemon, "health", check=False)
    return done.returncode, done.stdout + done.stderr


def test_health_has_an_exit_status_and_reasons(lab):
    pair = Pair(lab)

    assert health(pair.client) == (0, "healthy\n")
    wan1 = pair.cables[0]
    pair.client_node.ip(f"link set {wan1.name} down")
    pair.client.wait_path("wan1", "down")
    status, said = health(pair.client)
    assert status == 1 and said.startswith("degraded\n") and "wan1" in said
    ctl(pair.client, "disconnect")
    assert health(pair.client)[0] == 0, "it was asked for"
    pair.client.stop()
    assert health(pair.client)[0] == 2


def test_a_daemon_without_its_peer_is_unhealthy(lab):
    daemon = two_networks(lab)
    daemon.start()

    status, said = health(daemon)

    assert status == 2 and "network two: no peer has a session" in said


def test_metrics_are_what_prometheus_reads(lab):
    pair = Pair(lab)

    text = ctl(pair.client, "metrics").stdout

    promtool = pathlib.Path("/usr/local/lib/vtrunkd-tests/promtool")
    checked = subprocess.run([promtool, "check", "metrics"], input=text, text=True, capture_output=True)
    assert checked.returncode == 0 and not checked.stdout + checked.stderr
    assert 'vtrunkd_path_state{network="default",peer="peer",link="wan1",path="1",state="up"} 1' in text
    assert "vtrunkd_health 0" in text
    assert pair.client_keys.public not in text and pair.server_keys.public not in text


def status_as(daemon, group):
    """What a user who is in no group but that is told by the control socket: the answer, or the error's name."""
    script = ("import socket, sys\n"
              "s = socket.socket(socket.AF_UNIX)\n"
              "try:\n"
              "    s.connect(sys.argv[1])\n"
              "except OSError as e:\n"
              "    sys.exit(print(type(e).__name__))\n"
              "s.sendall(b'{\"action\": \"log_level\"}\\n')\n"
              "print(s.recv(4096).decode())\n")
    return subprocess.run(["/usr/bin/python3", "-c", script, daemon.control], user="nobody", group=group,
                          extra_groups=[], cwd="/", capture_output=True, text=True, check=True, timeout=30).stdout


def test_members_of_control_group_may_ask_and_nobody_else(lab):
    lab.directory.chmod(0o755)
    pair = Pair(lab, rates=[None], start=False)
    daemon = pair.server
    daemon.start()
    assert stat.S_IMODE(daemon.control.stat().st_mode) == 0o600
    assert "PermissionError" in status_as(daemon, "adm")
    daemon.stop()
    daemon.sections["daemon"] = {"control_group": "adm"}
    daemon.start()
    assert stat.S_IMODE(daemon.control.stat().st_mode) == 0o660 and daemon.control.group() == "adm"
    assert '"success":true' in status_as(daemon, "adm")
    assert "PermissionError" in status_as(daemon, "nogroup")


def test_an_unknown_control_group_is_an_error(lab):
    pair = Pair(lab, rates=[None], start=False)
    pair.server.sections["daemon"] = {"control_group": "no-such-group"}
    assert "control_group = no-such-group: there is no such group" in pair.server.fails_to_start()
    assert not pair.server.control.exists()
