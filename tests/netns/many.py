# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""One vtrunkd with very many peers, which tests/bench/wgpeers plays.

    wgpeers (10.64.0.0 + i) ---- 10.0.1.0/24 ---- vtrunkd 10.10.0.1
          wan1 10.0.1.1                             wan1 10.0.1.2
"""
import base64
import functools
import pathlib
import socket
import subprocess

from bond import BUILD, PORT, SERVER_IP, Daemon, Keys

WGPEERS = BUILD / "tests" / "bench" / "wgpeers"


@functools.lru_cache
def public_keys(n):
    done = subprocess.run([WGPEERS, "keys", str(n)], capture_output=True, text=True, check=True)
    return done.stdout.split()


def address(i):
    return f"10.64.{i >> 8}.{i & 255}"


def peer_sections(n):
    return {f"peer {i}": {"public_key": key, "allowed_ips": f"{address(i)}/32"}
            for i, key in enumerate(public_keys(n))}


def set_by_wg(path, text):
    """What it says in the language of wg(8), to a daemon's socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(str(path))
        client.sendall(f"set=1\n{text}\n".encode())
        answer = client.recv(64)
    assert answer == b"errno=0\n\n", answer


def peers_for_wg(n):
    return "".join(f"public_key={base64.b64decode(key).hex()}\nallowed_ip={address(i)}/32\n"
                   for i, key in enumerate(public_keys(n)))


class Many:
    """The vtrunkd, with `n` peers in its configuration."""

    def __init__(self, lab, n):
        self.players, self.node = lab.node("players"), lab.node("vtrunkd")
        self.cable = lab.cable(self.players, self.node, "wan1")
        self.keys = Keys()
        self.n = n
        self.daemon = Daemon(self.node, {
            "daemon": {"log_level": "warning"},
            "network": {"interface": "tun0", "address": f"{SERVER_IP}/8"},
            "wireguard": {"private_key": self.keys.private},
            "link wan1": {"port": PORT},
            **peer_sections(n)})

    def add_by_wg(self, n):
        """To those there are."""
        set_by_wg(self.daemon.wg_socket(), peers_for_wg(n))

    def play(self, what, *arguments, seconds=60):
        """What wgpeers prints, as numbers."""
        done = self.players.run(WGPEERS, what, self.cable.v4(self.node), PORT, self.keys.public, *arguments,
                                seconds=seconds)
        return [float(word) for word in done.stdout.split()]

    def anonymous_bytes(self):
        """All that the daemon's processes have allocated, what they share counted once."""
        return sum(int(line.split()[1]) * 1024 for pid in self.daemon.processes()
                   for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                   if line.startswith("Pss_Anon:"))
