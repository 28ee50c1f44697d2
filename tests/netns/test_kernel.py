# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Against the Linux kernel's WireGuard, in a guest (guest.py), over one link and over two.

    vtrunkd 10.10.0.2                      guest 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
      wan2 10.0.2.1 ------ 10.0.2.0/24 ------ 10.0.2.2 wan2
"""
import pytest

from bond import CLIENT_IP, SERVER_IP, new_psk
from guest import Guest, download, upload
from lab import Lab, wait_until
from stock import COMBINATION_NAMES, COMBINATIONS, Mixed, check_pings, check_roaming
from traffic import PingTrain, answers_ping, ping_lost, wait_for_ping


@pytest.fixture(scope="module")
def machine_lab():
    with Lab() as made:
        yield made


@pytest.fixture(scope="module")
def booted(machine_lab):
    return Guest(machine_lab)


@pytest.fixture
def guest(booted, lab):
    yield booted
    booted.reset()


@pytest.mark.parametrize("vtrunkd_initiates, psk, family", COMBINATIONS, ids=COMBINATION_NAMES)
def test_the_kernel_and_vtrunkd_talk(lab, guest, vtrunkd_initiates, psk, family):
    mixed = Mixed(lab, 1, vtrunkd_initiates, new_psk() if psk else None, guest=guest, family=family)
    mixed.connect()

    check_pings(mixed)
    upload(guest, mixed.client, CLIENT_IP)
    download(guest, mixed.client, CLIENT_IP)


def test_the_kernel_refuses_another_preshared_key(lab, guest):
    mixed = Mixed(lab, psk=new_psk(), stock_psk=new_psk(), guest=guest)

    assert not answers_ping(mixed.client, SERVER_IP)
    assert mixed.daemon.peer()["session"] is False
    assert mixed.stock.handshake_seconds() == 0


@pytest.mark.parametrize("mode", ["failover", "redundant", "aggregate"])
def test_the_kernel_can_be_served_over_two_links(lab, guest, mode):
    mixed = Mixed(lab, n_links=2, guest=guest, wireguard={"bonding_mode": mode, "scheduler": "weight"})
    mixed.connect()

    assert ping_lost(mixed.client, SERVER_IP, 50) == 0
    assert ping_lost(guest, CLIENT_IP, 50) == 0
    upload(guest, mixed.client, CLIENT_IP)
    download(guest, mixed.client, CLIENT_IP)


def test_failover_leaves_a_link_to_the_kernel_that_goes_down_and_comes_back(lab, guest):
    mixed = Mixed(lab, n_links=2, guest=guest, wireguard={"bonding_mode": "failover"})
    mixed.connect()
    first, second = mixed.cables
    wait_until(lambda: mixed.is_seen_at(first), 10, "the kernel's peer is on the first link")

    first.down()
    wait_for_ping(mixed.client, SERVER_IP, 15)
    assert mixed.is_seen_at(second)
    # The link is tried again once a second, which may cost what is sent just then.
    assert ping_lost(guest, CLIENT_IP) <= 2

    first.up()
    wait_until(lambda: answers_ping(mixed.client, SERVER_IP) and mixed.is_seen_at(first), 15,
               "the kernel's peer is on the first link again")


def test_redundant_to_the_kernel_loses_nothing_with_a_link(lab, guest):
    mixed = Mixed(lab, n_links=2, guest=guest, wireguard={"bonding_mode": "redundant"})
    mixed.connect()
    received = guest_packets(guest, "wg0")

    with PingTrain(mixed.client, SERVER_IP) as train:
        wait_until(lambda: len(train.read()) > 20, 10, "pings over both links")
        mixed.cables[0].down()
        mark = len(train.read())
        wait_until(lambda: len(train.read()) > mark + 50, 10, "pings over the link that is left")
    assert train.duplicates == 0
    assert train.lost <= 1  # the one whose answer was under way on that link
    assert guest_packets(guest, "wg0") - received >= len(train.replies)


def guest_packets(guest, interface):
    return int(guest.shell(f"cat /sys/class/net/{interface}/statistics/rx_packets").stdout)


def test_the_kernel_is_followed_when_it_roams(lab, guest):
    mixed = Mixed(lab, guest=guest)
    mixed.connect()
    cable = mixed.cables[0]

    guest.unaddress(cable)
    guest.ip(f"addr add 10.0.{cable.number}.77/24 dev {cable.name}")
    wait_for_ping(guest, CLIENT_IP)

    wait_until(lambda: mixed.daemon.path_to(f"10.0.{cable.number}.77"), 10, "the path follows")
    assert ping_lost(mixed.client, SERVER_IP) == 0


def test_the_kernel_follows_when_we_roam(lab, guest):
    check_roaming(Mixed(lab, guest=guest))
