# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Programs that are run when something happens, and metrics over HTTP.

    client 10.10.0.2                       server 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
      wan2 10.0.2.1 ------ 10.0.2.0/24 ------ 10.0.2.2 wan2
"""
import http.client
import os
import pathlib
import signal
import socket

import pytest

from bond import SERVER_IP, Pair
from lab import wait_until
from traffic import ping_lost

HOOK = """#!/bin/sh
echo "$1 $(env | grep ^VTRUNKD_ | sort | tr '\\n' ' ') $(ls /proc/self/fd | wc -l)" >> {log}
{more}
"""


def make_hook(lab, name, more=""):
    script, log = lab.file(f"{name}.sh"), lab.file(f"{name}.txt")
    log.touch()
    script.write_text(HOOK.format(log=log, more=more))
    script.chmod(0o755)
    return script, log


def hooked_pair(lab, script, *hooks):
    pair = Pair(lab, start=False)
    pair.client.sections["network"].update({hook: script for hook in hooks}, dns="10.10.0.1, fd10::1")
    return pair


def test_hooks_run_in_order_with_an_environment(lab):
    script, log = make_hook(lab, "hook")
    pair = hooked_pair(lab, script, "on_up", "on_down", "on_link_up", "on_link_down", "on_peer_up")
    pair.start()

    wan1 = pair.cables[0]
    pair.client_node.ip(f"link set {wan1.name} down")
    wait_until(lambda: "path_down" in log.read_text(), 10, "on_link_down has run")
    pair.client.stop()

    wait_until(lambda: "VTRUNKD_STATE=stopped" in log.read_text(), 10, "on_down has run")
    lines = log.read_text().splitlines()
    assert lines[0].startswith("network_state ") and "VTRUNKD_STATE=active" in lines[0]
    assert "VTRUNKD_INTERFACE=tun0" in lines[0] and "VTRUNKD_DNS=10.10.0.1 fd10::1" in lines[0]
    assert any(line.startswith("peer_up ") for line in lines)
    down = next(line for line in lines if line.startswith("path_down "))
    assert "VTRUNKD_LINK=wan1" in down and "VTRUNKD_NETWORK=default" in down and "VTRUNKD_REASON=" in down
    # 0 to 2, and what ls opens: nothing of the daemon's is inherited.
    assert {line.rsplit(" ", 1)[1] for line in lines} == {"4"}


def test_a_hook_that_hangs_holds_up_nothing(lab):
    pid = lab.file("pid")
    script, _ = make_hook(lab, "hook", more=f"echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 1000")
    pair = hooked_pair(lab, script, "on_up")
    pair.start()

    wait_until(lambda: pid.exists(), 10, "the hook runs")
    assert ping_lost(pair.client_node, SERVER_IP) == 0
    assert pair.client.stop() == 0
    assert not pathlib.Path(f"/proc/{pid.read_text().strip()}").exists(), "it was told to end"
    assert f"hook {script} (network_state): killed by SIGTERM" in pair.client.process.output()


def test_hooks_are_run_again_when_their_process_was_killed(lab):
    script, log = make_hook(lab, "hook")
    pair = hooked_pair(lab, script, "on_link_up", "on_link_down")
    pair.start()
    wait_until(lambda: "path_up" in log.read_text(), 10, "a hook has run")
    supervisor = pair.client.process.pid
    runner = next(pid for pid in pathlib.Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
                  if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "vt-hooks")

    os.kill(int(runner), signal.SIGKILL)
    wait_until(lambda: not pathlib.Path(f"/proc/{runner}").exists(), 5, "it is reaped")
    pair.cables[0].down()

    wait_until(lambda: "path_down" in log.read_text(), 10, "another hook has run")


def test_a_hook_that_is_missing_or_fails_is_told(lab):
    script, log = make_hook(lab, "hook", more="exit 7")
    pair = hooked_pair(lab, script, "on_link_up")
    pair.client.sections["network"]["on_up"] = "/nonexistent/hook"

    pair.start()

    pair.client.wait_log("hook /nonexistent/hook: No such file")
    pair.client.wait_log(f"hook {script} (path_up): ended with status 7")


class UnixHttp(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(str(self.path))


def get(connection, url):
    connection.request("GET", url)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_metrics_come_over_http(lab):
    path = lab.file("metrics.sock")
    pair = Pair(lab, rates=[None], start=False)
    pair.client.sections["daemon"] = {"metrics_socket": path, "metrics_listen": "127.0.0.1:9586"}
    pair.start()

    status, text = get(UnixHttp(path), "/metrics")
    assert status == 200 and 'vtrunkd_network_up{network="default"} 1' in text
    assert get(UnixHttp(path), "/healthz") == (200, "healthy")
    assert get(UnixHttp(path), "/other")[0] == 404
    with pair.client_node.entered():
        connection = http.client.HTTPConnection("127.0.0.1", 9586, timeout=10)
        connection.connect()
    assert get(connection, "/metrics")[0] == 200
    idle = [UnixHttp(path) for _ in range(12)]
    for connection in idle:
        connection.connect()
    assert pair.client.answers(), "clients that say nothing hold up nobody"
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_a_reload_moves_the_metrics_or_leaves_them_all(lab):
    first, second = lab.file("first.sock"), lab.file("second.sock")
    pair = Pair(lab, rates=[None], start=False)
    daemon = pair.client.sections["daemon"] = {"metrics_socket": first}
    pair.start()

    def answers(port):
        with pair.client_node.entered():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.connect()
        return get(connection, "/metrics")[0] == 200

    daemon.update(metrics_socket=second, metrics_listen="127.0.0.1:9586")
    assert pair.client.reload().returncode == 0
    assert get(UnixHttp(second), "/metrics")[0] == 200 and answers(9586) and not first.exists()

    taken = pair.client_node.socket(socket.AF_INET, socket.SOCK_STREAM)
    taken.bind(("127.0.0.1", 9587))
    taken.listen()
    daemon["metrics_listen"] = "127.0.0.1:9587"
    pair.client.sections["wireguard"]["bonding_mode"] = "failover"
    done = pair.client.reload()
    assert done.returncode == 1 and "nothing was changed" in done.stderr
    assert answers(9586) and pair.client.network()["mode"] == "aggregate"

    daemon.update(metrics_socket=None, metrics_listen=None)
    assert pair.client.reload().returncode == 0
    assert not second.exists()
    with pytest.raises(ConnectionRefusedError):
        answers(9586)
    assert pair.client.answers()
