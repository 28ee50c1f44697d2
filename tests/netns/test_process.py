# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""The daemon as a process: how it starts, fails, goes to the background and ends.

    client 10.10.0.2                       server 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
"""
import contextlib
import itertools
import os
import pathlib
import re
import signal
import stat
import subprocess

import pytest

from bond import CLIENT_IP, PORT, SERVER_IP, VTRUNKD, Daemon, Keys, Pair, ini, network_section
from hostile import UDP
from lab import wait_until
from traffic import PingTrain, ping_lost, transfer, wait_for_ping

def lone_daemon(lab, start=False, **sections):
    """A passive daemon whose peer never comes."""
    return Daemon(lab.node("server"), {
        "network": network_section(SERVER_IP),
        "wireguard": {"private_key": Keys().private, "peer_public_key": Keys().public},
        "link wan": {"bind": f"0.0.0.0:{PORT}"}, **sections}, start=start)


def hide_tun(how):
    return ["unshare", "--mount", "sh", "-c", f'{how} && exec "$@"', "sh"]


@pytest.mark.parametrize("wrapper", [hide_tun("mount -t tmpfs none /dev/net"),
                                     hide_tun("mount --bind /dev/null /dev/net/tun")],
                         ids=["absent", "another_device"])
def test_without_the_tun_device_it_says_so_and_fails(lab, wrapper):
    assert "/dev/net/tun" in lone_daemon(lab).fails_to_start(*wrapper)


def test_without_privilege_it_says_so_and_fails(lab):
    wrapper = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]

    output = lone_daemon(lab).fails_to_start(*wrapper)

    assert re.search("not permitted|CAP_NET_ADMIN", output), output


def test_a_taken_port_is_named_and_fails_the_start(lab):
    daemon = lone_daemon(lab)
    daemon.node.socket(*UDP).bind(("0.0.0.0", PORT))

    output = daemon.fails_to_start()

    assert str(PORT) in output and "in use" in output
    assert not daemon.node.has_interface("tun0"), "nothing is left behind"


def test_an_interface_that_exists_is_named_and_fails_the_start(lab):
    daemon = lone_daemon(lab)
    daemon.node.ip("link add tun0 type veth")

    assert "tun0" in daemon.fails_to_start()
    assert daemon.node.has_interface("tun0"), "what is not ours stays"


def test_an_interface_of_another_instance_is_left_alone(lab):
    first = lone_daemon(lab, start=True)
    second = Daemon(first.node, {**first.sections, "link wan": {"bind": f"0.0.0.0:{PORT + 1}"}}, start=False)

    assert "tun0" in second.fails_to_start()
    assert first.answers() and first.node.has_interface("tun0")


def test_a_second_start_with_the_same_control_socket_is_refused(lab):
    first = lone_daemon(lab, start=True)
    second = Daemon(first.node, {
        **first.sections, "network": network_section("10.99.0.1", interface="tun9"),
        "link wan": {"bind": f"0.0.0.0:{PORT + 1}"}}, start=False)
    second.control = first.control

    assert str(first.control) in second.fails_to_start(seconds=10)
    assert first.answers(), "the first one keeps its socket"
    assert not first.node.has_interface("tun9")


def test_a_socket_file_that_a_crash_left_is_no_obstacle(lab):
    daemon = lone_daemon(lab, start=True)
    daemon.kill()
    assert daemon.control.exists()

    daemon.start()


def test_the_control_socket_is_for_its_owner_alone(lab):
    daemon = lone_daemon(lab, start=True)

    assert stat.S_IMODE(daemon.control.stat().st_mode) == 0o600


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_stop_by_signal_is_clean(lab, number):
    pid_file = lab.file("vtrunkd.pid")
    pair = Pair(lab, rates=[None], start=False)
    pair.server.sections["daemon"] = {"pid_file": pid_file}
    pair.start()
    transfer(pair.client_node, pair.server_node, SERVER_IP)
    assert int(pid_file.read_text()) == pair.server.process.pid

    os.kill(pair.server.process.pid, number)
    assert pair.server.stop(number) == 0, "twice is as once"

    assert not pair.server_node.has_interface("tun0")
    assert not pair.server.control.exists()
    assert not pid_file.exists()
    assert pair.server_node.run("ss", "-Hunl").stdout == ""


def test_a_stop_amid_traffic_is_clean(lab):
    pair = Pair(lab)
    pair.client_node.spawn("ping", "-f", "-s", 1000, SERVER_IP)
    before = pair.client_node.counters("tun0")["tx"]["packets"]
    wait_until(lambda: pair.client_node.counters("tun0")["tx"]["packets"] > before + 100, 5, "traffic flows")

    assert pair.client.stop() == 0
    assert pair.server.stop() == 0


def test_a_tunnel_interface_that_is_deleted_ends_the_daemon_with_the_cause(lab):
    daemon = lone_daemon(lab, start=True)
    daemon.is_expected = False

    daemon.node.ip("link del tun0")

    assert daemon.process.wait(5) != 0
    assert "tun0" in daemon.process.output()
    assert not daemon.control.exists()


def in_background(daemon):
    """Starts it without --foreground; returns what the parent said and its status."""
    daemon.write_config()
    return daemon.node.run(VTRUNKD, "--config", daemon.config, check=False)


@contextlib.contextmanager
def stopped_at_the_end(pid):
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists(), 10, "the daemon in the background ends")


def test_in_the_background_the_parent_returns_when_the_tunnel_is_up(lab):
    daemon = lone_daemon(lab)

    parent = in_background(daemon)

    assert parent.returncode == 0, parent.stderr
    pid = daemon_pid(daemon)
    with stopped_at_the_end(pid):
        assert daemon.node.has_interface("tun0")
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        assert [os.readlink(f"/proc/{pid}/fd/{n}") for n in range(3)] == ["/dev/null"] * 3
        assert os.getsid(pid) != os.getsid(0)
    assert not daemon.control.exists()


def daemon_pid(daemon):
    return int(re.search(r'"pid": ?(\d+)', daemon.control_answer().stdout).group(1))


def test_in_the_background_the_parent_returns_the_failure_with_its_cause(lab):
    daemon = lone_daemon(lab)
    daemon.node.ip("link add tun0 type veth")

    parent = in_background(daemon)

    assert parent.returncode != 0
    assert "tun0" in parent.stderr


def test_a_broken_configuration_is_reported_before_going_to_the_background(lab):
    daemon = lone_daemon(lab)
    daemon.sections["network"]["mtu"] = 70000
    daemon.sections["link wan"]["wieght"] = 3

    parent = in_background(daemon)

    assert parent.returncode != 0
    assert "mtu" in parent.stderr and "70000" in parent.stderr and "wieght" in parent.stderr, "all errors at once"
    assert f"{daemon.config}:" in parent.stderr


def test_a_configuration_that_does_not_exist_is_named(lab):
    daemon = lone_daemon(lab)

    done = daemon.node.run(VTRUNKD, "-f", "-c", "/nonexistent.conf", check=False)

    assert done.returncode != 0 and "/nonexistent.conf" in done.stderr


def test_the_server_accepts_a_client_that_restarts(lab):
    pair = Pair(lab)

    assert pair.client.stop() == 0
    pair.client.start()

    wait_for_ping(pair.client_node, SERVER_IP)
    for cable in pair.cables:
        pair.client.wait_path(cable.name, "up")
    assert ping_lost(pair.client_node, SERVER_IP) == 0


def test_the_server_accepts_a_client_that_crashed(lab):
    pair = Pair(lab)

    pair.client.kill()
    pair.client.start()

    wait_for_ping(pair.client_node, SERVER_IP)


def test_the_client_finds_a_server_that_restarts(lab):
    pair = Pair(lab)

    with PingTrain(pair.client_node, SERVER_IP) as train:
        answered = len(train.read())
        pair.server.stop()
        pair.server.start()
        wait_until(lambda: pair.server.peer()["session"], 25, "a new session")
        wait_until(lambda: len(train.read()) > answered, 25, "pings are answered again")


def aead_backends():
    version = subprocess.run([VTRUNKD, "--version"], check=True, capture_output=True, text=True).stdout
    return next(line.split()[1:] for line in version.splitlines() if line.startswith("aead:"))


def test_every_aead_back_end_understands_every_other(lab):
    pair = Pair(lab, start=False)

    for ours, theirs in itertools.product(aead_backends(), repeat=2):
        pair.client.sections["daemon"] = {"aead": ours}
        pair.server.sections["daemon"] = {"aead": theirs}
        pair.start()
        assert (pair.client.network()["aead"], pair.server.network()["aead"]) == (ours, theirs)
        assert ping_lost(pair.client_node, SERVER_IP) == 0
        transfer(pair.client_node, pair.server_node, SERVER_IP)
        transfer(pair.server_node, pair.client_node, CLIENT_IP)
        assert pair.client.dropped("rx_bad_tag") == pair.server.dropped("rx_bad_tag") == 0
        pair.client.stop()
        pair.server.stop()


def test_genpair_writes_two_files_that_connect_at_once(lab):
    client, server = lab.node("client"), lab.node("server")
    cable = lab.cable(client, server, "wan1")
    directory = lab.file("pair")

    subprocess.run([VTRUNKD, "genpair", directory, "--endpoint", cable.v4(server), "--links", "1"], check=True)

    for node in (server, client):
        config = directory / f"{node.name}.conf"
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
        own = {"control_socket": lab.file(f"{node.name}.sock"), "state_dir": directory}
        config.write_text(config.read_text() + ini({"daemon": own}))
        node.spawn(VTRUNKD, "--foreground", "--config", config)
    # They start together: what the client sends before the server is up it sends again after 5 s.
    wait_for_ping(client, SERVER_IP, 25)
