# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""The WAN emulator, measured from outside.

    left 10.0.1.1 ---- [ wan ] ---- 10.0.1.2 right
"""
import json
import re
import signal
import socket
import statistics
import struct
import threading

import pytest

from lab import wait_until
from traffic import PingTrain, answers_ping, ping_lost, transfer, udp_probe, wait_for_ping
from wan import Wan

SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33
HEADERS = 28  # IPv4 and UDP


@pytest.fixture
def wire(lab):
    """wire("rate=10mbit", ...): a Wan between two new nodes, its neighbours known."""
    def make(*arguments, **options):
        wan = Wan(lab.node("left"), lab.node("right"), "wan1", *arguments, **options)
        wan.left, wan.right = wan.ends
        wan.there, wan.there6 = wan.v4(wan.right), wan.v6(wan.right)
        return wan
    return make


def arrival_times(wan, count, payload):
    """Sends `count` datagrams at once; the kernel's time stamps of those that arrive, in seconds."""
    listener = wan.right.socket(socket.AF_INET, socket.SOCK_DGRAM, timeout=2)
    listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    listener.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    listener.bind((wan.there, 0))
    sender = wan.left.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect(listener.getsockname()[:2])
    times = []

    def receive():
        while len(times) < count:
            try:
                _, ancillary, _, _ = listener.recvmsg(2048, 128)
            except TimeoutError:
                return
            seconds, nanoseconds = struct.unpack("@qq", ancillary[0][2])
            times.append(seconds + nanoseconds / 1e9)

    receiver = threading.Thread(target=receive, daemon=True)
    receiver.start()
    for _ in range(count):
        sender.send(bytes(payload))
    receiver.join(60)
    return times


def round_trips(node, address, count=50, interval=0.02):
    """Milliseconds."""
    done = node.run("ping", "-n", "-c", count, "-i", interval, address)
    return [float(ms) for ms in re.findall(r"time=([\d.]+) ms", done.stdout)]


# No faster than this sender is: the queue must not run empty.
@pytest.mark.parametrize("mbit, payload", [(2, 100), (8, 100), (2, 1472), (30, 1472), (150, 1472)])
def test_rate_is_within_two_percent(wire, mbit, payload):
    wan = wire(f"up.rate={mbit}mbit queue=none")
    wait_for_ping(wan.left, wan.there)
    bits = (payload + HEADERS) * 8
    count = min(4000, int(mbit * 1e6 / bits))  # a second's worth, at most

    times = arrival_times(wan, count, payload)

    assert len(times) == count
    rate = (count - 1) * bits / (times[-1] - times[0])
    assert rate == pytest.approx(mbit * 1e6, rel=0.02)


def test_queue_holds_what_it_is_given(wire):
    wan = wire("up.rate=10mbit queue=30000b")
    wait_for_ping(wan.left, wan.there)

    times = arrival_times(wan, 100, 1472)

    # 20 packets of 1500 bytes wait behind the one being served, and some are served meanwhile.
    assert 21 <= len(times) <= 40
    assert wan.stats()["up"]["queue_drops"] == 100 - len(times)


@pytest.mark.parametrize("up, down", [(0, 0), (10, 10), (1, 40), (300, 300)])
def test_delay_is_within_a_millisecond(wire, up, down):
    wan = wire(f"up.delay={up}ms down.delay={down}ms")
    wait_for_ping(wan.left, wan.there)
    wait_for_ping(wan.left, wan.there6)

    for address in (wan.there, wan.there6):
        trips = round_trips(wan.left, address)
        assert min(trips) >= up + down
        assert statistics.median(trips) <= up + down + 1


def test_jitter_is_spread_over_its_range_without_reordering(wire):
    wan = wire("up.delay=5ms up.jitter=10ms")
    wait_for_ping(wan.left, wan.there)

    trips = round_trips(wan.left, wan.there, 100, 0.015)

    assert 5 <= min(trips) < 8
    assert 12 < max(trips)
    assert udp_probe(wan.left, wan.right, wan.there).late == 0


def test_reordering_is_of_the_share_asked_for(wire):
    wan = wire("up.reorder=10% up.reorder_by=8ms")
    wait_for_ping(wan.left, wan.there)

    outcome = udp_probe(wan.left, wan.right, wan.there, count=1000)

    assert outcome.lost == 0
    assert 60 <= outcome.late <= 140


@pytest.mark.parametrize("settings, share", [
    ("up.loss=10%", 0.1),
    ("up.burst_enter=2% up.burst_leave=20%", 0.0909),
])
def test_loss_is_of_the_share_asked_for(wire, settings, share):
    wan = wire()
    wait_for_ping(wan.left, wan.there)
    wan.set(settings)

    outcome = udp_probe(wan.left, wan.right, wan.there, count=4000, interval=0.0005)

    up = wan.stats()["up"]
    assert outcome.lost == up["lost"] + up["lost_in_bursts"]
    assert outcome.lost / 4000 == pytest.approx(share, rel=0.35)
    assert outcome.duplicates == 0


def test_duplicates_and_corruption_are_counted(wire):
    wan = wire()
    wait_for_ping(wan.left, wan.there)
    wan.set("up.duplicate=10%")
    outcome = udp_probe(wan.left, wan.right, wan.there, count=1000)
    assert outcome.duplicates == wan.stats()["up"]["duplicated"] > 50

    wan.set("up.duplicate=0% up.corrupt=10%")
    outcome = udp_probe(wan.left, wan.right, wan.there, count=1000)
    assert outcome.lost == wan.stats()["up"]["corrupted"] > 50, "no checksum hides the damage"


def test_tcp_arrives_intact_whatever_the_wire_does(wire):
    wan = wire("rate=200mbit delay=1ms jitter=1ms loss=0.1% corrupt=0.2% duplicate=0.5% reorder=0.5% reorder_by=1ms")
    wait_for_ping(wan.left, wan.there)

    for address in (wan.there, wan.there6):
        transfer(wan.left, wan.right, address, n_bytes=2 << 20)

    assert wan.stats()["up"]["corrupted"] > 0
    assert wan.stats()["up"]["malformed"] == 0


def test_packets_too_big_are_answered_with_icmp(wire):
    wan = wire("mtu=1300")
    wait_for_ping(wan.left, wan.there)
    wait_for_ping(wan.left, wan.there6)

    def answer(address):
        return wan.left.run("ping", "-n", "-c", 1, "-W", 1, "-M", "do", "-s", 1400, address, check=False).stdout

    assert "mtu = 1300" in answer(wan.there)
    assert "mtu=1300" in answer(wan.there6)
    assert "mtu 1300" in wan.left.ip(f"-o route get {wan.there}").stdout, "the sender believes it"
    assert wan.stats()["up"]["icmp_sent"] == 2
    transfer(wan.left, wan.right, wan.there, n_bytes=1 << 20)


def three_answered(wan, *options):
    """How many of exactly three pings are answered: what is counted must be known to the packet."""
    done = wan.left.run("ping", "-n", "-c", 3, "-i", 0.1, "-W", 1, *options, wan.there, check=False)
    return done.stdout.count("bytes from")


def test_packets_too_big_vanish_if_there_is_to_be_no_icmp(wire):
    wan = wire("mtu=1300 mtu_icmp=no")
    wait_for_ping(wan.left, wan.there)

    assert three_answered(wan, "-M", "do", "-s", 1400) == 0
    assert three_answered(wan, "-M", "do", "-s", 1272) == 3
    up = wan.stats()["up"]
    assert (up["mtu_drops"], up["icmp_sent"]) == (3, 0)


def test_packets_too_big_without_df_are_fragmented(wire):
    wan = wire("mtu=1300")
    wait_for_ping(wan.left, wan.there)

    assert three_answered(wan, "-M", "dont", "-s", 1400) == 3
    assert wan.stats()["up"]["fragments"] == 6


def test_blackout_is_silent_and_ends(wire):
    wan = wire()
    wait_for_ping(wan.left, wan.there)

    wan.cut_silently()

    done = wan.left.run("ping", "-n", "-c", 5, "-i", "0.05", "-W", 1, wan.there, check=False)
    assert "5 packets transmitted, 0 received" in done.stdout
    assert "rrors" not in done.stdout
    wan.mend()
    assert ping_lost(wan.left, wan.there) == 0
    assert wan.stats()["up"]["blackout_drops"] == 5


@pytest.mark.parametrize("family", ["4", "6"])
def test_neighbours_find_each_other_in_a_blackout(wire, family):
    wan = wire("blackout=yes delay=10s loss=100%")
    address = wan.there if family == "4" else wan.there6

    assert not answers_ping(wan.left, address)

    assert "lladdr" in wan.left.ip(f"-{family} neigh show {address}").stdout


def test_schedule_is_followed(wire):
    wan = wire(schedule=["500ms blackout=yes", "1500ms blackout=no", "repeat 30s"])
    wait_until(lambda: answers_ping(wan.left, wan.there), 10, "the wire is up again")

    with PingTrain(wan.left, wan.there) as train:
        wan.restart_schedule()
        wait_until(lambda: train.read() and train.longest_gap > 0.5, 10, "the blackout is over")

    assert train.longest_gap == pytest.approx(1.0, abs=0.1)


def test_rate_change_counts_at_once(wire):
    wan = wire("up.rate=100mbit queue=none")
    wait_for_ping(wan.left, wan.there)
    wan.set("up.rate=10mbit")

    times = arrival_times(wan, 400, 1472)

    assert 399 * 12000 / (times[-1] - times[0]) == pytest.approx(10e6, rel=0.02)


def test_wrong_commands_are_refused(wire):
    wan = wire("delay=1ms")

    assert "lag=3ms" in wan.ask("delay=2ms lag=3ms")
    wait_for_ping(wan.left, wan.there)
    assert min(round_trips(wan.left, wan.there, 5)) < 4, "nothing of the line was taken"


def test_sigterm_ends_it_with_a_report(wire):
    wan = wire()
    wait_for_ping(wan.left, wan.there)

    assert wan.process.stop(signal.SIGTERM) == 0

    report = json.loads(wan.process.output())
    assert report["up"]["packets_in"] >= 1
    assert not wan.control.exists()


@pytest.mark.parametrize("end", [0, 1])
def test_it_ends_when_an_interface_vanishes(wire, end):
    wan = wire("delay=100ms")

    wan.ends[end].ip(f"link del {wan.name}")

    assert wan.process.wait() == 0
    assert f"end{end} has vanished" in wan.process.output()


def test_interface_that_is_down_for_a_while_does_not_end_it(wire):
    wan = wire()
    wait_for_ping(wan.left, wan.there)

    wan.wire.ip("link set end0 down")
    assert not answers_ping(wan.left, wan.there)
    wan.wire.ip("link set end0 up")

    wait_for_ping(wan.left, wan.there)
