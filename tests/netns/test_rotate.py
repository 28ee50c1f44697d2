# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""New private keys while the tunnel carries traffic.

    client 10.10.0.2                       server 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
"""
import os
import signal
import stat
import subprocess

import pytest

from bond import SERVER_IP, VTRUNKD, Pair, endpoint
from lab import wait_until
from traffic import PingTrain, ping_lost, wait_for_ping


def public_of(path):
    return subprocess.run([VTRUNKD, "pubkey"], input=path.read_text(), capture_output=True, text=True,
                          check=True).stdout.strip()


def public_key_in(done):
    return next(line.split()[1] for line in done.stdout.splitlines() if line.startswith("public_key:"))


class FilePair(Pair):
    """Both ends have their keys in files, and know each other as a named peer."""

    def __init__(self, lab):
        super().__init__(lab, rates=[None], start=False)
        del self.client.sections["link wan1"]["endpoint"]
        self.client.sections["peer far"] = {
            "public_key": self.server_keys.public, "allowed_ips": "10.10.0.0/24",
            "endpoint": endpoint(self.server_address(self.cables[0]))}
        self.server.sections["peer far"] = {"public_key": self.client_keys.public, "allowed_ips": "10.10.0.0/24"}
        for daemon in (self.client, self.server):
            wireguard = daemon.sections["wireguard"]
            del wireguard["peer_public_key"]
            daemon.key_file = lab.file(f"{daemon.node.name}.key")
            daemon.key_file.write_text(wireguard.pop("private_key") + "\n")
            daemon.key_file.chmod(0o600)
            wireguard["private_key_file"] = daemon.key_file
        self.start()


def beside(path, suffix):
    return path.with_name(path.name + suffix)


def rotate(near, far):
    """In two steps; the new public key."""
    prepared = public_key_in(near.ctl("keys", "prepare"))
    assert "changed" in far.ctl("peer", "set", "far", f"public_key={prepared}").stdout
    assert public_key_in(near.ctl("keys", "commit")) == prepared
    return prepared


def test_both_ends_get_new_keys_while_traffic_runs(lab):
    pair = FilePair(lab)
    with PingTrain(pair.client_node, SERVER_IP) as train:
        for near, far in ((pair.client, pair.server), (pair.server, pair.client)):
            old = near.key_file.read_text()
            new = rotate(near, far)
            wait_until(lambda: ping_lost(pair.client_node, SERVER_IP, 1) == 0, 10, "there is a session again")
            assert near.network()["public_key"] == new == public_of(near.key_file)
            assert beside(near.key_file, ".old").read_text() == old
            assert not beside(near.key_file, ".next").exists()
            assert stat.S_IMODE(near.key_file.stat().st_mode) == 0o600
    print(f"longest gap: {train.longest_gap:.3f} s")
    assert train.longest_gap < 10
    assert pair.client.ctl("reload").returncode == 0, "the file is what is in force"
    assert pair.client.network()["public_key"] == public_of(pair.client.key_file)


def test_prepare_changes_nothing_and_tells_the_same_twice(lab):
    pair = FilePair(lab)
    before = pair.client.key_file.read_text()
    handshakes = pair.client.peer()["handshakes"]
    first = public_key_in(pair.client.ctl("keys", "prepare"))
    assert public_key_in(pair.client.ctl("keys", "prepare", "default")) == first
    assert stat.S_IMODE(beside(pair.client.key_file, ".next").stat().st_mode) == 0o600
    assert pair.client.key_file.read_text() == before
    assert pair.client.network()["public_key"] == pair.client_keys.public
    assert ping_lost(pair.client_node, SERVER_IP, 5) == 0
    assert pair.client.peer()["handshakes"] == handshakes


def test_an_engine_that_is_started_again_has_the_new_key(lab):
    pair = FilePair(lab)
    new = rotate(pair.client, pair.server)
    engine = int(pair.client_node.run("pgrep", "-P", pair.client.process.pid).stdout)
    os.kill(engine, signal.SIGKILL)
    wait_until(lambda: pair.client.answers() and pair.client.network()["public_key"] == new, 15, "the new engine is up")
    wait_for_ping(pair.client_node, SERVER_IP, 25)


@pytest.mark.parametrize("how", ["commit", "directory", "open", "inline", "nowhere"])
def test_what_cannot_be_is_refused_and_changes_nothing(lab, how):
    pair = FilePair(lab)
    client = pair.client
    before = client.network()["public_key"]
    arguments = ["keys", "rotate"]
    if how == "commit":
        arguments, wanted = ["keys", "commit"], "prepare comes first"
    elif how == "directory":
        link = client.key_file.parent / "gone"
        client.sections["wireguard"]["private_key_file"] = link
        link.symlink_to(client.key_file)
        client.write_config()
        client.ctl("reload")
        link.unlink()
        wanted = "cannot be written or read"
    elif how == "open":
        next_file = beside(client.key_file, ".next")
        next_file.write_text(pair.server_keys.private)
        next_file.chmod(0o644)
        wanted = "cannot be written or read"
    elif how == "inline":
        client.sections["wireguard"].update(private_key_file=None, private_key=client.key_file.read_text().strip())
        client.write_config()
        client.ctl("reload")
        wanted = "vtrunkd genkey"
    else:
        arguments, wanted = ["keys", "rotate", "elsewhere"], "no network named"
    done = client.ctl(*arguments, check=False)
    assert done.returncode == 1 and wanted in done.stderr
    assert client.network()["public_key"] == before
    assert ping_lost(pair.client_node, SERVER_IP, 5) == 0
