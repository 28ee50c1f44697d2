# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""wg(8) and wg-quick(8) take vtrunkd for a WireGuard.

    left  192.0.2.1 ------------- 192.0.2.2  right
    wg0   10.77.0.1               10.77.0.2  wg0

Each host has a mount namespace with directories of its own at /run/wireguard and /run/vtrunkd, since
these names are built into wg.
"""
import base64
import fcntl
import os
import shutil
import socket
import struct

import pytest

from bond import BUILD, Keys, new_psk
from lab import wait_until
from traffic import answers_ping, transfer, wait_for_ping

PORTS = {"left": 51820, "right": 51821}
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x1, 0x2, 0x1000, 0x4000
ADDRESSES = {"left": "10.77.0.1", "right": "10.77.0.2"}
OWN = ("mount --bind {0}/wireguard /run/wireguard && mount --bind {0}/vtrunkd /run/vtrunkd && "
       "mount --bind {0}/state /var/lib/vtrunkd && exec \"$@\"")


class Host:
    def __init__(self, lab, name):
        for part in ("/run/wireguard", "/run/vtrunkd", "/var/lib/vtrunkd"):
            os.makedirs(part, exist_ok=True)
        self.name, self.node, self.keys = name, lab.node(name), Keys()
        self.own = lab.file(f"{name}-own")
        for part in ("wireguard", "vtrunkd", "state", "conf"):
            (self.own / part).mkdir(parents=True)
        self.config = self.own / "conf" / "wg0.conf"
        self.pids = set()

    def words(self, *arguments):
        return ["unshare", "-m", "sh", "-c", OWN.format(self.own), "sh", "env",
                f"PATH={BUILD}:{os.environ['PATH']}", "WG_QUICK_USERSPACE_IMPLEMENTATION=vtrunkd", *arguments]

    def run(self, *arguments, **options):
        return self.node.run(*self.words(*arguments), **options)

    def spawn(self, *arguments):
        return self.node.spawn(*self.words(*arguments))

    def wg(self, *arguments, **options):
        return self.run("wg", *arguments, **options).stdout.strip()

    def write(self, *lines):
        self.config.write_text("\n".join(lines) + "\n")
        self.config.chmod(0o600)

    def has_socket(self):
        return (self.own / "wireguard" / "wg0.sock").exists()

    def down(self):
        self.run("wg-quick", "down", self.config)

    def raw(self, *lines):
        """What the daemon answers to that request at its socket."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(str(self.own / "wireguard" / "wg0.sock"))
            s.sendall("\n".join([*lines, "", ""]).encode())
            return s.recv(1 << 16).decode()


class Pair:
    def __init__(self, lab, allowed="10.77.0.2/32, 10.78.0.0/24"):
        self.left, self.right = Host(lab, "left"), Host(lab, "right")
        cable = lab.cable(self.left.node, self.right.node, "wan")
        psk = new_psk()
        for end, (host, other) in enumerate([(self.left, self.right), (self.right, self.left)]):
            endpoint = f"Endpoint = {cable.v4(other.node)}:{PORTS[other.name]}" if end == 0 else ""
            host.write("[Interface]", f"PrivateKey = {host.keys.private}", f"ListenPort = {PORTS[host.name]}",
                       f"Address = {ADDRESSES[host.name]}/24", "MTU = 1380",
                       f"PostUp = touch {host.own}/post-up", "[Peer]", f"PublicKey = {other.keys.public}",
                       f"PresharedKey = {psk}", f"AllowedIPs = {allowed if end == 0 else '10.77.0.1/32, 10.78.1.0/24'}",
                       endpoint)
            host.run("wg-quick", "up", host.config)

    def ping(self):
        wait_for_ping(self.left.node, ADDRESSES["right"])

    def end(self):
        for host in (self.left, self.right):
            if host.node.has_interface("wg0"):
                host.down()
            wait_until(lambda host=host: not host.has_socket(), 10, "the daemon ends")


@pytest.fixture
def pair(lab):
    assert shutil.which("wg-quick"), "wireguard-tools are missing: scripts/setup test"
    made = Pair(lab)
    yield made
    made.end()


def test_wg_quick_brings_up_a_tunnel_and_takes_it_down(pair):
    pair.ping()
    assert (pair.left.own / "post-up").exists()
    assert "mtu 1380" in pair.left.node.run("ip", "link", "show", "wg0").stdout
    assert "10.78.0.0/24 dev wg0" in pair.left.node.run("ip", "route").stdout
    dump = pair.left.wg("show", "wg0", "dump").splitlines()
    assert dump[0].split("\t")[:3] == [pair.left.keys.private, pair.left.keys.public, "51820"]
    assert dump[1].split("\t")[0] == pair.right.keys.public
    pair.left.down()
    wait_until(lambda: not pair.left.has_socket(), 10, "the daemon ends")


@pytest.mark.parametrize("table", ["off", "77"])
def test_wg_quick_keeps_to_its_table_and_runs_its_commands(lab, table):
    host, told = Host(lab, "left"), lab.file("told.txt")
    host.write("[Interface]", f"PrivateKey = {host.keys.private}", "Address = 10.77.0.1/24", f"Table = {table}",
               *(f"{when} = echo {when} %i >>{told}" for when in ("PreUp", "PostUp", "PreDown", "PostDown")),
               "[Peer]", f"PublicKey = {Keys().public}", "AllowedIPs = 10.78.0.0/24, fd78::/64")

    host.run("wg-quick", "up", host.config)

    routes = host.node.run("ip", "route", "show", "table", "all").stdout
    assert ("10.78.0.0/24 dev wg0 table 77" in routes) == (table == "77"), routes
    assert not host.node.run("ip", "route", "show", "10.78.0.0/24").stdout, "the main table is left alone"
    host.down()
    wait_until(lambda: not host.has_socket(), 10, "the daemon ends")
    assert told.read_text().splitlines() == ["PreUp wg0", "PostUp wg0", "PreDown wg0", "PostDown wg0"]


def test_wg_quick_leads_everything_through_the_tunnel(lab):
    """Its rules by a mark, which it has the daemon set, keep the tunnel's own packets out of it."""
    pair = Pair(lab, allowed="0.0.0.0/0")
    left, right = pair.left, pair.right
    right.node.ip("addr add 198.51.100.1/32 dev lo")
    assert left.wg("show", "wg0", "fwmark") == hex(51820)
    assert "default dev wg0" in left.node.run("ip", "route", "show", "table", "51820").stdout
    wait_for_ping(left.node, "198.51.100.1")
    transfer(left.node, right.node, "198.51.100.1")
    pair.end()
    assert not left.node.run("ip", "route", "show", "table", "51820", check=False).stdout


def test_syncconf_keeps_sessions_and_setconf_ends_them(pair):
    def handshakes():
        return [line for line in pair.left.raw("get=1").splitlines() if line.startswith("last_handshake")]

    pair.ping()
    before = handshakes()
    saved = pair.left.own / "saved.conf"
    saved.write_text(pair.left.wg("showconf", "wg0") + "\n")
    pair.left.wg("syncconf", "wg0", saved)
    pair.ping()
    assert handshakes() == before
    pair.left.wg("setconf", "wg0", saved)
    assert pair.left.wg("show", "wg0", "latest-handshakes").split() == [pair.right.keys.public, "0"]
    pair.ping()


def test_peers_and_allowed_ips_come_and_go_beside_a_session(pair):
    pair.ping()
    left, known, new = pair.left, pair.right.keys.public, Keys().public
    before = left.wg("show", "wg0", "latest-handshakes")
    left.wg("set", "wg0", "peer", new, "allowed-ips", "10.78.0.0/24", "endpoint", "[2001:db8::1]:9",
            "persistent-keepalive", "5")
    assert allowed_ips(left) == {known: "10.77.0.2/32", new: "10.78.0.0/24"}
    assert f"{new}\t[2001:db8::1]:9" in left.wg("show", "wg0", "endpoints")
    assert f"{new}\t5" in left.wg("show", "wg0", "persistent-keepalive")
    left.wg("set", "wg0", "peer", new, "remove")
    assert left.wg("show", "wg0", "peers") == known
    assert left.wg("show", "wg0", "latest-handshakes") == before
    pair.ping()


def test_addconf_adds_to_what_is_there(pair):
    pair.ping()
    left, known, new = pair.left, pair.right.keys.public, Keys().public
    before = left.wg("show", "wg0", "latest-handshakes")
    added = left.own / "added.conf"
    added.write_text(f"[Peer]\nPublicKey = {known}\nAllowedIPs = 10.79.0.0/24\n"
                     f"[Peer]\nPublicKey = {new}\nAllowedIPs = 10.78.0.0/24\n")

    left.wg("addconf", "wg0", added)

    # wg says for each peer of the file that its allowed IPs are replaced; the other peers stay as they were.
    assert allowed_ips(left) == {known: "10.79.0.0/24", new: "10.78.0.0/24"}
    assert left.wg("show", "wg0", "latest-handshakes").splitlines()[0] == before
    assert left.wg("show", "wg0", "listen-port") == "51820"
    left.wg("set", "wg0", "peer", known, "allowed-ips", "10.77.0.2/32")
    pair.ping()
    assert left.wg("show", "wg0", "latest-handshakes").splitlines()[0] == before


def allowed_ips(host):
    return dict(line.split("\t") for line in host.wg("show", "wg0", "allowed-ips").splitlines())


def test_a_single_allowed_ip_is_taken_away(pair):
    """As later versions of wg ask by `allowed-ips -10.78.0.0/24`."""
    pair.ping()
    left, key = pair.left, f"public_key={base64.b64decode(pair.right.keys.public).hex()}"
    before = left.wg("show", "wg0", "latest-handshakes")
    assert allowed_ips(left) == {pair.right.keys.public: "10.77.0.2/32 10.78.0.0/24"}

    assert left.raw("set=1", key, "allowed_ip=-10.78.0.0/24") == "errno=0\n\n"

    assert allowed_ips(left) == {pair.right.keys.public: "10.77.0.2/32"}
    pair.ping()
    assert left.raw("set=1", key, "allowed_ip=-10.77.0.2/32") == "errno=0\n\n"
    assert not answers_ping(left.node, ADDRESSES["right"])
    assert left.raw("set=1", key, "allowed_ip=10.77.0.2/32") == "errno=0\n\n"
    pair.ping()
    assert left.wg("show", "wg0", "latest-handshakes") == before
    # Of a prefix that the peer does not have there is nothing to take away; of what is no prefix, nothing is done.
    assert left.raw("set=1", key, "allowed_ip=-10.200.0.0/16") == "errno=0\n\n"
    assert left.raw("set=1", key, "allowed_ip=--10.77.0.2/32") != "errno=0\n\n"
    assert allowed_ips(left) == {pair.right.keys.public: "10.77.0.2/32"}


def test_port_and_mark_change_while_the_session_goes_on(pair):
    pair.ping()
    before = pair.left.wg("show", "wg0", "latest-handshakes")
    pair.left.wg("set", "wg0", "listen-port", "50000", "fwmark", "0x77")
    assert pair.left.wg("show", "wg0", "listen-port") == "50000"
    assert pair.left.wg("show", "wg0", "fwmark") == "0x77"
    pair.ping()
    pair.left.wg("set", "wg0", "fwmark", "0")
    assert pair.left.wg("show", "wg0", "fwmark") == "off"
    assert pair.left.wg("show", "wg0", "latest-handshakes") == before


def test_a_second_instance_is_refused_and_the_socket_s_end_is_the_daemon_s(pair):
    second = pair.left.run("vtrunkd", "-f", "wg0", check=False)
    assert second.returncode != 0
    pair.ping()
    (pair.right.own / "wireguard" / "wg0.sock").unlink()
    wait_until(lambda: not pair.right.node.has_interface("wg0"), 10, "the interface is gone")


def test_a_socket_at_which_nobody_listens_is_replaced_and_a_live_one_refused(lab):
    host = Host(lab, "left")
    with socket.socket(socket.AF_UNIX) as another:
        another.bind(str(host.own / "wireguard" / "wg0.sock"))
        another.listen()
        refused = host.run("vtrunkd", "wg0", check=False)
        assert refused.returncode == 1 and "wg0.sock" in refused.stderr
        assert not host.node.has_interface("wg0")
        assert host.has_socket(), "it is another's"

    host.run("vtrunkd", "wg0")

    assert host.wg("show", "interfaces") == "wg0"
    (host.own / "wireguard" / "wg0.sock").unlink()
    wait_until(lambda: not host.node.has_interface("wg0"), 10, "the interface is gone")


@pytest.mark.parametrize("words", [["vtrunkd", "--foreground", "wg0"], ["WG_PROCESS_FOREGROUND=1", "vtrunkd", "wg0"]],
                         ids=["option", "variable"])
@pytest.mark.parametrize("what", ["interface", "socket"])
def test_in_the_foreground_it_ends_with_its_interface_or_socket(lab, words, what):
    host = Host(lab, "left")
    daemon = host.spawn(*words)
    wait_until(lambda: "ready" in daemon.output(), 10, "the daemon is up")
    assert daemon.is_running() and host.has_socket() and host.node.has_interface("wg0")

    if what == "interface":
        host.node.ip("link del wg0")
    else:
        (host.own / "wireguard" / "wg0.sock").unlink()

    assert daemon.wait(10) == 0, daemon.output()
    assert not host.has_socket() and not host.node.has_interface("wg0")
    assert not list((host.own / "vtrunkd").iterdir()), "nothing is left behind"


def test_in_the_background_it_ends_with_its_interface(lab):
    host = Host(lab, "left")
    host.run("vtrunkd", "wg0")
    assert host.has_socket()

    host.node.ip("link del wg0")

    wait_until(lambda: not host.has_socket(), 10, "its socket is removed")
    host.run("vtrunkd", "wg0")  # nothing of the first is in the way
    host.node.ip("link del wg0")
    wait_until(lambda: not host.has_socket(), 10, "its socket is removed")


def open_tun(host, flags, name="wg0", mode=os.O_RDWR):
    """The descriptor of an interface; of none, without flags. Whoever asks closes it."""
    with host.node.entered():
        descriptor = os.open("/dev/net/tun", mode)
    if flags:
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    return descriptor


@pytest.mark.parametrize("extra", [0, IFF_VNET_HDR], ids=["plain", "vnet_hdr"])
def test_an_interface_and_a_socket_that_are_handed_over_are_taken(pair, extra):
    left, right = pair.left, pair.right
    left.down()
    wait_until(lambda: not left.has_socket(), 10, "the daemon ends")
    tun = open_tun(left, IFF_TUN | IFF_NO_PI | extra)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(left.own / "wireguard" / "wg0.sock"))
        listener.listen()
        given = [tun, listener.fileno()]
        # The name is the interface's, whatever is asked for.
        words = [f"WG_TUN_FD={tun}", f"WG_UAPI_FD={given[1]}", "vtrunkd", "other"]
        # The one before holds its lock for a moment longer than its socket.
        wait_until(lambda: left.run(*words, check=False, pass_fds=given).returncode == 0, 10, "the daemon starts")
        os.close(tun)
    secrets = left.own / "secrets.conf"
    secrets.write_text(left.run("wg-quick", "strip", left.config).stdout)
    left.wg("setconf", "wg0", secrets)
    left.node.ip(f"addr add {ADDRESSES['left']}/24 dev wg0")
    pair.ping()
    transfer(left.node, right.node, ADDRESSES["right"])
    transfer(right.node, left.node, ADDRESSES["left"])
    (left.own / "wireguard" / "wg0.sock").unlink()
    wait_until(lambda: not left.node.has_interface("wg0"), 10, "the interface is gone")


def test_what_is_handed_over_and_is_none_is_told(pair):
    left = pair.left

    def refused(variable, descriptor):
        passed = [descriptor] if isinstance(descriptor, int) and descriptor < 1000 else []
        done = left.run(f"{variable}={descriptor}", "vtrunkd", "-f", "wg9", check=False, pass_fds=passed)
        assert done.returncode == 1
        return done.stderr

    opened = [open_tun(left, 0), open_tun(left, IFF_TAP | IFF_NO_PI, "tap9"), open_tun(left, IFF_TUN, "tun9"),
              open_tun(left, IFF_TUN | IFF_NO_PI, "tun8", os.O_RDONLY), os.open("/dev/null", os.O_RDWR)]
    for descriptor, why in zip(opened, ["without an interface", "a TAP interface", "IFF_NO_PI",
                                        "not open for both", "no TUN device"]):
        assert why in refused("WG_TUN_FD", descriptor)
        os.close(descriptor)
    for wrong in ("", "2", "three", "-1"):
        assert "no number of a descriptor" in refused("WG_TUN_FD", wrong)
    assert "no such open descriptor" in refused("WG_TUN_FD", 1999)
    assert "no such open descriptor" in refused("WG_UAPI_FD", 1999)
    with socket.socket(socket.AF_UNIX) as silent, socket.socket(socket.AF_INET) as other, \
            open("/dev/null", encoding="ascii") as file:
        assert "does not listen" in refused("WG_UAPI_FD", silent.fileno())
        assert "another kind" in refused("WG_UAPI_FD", other.fileno())
        assert "no socket" in refused("WG_UAPI_FD", file.fileno())
    pair.ping()
