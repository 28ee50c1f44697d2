# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""vtrunkctl doctor: each trouble is found, and comes with its remedy.

    client 10.10.0.2                       server 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
      wan2 10.0.2.1 ------ 10.0.2.0/24 ------ 10.0.2.2 wan2
"""
import json
import os
import socket
import threading

from bond import VTRUNKCTL, Pair
from lab import wait_until


def findings(daemon, *wrapper):
    """(check, result) -> text and remedy; of the daemon's own configuration."""
    done = daemon.node.run(*wrapper, VTRUNKCTL, "--socket", daemon.control, "--json", "doctor", daemon.config,
                           check=False)
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
    page = pair.client.node.run(VTRUNKCTL, "--socket", pair.client.control, "doctor", pair.client.config, check=False).stdout
    assert "is the device there" in page, page
    assert [line for line in page.splitlines() if len(line) > 80 and str(pair.client.config) not in line] == []


def test_an_interface_in_the_subnet_of_the_tunnel_is_found(lab):
    pair = Pair(lab, rates=[None])
    assert ("addresses", "note") not in findings(pair.client)
    pair.client_node.ip("addr add 10.10.0.77/24 dev wan1")
    assert "wan1 is in the subnet of 10.10.0.2/24 of tun0" in findings(pair.client)["addresses", "note"]
    pair.client_node.ip("addr del 10.10.0.77/24 dev wan1")
    pair.client_node.ip("addr add fd10::77/64 dev wan1 nodad")
    assert "wan1 is in the subnet of fd10::2/64 of tun0" in findings(pair.client)["addresses", "note"]
    pair.client_node.ip("addr del fd10::77/64 dev wan1")
    pair.client_node.ip("addr add 10.10.0.77/16 dev wan1")
    assert ("addresses", "note") not in findings(pair.client), "the tunnel's routes are the closer ones"


def test_a_route_into_a_tunnel_is_found(lab):
    pair = Pair(lab, rates=[None])
    pair.client_node.ip(f"route add {pair.server_address(pair.cables[0])}/32 dev tun0")

    assert "a tunnel" in findings(pair.client)["routes", "BAD"]


def test_without_a_daemon_it_says_so(lab):
    pair = Pair(lab, start=False)

    assert "no vtrunkd listens" in findings(pair.client)["daemon", "BAD"]


def test_files_that_others_may_read_or_write_are_found(lab):
    pair = Pair(lab, rates=[None], start=False)
    wireguard = pair.client.sections["wireguard"]
    key = lab.file("private.key")
    key.write_text(pair.client_keys.private)
    key.chmod(0o600)
    lab.directory.chmod(0o755)
    pair.client.write_config()
    assert "0 files of keys are closed" in findings(pair.client)["files", "ok"]
    pair.client.config.chmod(0o644)
    assert f"chmod 0640 {pair.client.config}" in findings(pair.client)["files", "BAD"], "there is a key in it"

    wireguard.update(private_key=None, private_key_file=key)
    pair.client.write_config()
    pair.client.config.chmod(0o644)
    assert "1 files of keys are closed" in findings(pair.client)["files", "ok"]
    key.chmod(0o640)
    assert f"chmod 0600 {key}" in findings(pair.client)["files", "BAD"]
    key.chmod(0o600)
    os.chown(key, 12345, -1)
    assert f"chown root {key}" in findings(pair.client)["files", "BAD"]
    key.unlink()
    assert "No such file" in findings(pair.client)["files", "BAD"]
    lab.directory.chmod(0o777)
    assert f"chmod go-w {lab.directory}" in json.dumps([*findings(pair.client).values()])


def test_a_port_that_is_taken_is_found(lab):
    pair = Pair(lab, rates=[None])
    taken = pair.client_node.socket(socket.AF_INET, socket.SOCK_DGRAM)
    taken.bind(("0.0.0.0", 4711))
    pair.client.sections["link late"] = {"bind": "10.0.9.9:4711", "endpoint": "10.0.1.2:51820"}
    assert pair.client.reload().returncode == 0
    pair.client_node.ip("addr add 10.0.9.9/32 dev wan1")
    wait_until(lambda: "ss -ulpn" in findings(pair.client).get(("link", "BAD"), ""), 10, "the port is taken")


class FakeDaemon:
    """Answers every request with one status."""

    def __init__(self, node, status):
        lab = node.lab
        self.node, self.control, self.config = node, lab.file("fake.sock"), lab.file("fake.conf")
        self.config.write_text("")
        self.control.unlink(missing_ok=True)
        listener = lab.stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(self.control))
        listener.listen()
        answer = json.dumps({"id": 1, "success": True, "data": {"schema": 1, "version": "1", **status}}).encode() + b"\n"

        def serve():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    if client.recv(65536):
                        client.sendall(answer)
        lab.stack.callback(listener.shutdown, socket.SHUT_RDWR)
        threading.Thread(target=serve, daemon=True).start()


def test_links_without_offloads_and_what_the_start_had_to_do_without_are_found(lab):
    node = lab.node("client")
    link = {"open": True, "gso": True, "gro": True, "gso_setting": "auto", "gro_setting": "auto"}

    def found(**changes):
        links = [{"name": "lte", **link, **changes}]
        return findings(FakeDaemon(node, {"warnings": ["memory is not locked"], "networks": [
            {"name": "home", "interface": "tun0", "state": "error", "reason": "no luck", "links": links, "peers": []}]}))

    assert ("offloads", "note") not in found()
    assert "ethtool -K" in found(gro=False)["offloads", "note"]
    refused = found(gso=False, gso_refused=3)
    assert "link lte: the kernel refuses UDP_SEGMENT" in refused["offloads", "note"]
    assert "memory is not locked" in refused["start", "note"]
    assert "network home: no luck -> the log" in refused["network", "BAD"]
    assert ("offloads", "note") not in found(gso=False, gso_setting="off"), "as it was wanted"


def test_a_clock_that_was_never_set_is_found(lab):
    pair = Pair(lab, rates=[None], start=False)
    wrapper = ["env", "ASAN_OPTIONS=verify_asan_link_order=0", "faketime", "2001-02-03 04:05:06"]

    assert "set it (NTP)" in findings(pair.client, *wrapper)["clock", "note"]
    assert ("clock", "ok") in findings(pair.client)


def test_the_tunnel_device_and_the_right_to_use_it_are_looked_at(lab):
    pair = Pair(lab, rates=[None], start=False)
    hide = ["unshare", "--mount", "sh", "-c"]
    assert "modprobe tun" in findings(pair.client, *hide, 'mount -t tmpfs none /dev/net && exec "$@"', "sh")["tun", "BAD"]
    assert "mknod" in findings(pair.client, *hide, 'mount --bind /dev/null /dev/net/tun && exec "$@"', "sh")["tun", "BAD"]
    assert "as root" in findings(pair.client, "setpriv", "--bounding-set=-net_admin")["privilege", "note"]
