# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Routes to the allowed IPs of peers that never come.

    server, tun0 10.10.0.1/24; peers behind it have 10.<n>.0.0/16 and fd<n>::/32
"""
import json
import os
import signal

from bond import PORT, SERVER_IP, VTRUNKCTL, Daemon, Keys, Pair, engine_of, network_section
from lab import wait_until
from traffic import wait_for_ping

PROTOCOL = 119


def daemon_with(lab, allowed, start=True, **network):
    """One peer for each text of `allowed`."""
    peers = {f"peer {n}": {"public_key": Keys().public, "allowed_ips": ips} for n, ips in enumerate(allowed)}
    return Daemon(lab.node("server"), {
        "network": network_section("10.10.0.1", **network),
        "wireguard": {"private_key": Keys().private},
        "link wan": {"bind": f"0.0.0.0:{PORT}"}, **peers}, start=start)


def routes(daemon, family=4, table="all"):
    done = daemon.node.run("ip", "-j", f"-{family}", "route", "show", "table", table, "proto", PROTOCOL, check=False)
    return json.loads(done.stdout or "[]") if done.returncode == 0 else []


def test_allowed_ips_become_routes_of_our_protocol(lab):
    daemon = daemon_with(lab, ["10.1.0.0/16, fd01::/32", "10.2.0.0/16, 10.3.0.1/32"], table="main", metric=50)

    assert {(r["dst"], r["dev"], r["metric"]) for r in routes(daemon, table="main")} == {
        ("10.1.0.0/16", "tun0", 50), ("10.2.0.0/16", "tun0", 50), ("10.3.0.1", "tun0", 50)}
    assert {(r["dst"], r["metric"]) for r in routes(daemon, 6, "main")} == {("fd01::/32", 50)}
    assert daemon.stop() == 0
    assert routes(daemon) == []


def test_a_table_above_255_and_the_default_route(lab):
    daemon = daemon_with(lab, ["0.0.0.0/0, ::/0"], table=51820)

    assert [(r["dst"], r["dev"]) for r in routes(daemon, 4, 51820)] == [("default", "tun0")]
    assert [(r["dst"], r["dev"]) for r in routes(daemon, 6, 51820)] == [("default", "tun0")]
    assert routes(daemon, table="main") == []


def test_the_subnet_of_the_interface_may_be_a_peers(lab):
    daemon = daemon_with(lab, ["10.10.0.0/24, 10.1.0.0/16"], table="auto")

    def leads_to_the_tunnel():
        return " dev tun0 " in daemon.node.run("ip", "route", "get", "10.10.0.9", check=False).stdout

    assert leads_to_the_tunnel(), "by the kernel's own route"
    for address in ("10.1.0.1/16", "10.10.0.1/24, 10.1.0.1/16", None, "10.10.0.1/24"):
        daemon.sections["network"]["address"] = address
        done = daemon.reload()
        assert done.returncode == 0, done.stderr
        assert leads_to_the_tunnel(), address
    daemon.sections["network"].update(address="10.10.0.1", destination="10.10.0.9")
    daemon.sections["peer 0"]["allowed_ips"] = "10.10.0.9/32, 10.1.0.0/16"
    done = daemon.reload()
    assert done.returncode == 0 and leads_to_the_tunnel(), done.stderr
    daemon.sections["peer 0"]["allowed_ips"] = "10.1.0.0/16"
    assert daemon.reload().returncode == 0
    assert [r["dst"] for r in routes(daemon)] == ["10.1.0.0/16"]


def test_the_subnet_of_the_interface_gets_a_metric(lab):
    daemon = daemon_with(lab, ["10.10.0.0/24, 10.1.0.0/16"], table="auto")

    for metric in (7, None, 7, 8):
        daemon.sections["network"]["metric"] = metric
        assert daemon.reload().returncode == 0
        ours = sorted((r["dst"], r.get("metric")) for r in routes(daemon))
        assert ours == [("10.1.0.0/16", metric), *([("10.10.0.0/24", metric)] if metric else [])]


def test_ipv6_routes_follow_an_mtu_that_has_room_for_them(lab):
    daemon = daemon_with(lab, ["0.0.0.0/0, fd01::/32"], table=100, mtu=1000)

    for mtu, wanted in ((1300, ["fd01::/32"]), (1000, []), (1280, ["fd01::/32"])):
        daemon.sections["network"]["mtu"] = mtu
        done = daemon.reload()
        assert done.returncode == 0, done.stderr
        assert [r["dst"] for r in routes(daemon, 6)] == wanted
    assert [r["dst"] for r in routes(daemon)] == ["default"]


def test_without_a_table_there_are_none(lab):
    assert routes(daemon_with(lab, ["10.1.0.0/16"])) == []


def test_a_route_that_is_there_already_is_named_and_stays(lab):
    daemon = daemon_with(lab, ["10.1.0.0/16"], start=False, table="main")
    daemon.node.ip("link add other type veth")
    daemon.node.ip("link set other up")
    daemon.node.ip("route add 10.1.0.0/16 dev other")

    output = daemon.fails_to_start(seconds=10)

    assert "10.1.0.0/16" in output and "there is one already" in output
    assert "other" in daemon.node.ip("route show 10.1.0.0/16").stdout
    assert not daemon.node.has_interface("tun0")


def test_routes_stay_while_a_crashed_engine_is_replaced(lab):
    daemon = daemon_with(lab, ["10.1.0.0/16"], table="main")
    pid = daemon.process.pid
    engine = lambda: open(f"/proc/{pid}/task/{pid}/children").read().split()
    before = engine()

    os.kill(int(before[0]), signal.SIGKILL)

    wait_until(lambda: len(engine()) == 1 and engine() != before, 5, "another engine")
    wait_until(daemon.answers, 5, "it is up again")
    assert [r["dst"] for r in routes(daemon)] == ["10.1.0.0/16"]


def test_routes_and_rules_of_peers_by_command_go_with_a_crash(lab):
    daemon = daemon_with(lab, ["10.1.0.0/16, fd01::/32"], table="auto")
    daemon.ctl("peer", "add", "guest", f"public_key={Keys().public}", "allowed_ips=10.5.0.0/16, 0.0.0.0/0, fd05::/32")
    assert len(routes(daemon)) == 3 and len(routes(daemon, 6)) == 2 and rules(daemon.node, 4) == BOTH
    engine = engine_of(daemon)

    os.kill(engine, signal.SIGKILL)

    wait_until(lambda: engine_of(daemon) not in (None, engine) and daemon.answers(), 10, "another engine is up")
    assert [p["name"] for p in daemon.network()["peers"]] == ["0"], "the configuration has no other"
    assert [r["dst"] for r in routes(daemon)] == ["10.1.0.0/16"]
    assert [r["dst"] for r in routes(daemon, 6)] == ["fd01::/32"]
    assert rules(daemon.node, 4) == []


def test_ten_thousand_routes(lab):
    daemon = daemon_with(lab, [], start=False, table=1000)
    daemon.sections["peer many"] = {"public_key": Keys().public, "allowed_ips": "10.0.0.0/30"}
    lines = "".join(f"allowed_ips = 10.{n >> 14 & 255}.{n >> 6 & 255}.{n << 2 & 255}/30\n" for n in range(1, 10000))
    write = daemon.write_config
    daemon.write_config = lambda: (write(), daemon.config.open("a").write("\n" + lines))

    # [daemon] is the last section that is written: the peer's lines must come behind its own.
    daemon.sections = {"daemon": {}, **daemon.sections}
    daemon.start()

    assert len(routes(daemon, 4, 1000)) == 10000
    assert daemon.stop() == 0
    assert routes(daemon) == []


def has_carrier(node):
    return "NO-CARRIER" not in json.loads(node.ip("-j link show tun0").stdout)[0]["flags"]


def test_the_carrier_follows_the_peers(lab):
    pair = Pair(lab, rates=[None], start=False)
    for daemon in (pair.client, pair.server):
        daemon.sections["network"]["carrier"] = "follow"

    pair.client.start()
    assert not has_carrier(pair.client_node), "nobody is there"
    pair.server.start()

    wait_until(lambda: has_carrier(pair.client_node) and has_carrier(pair.server_node), 10, "both have a carrier")
    wait_for_ping(pair.client_node, SERVER_IP)
    pair.cables[0].cut_silently()
    wait_until(lambda: not has_carrier(pair.client_node), 10, "the path is down")
    pair.cables[0].mend()
    wait_until(lambda: has_carrier(pair.client_node), 10, "the path is up")
    wait_for_ping(pair.client_node, SERVER_IP)


BIRD = """router id 10.10.0.2;
protocol device {{ scan time 1; }}
protocol kernel {{ scan time 1; ipv4 {{ import none; export all; }}; }}
protocol static {{ check link yes; ipv4; route 10.99.0.0/16 via "tun0"; }}
protocol static {{ ipv4 {{ preference 50; }}; route 10.99.0.0/16 via {router}; }}
"""


def test_a_routing_daemon_goes_elsewhere_while_there_is_no_carrier(lab):
    pair = Pair(lab, rates=[None], start=False)
    for daemon in (pair.client, pair.server):
        daemon.sections["network"]["carrier"] = "follow"
    pair.start()
    config = lab.file("bird.conf")
    config.write_text(BIRD.format(router=pair.server_address(pair.cables[0])))
    pair.client_node.spawn("/usr/local/lib/vtrunkd-tests/bird", "-f", "-c", config, "-s", lab.file("bird.ctl"))

    def leads_to(device):
        return f"dev {device} " in pair.client_node.ip("route show 10.99.0.0/16 proto bird").stdout

    wait_until(lambda: leads_to("tun0"), 10, "BIRD likes the tunnel best")
    pair.server.kill()
    wait_until(lambda: leads_to("wan1"), 15, "the other way is in force")
    pair.server.start()
    wait_until(lambda: leads_to("tun0"), 15, "the tunnel is in force again")


def test_the_carrier_is_always_there_otherwise(lab):
    assert has_carrier(daemon_with(lab, ["10.1.0.0/16"]).node)


def rules(node, family):
    """Of our protocol, as (priority, table)."""
    found = json.loads(node.run("ip", "-j", "-d", f"-{family}", "rule", "show").stdout)
    return sorted((rule["priority"], rule["table"]) for rule in found if rule.get("protocol") == str(PROTOCOL))


BOTH = [(32764, "main"), (32765, "51820")]


class FullTunnel:
    """All goes into the tunnel but what is for the tunnel itself: the endpoint is behind a default route.

        client 10.0.1.1 --- 10.0.1.2 router 10.0.2.1 --- 10.0.2.2 server
        tun0 10.10.0.2          beyond the server: 198.51.100.1, 2001:db8::1
    """

    def __init__(self, lab, table="auto", start=True, **link):
        self.client, self.router, self.server = (lab.node(name) for name in ("client", "router", "server"))
        near, far = lab.cable(self.client, self.router, "wan1"), lab.cable(self.router, self.server, "wan2")
        for node, cable, gateway in ((self.client, near, self.router), (self.server, far, self.router)):
            node.ip(f"route add default via {cable.v4(gateway)}")
            node.ip(f"-6 route add default via {cable.v6(gateway)}")
        self.router.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        self.server.ip("addr add 198.51.100.1/32 dev lo")
        self.server.ip("addr add 2001:db8::1/128 dev lo")
        self.client.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=2")
        keys = {name: Keys() for name in ("client", "server")}
        self.far_end = Daemon(self.server, {
            "network": network_section("10.10.0.1", "fd10::1"),
            "wireguard": {"private_key": keys["server"].private},
            "link wan": {"bind": f"0.0.0.0:{PORT}"},
            "peer client": {"public_key": keys["client"].public, "allowed_ips": "10.10.0.2/32, fd10::2/128"}})
        self.daemon = Daemon(self.client, {
            "network": network_section("10.10.0.2", "fd10::2", table=table),
            "wireguard": {"private_key": keys["client"].private, "peer_public_key": keys["server"].public},
            "link wan": {"endpoint": f"{far.v4(self.server)}:{PORT}", **link}}, start=start)

    def works(self):
        """Everything goes through it, and so does not over the router."""
        self.router.nft("""
            table inet only_the_tunnel {
                chain forward {
                    type filter hook forward priority 0; policy drop;
                    udp dport 51820 accept
                    udp sport 51820 accept
                }
            }""")
        wait_for_ping(self.client, "198.51.100.1")
        wait_for_ping(self.client, "2001:db8::1")
        # What is more exact than a default route goes on as it was.
        assert "dev wan1" in self.client.ip("route get 10.0.1.2").stdout


def test_a_full_tunnel_and_its_end(lab):
    tunnel = FullTunnel(lab)
    tunnel.works()
    assert rules(tunnel.client, 4) == rules(tunnel.client, 6) == BOTH
    assert tunnel.daemon.stop() == 0
    assert rules(tunnel.client, 4) == rules(tunnel.client, 6) == []


def test_rules_that_a_kill_has_left_are_removed_by_the_next_start(lab):
    tunnel = FullTunnel(lab)
    tunnel.daemon.kill()
    wait_until(lambda: not tunnel.client.has_interface("tun0"), 5, "the interface is gone")
    assert rules(tunnel.client, 4) == BOTH, "nobody has removed them"
    tunnel.daemon.sections["link wan"]["fwmark"] = 77
    tunnel.daemon.start()
    tunnel.works()
    assert rules(tunnel.client, 4) == rules(tunnel.client, 6) == BOTH, "those of the other mark are gone"
    tunnel.daemon.kill()
    wait_until(lambda: not tunnel.client.has_interface("tun0"), 5, "the interface is gone")
    tunnel.daemon.sections["network"]["table"] = "off"
    tunnel.daemon.start()
    assert rules(tunnel.client, 4) == rules(tunnel.client, 6) == []


def test_rules_follow_the_peers(lab):
    tunnel = FullTunnel(lab, start=False)
    tunnel.daemon.sections["wireguard"]["allowed_ips"] = "10.99.0.0/16, 2001:db8::/32"
    tunnel.daemon.start()
    assert rules(tunnel.client, 4) == rules(tunnel.client, 6) == []
    assert "dev tun0" in tunnel.client.ip("route get 10.99.0.1").stdout
    for allowed, v4, v6 in (("0.0.0.0/0, 2001:db8::/32", BOTH, []), ("::/0", [], BOTH), ("10.1.0.0/16", [], [])):
        tunnel.daemon.sections["wireguard"]["allowed_ips"] = allowed
        tunnel.daemon.write_config()
        tunnel.client.run(VTRUNKCTL, "--socket", tunnel.daemon.control, "reload")
        assert (rules(tunnel.client, 4), rules(tunnel.client, 6)) == (v4, v6)
    for table, allowed, v4 in (("main", "10.1.0.0/16", []), ("auto", "10.1.0.0/16, 0.0.0.0/0", BOTH), (77, "10.1.0.0/16", [])):
        tunnel.daemon.sections["wireguard"]["allowed_ips"] = allowed
        tunnel.daemon.sections["network"]["table"] = table
        tunnel.daemon.write_config()
        tunnel.client.run(VTRUNKCTL, "--socket", tunnel.daemon.control, "reload")
        assert (rules(tunnel.client, 4), rules(tunnel.client, 6)) == (v4, [])
        wanted = 77 if table == 77 else "main"
        assert [r["dst"] for r in routes(tunnel.daemon, 4, wanted)] == ["10.1.0.0/16"]


def test_rules_stay_while_a_crashed_engine_is_replaced(lab):
    tunnel = FullTunnel(lab)
    pid = tunnel.daemon.process.pid
    engine = lambda: open(f"/proc/{pid}/task/{pid}/children").read().split()
    before = engine()
    os.kill(int(before[0]), signal.SIGKILL)
    wait_until(lambda: len(engine()) == 1 and engine() != before, 5, "another engine")
    assert rules(tunnel.client, 4) == BOTH
    wait_until(tunnel.daemon.answers, 5, "it is up again")
    assert rules(tunnel.client, 4) == rules(tunnel.client, 6) == BOTH
    tunnel.works()


def test_doctor_knows_a_full_tunnel(lab):
    tunnel = FullTunnel(lab)

    def bad():
        done = tunnel.client.run(VTRUNKCTL, "--socket", tunnel.daemon.control, "--json", "doctor", check=False)
        return {f["check"] for f in json.loads(done.stdout) if f["result"] == "BAD"}

    tunnel.works()
    assert bad() == set()
    tunnel.client.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1", "net.ipv4.conf.wan1.rp_filter=1")
    assert bad() == {"rp_filter"}
