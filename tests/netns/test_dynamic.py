# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""WANs whose devices, carriers, addresses and NAT entries come and go.

    client 10.10.0.2                       server 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
      wan2 10.0.2.1 ------ 10.0.2.0/24 ------ 10.0.2.2 wan2

The timers are those of users, and a look at the devices comes once in five minutes: what happens
within seconds here happens because the kernel has told.
"""
import os
import pathlib

import pytest

from bond import SERVER_IP, Pair
from lab import wait_until
from test_service import IS_SANITIZED
from traffic import PingTrain, ping_lost

SLOW = {"health_check_interval_ms": 1000, "health_check_timeout_ms": 5000, "error_backoff_secs": 300,
        "flap_hold_max_secs": 0}
REMADE = int(os.environ.get("VTRUNKD_REMADE", 100))  # a device
AT_ONCE = 3  # seconds; without news of the kernel it would be five at the least


@pytest.fixture
def pair(lab):
    """The first link is bound to its device, the second to its address."""
    made = Pair(lab, client=SLOW, server={"flap_hold_max_secs": 0}, start=False)
    first, second = made.cables
    made.client.sections[f"link {first.name}"]["device"] = first.name
    made.client.sections[f"link {second.name}"]["bind"] = made.client_address(second)
    made.start()
    return made


def link(pair, cable):
    return next(link for link in pair.client.network()["links"] if link["name"] == cable.name)


def wait_open(pair, cable, is_open):
    wait_until(lambda: link(pair, cable)["open"] is is_open, AT_ONCE, f"{cable.name}: open is {is_open}")


@pytest.mark.parametrize("number", [0, 1], ids=["by device", "by address"])
def test_a_carrier_that_is_lost_and_back_moves_the_traffic_at_once(pair, number):
    cable = pair.cables[number]
    port = link(pair, cable)["local"]

    with PingTrain(pair.client_node, SERVER_IP) as train:
        pair.server_node.ip(f"link set {cable.name} down")
        pair.client.wait_path(cable.name, "down", AT_ONCE)
        pair.server_node.ip(f"link set {cable.name} up")
        pair.client.wait_path(cable.name, "up", AT_ONCE)
    assert train.longest_gap < AT_ONCE
    assert link(pair, cable)["local"] == port, "the socket is the same, and so is a NAT's entry"


def test_a_device_that_is_removed_and_comes_back_is_used_again_at_once(pair):
    cable = pair.cables[0]

    with PingTrain(pair.client_node, SERVER_IP) as train:
        pair.client_node.ip(f"link del {cable.name}")
        pair.client.wait_path(cable.name, "down", AT_ONCE)
        wait_open(pair, cable, False)
        cable.join()
        for end in cable.ends:
            cable.address(end)
            end.ip(f"link set {cable.name} up")
        wait_open(pair, cable, True)
        pair.client.wait_path(cable.name, "up", AT_ONCE)
        assert ping_lost(pair.client_node, SERVER_IP) == 0
    assert train.longest_gap < AT_ONCE


def test_a_device_without_an_address_is_down_until_it_has_another_one(pair):
    cable = pair.cables[0]

    with PingTrain(pair.client_node, SERVER_IP) as train:
        pair.client_node.ip(f"addr flush dev {cable.name}")
        pair.client.wait_path(cable.name, "down", AT_ONCE)
        pair.client_node.ip(f"addr add 10.0.1.77/24 dev {cable.name}")
        pair.client.wait_path(cable.name, "up", AT_ONCE)
        wait_until(lambda: pair.server.path_to("10.0.1.77"), AT_ONCE, "the server has followed")
    assert train.longest_gap < AT_ONCE


def test_a_lease_of_another_address_is_followed_at_once(pair):
    cable = pair.cables[0]

    with PingTrain(pair.client_node, SERVER_IP) as train:
        pair.client_node.ip(f"addr add 10.0.1.77/24 dev {cable.name}")
        pair.client_node.run("sysctl", "-qw", f"net.ipv4.conf.{cable.name}.promote_secondaries=1")
        pair.client_node.ip(f"addr del {pair.client_address(cable)}/24 dev {cable.name}")
        wait_until(lambda: pair.server.path_to("10.0.1.77"), AT_ONCE, "the server has followed")
        pair.client.wait_path(cable.name, "up", AT_ONCE)
        assert ping_lost(pair.client_node, SERVER_IP) == 0
    assert train.longest_gap < AT_ONCE


def test_an_address_to_bind_to_that_goes_and_comes_back(pair):
    cable = pair.cables[1]

    with PingTrain(pair.client_node, SERVER_IP) as train:
        cable.unaddress(pair.client_node)
        pair.client.wait_path(cable.name, "down", AT_ONCE)
        wait_open(pair, cable, False)
        cable.address(pair.client_node)
        wait_open(pair, cable, True)
        pair.client.wait_path(cable.name, "up", AT_ONCE)
    assert train.longest_gap < AT_ONCE


def test_a_nat_entry_that_leads_nowhere_is_left_for_another_port(lab):
    pair = Pair(lab)
    cable = pair.cables[0]
    port = int(link(pair, cable)["local"].rsplit(":", 1)[1])

    pair.client_node.nft(f"""
        table netdev stuck {{
            chain out {{
                type filter hook egress device "{cable.name}" priority 0
                udp sport {port} drop
            }}
        }}""")
    pair.client.wait_path(cable.name, "down")
    assert ping_lost(pair.client_node, SERVER_IP) == 0

    pair.client.wait_path(cable.name, "up", 30)
    assert int(link(pair, cable)["local"].rsplit(":", 1)[1]) != port


def descriptors(daemon):
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in daemon.processes())


def resident_kilobytes(daemon):
    lines = [line for pid in daemon.processes()
             for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def flap(node, name, times):
    batch = f"link set {name} down\nlink set {name} up\n" * times
    node.run("ip", "-batch", "-", text=batch, seconds=120)


def test_a_thousand_flaps_leave_nothing_behind(pair):
    cable = pair.cables[0]
    flap(pair.server_node, cable.name, 100)
    pair.client.wait_path(cable.name, "up", 20)
    before, memory = descriptors(pair.client), resident_kilobytes(pair.client)

    flap(pair.server_node, cable.name, 900)

    pair.client.wait_path(cable.name, "up", 20)
    assert ping_lost(pair.client_node, SERVER_IP) == 0
    # A client that has just gone may still be among those of before.
    wait_until(lambda: descriptors(pair.client) <= before, 5, "no more descriptors than before")
    assert IS_SANITIZED or resident_kilobytes(pair.client) < memory + 2048


def remake(pair, cable, times):
    """The first end's device goes and comes back; the other end is ready only in the end."""
    node, other = cable.ends
    batch = (f"link del {cable.name}\n"
             f"link add {cable.name} type veth peer name {cable.name} netns {other.namespace}\n"
             f"addr add {cable.v4(node)}/24 dev {cable.name}\nlink set {cable.name} up\n")
    node.run("ip", "-batch", "-", text=batch * times, seconds=120)
    cable.address(other)
    other.ip(f"link set {cable.name} up")
    pair.client.wait_path(cable.name, "up", 20)


def test_a_device_that_is_remade_all_the_time_leaves_nothing_behind(pair):
    cable = pair.cables[0]
    remake(pair, cable, 10)
    before, memory = descriptors(pair.client), resident_kilobytes(pair.client)

    remake(pair, cable, REMADE)

    assert ping_lost(pair.client_node, SERVER_IP) == 0
    # A client that has just gone may still be among those of before.
    wait_until(lambda: descriptors(pair.client) <= before, 5, "no more descriptors than before")
    assert IS_SANITIZED or resident_kilobytes(pair.client) < memory + 2048
