# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""What WireGuard's paper asks of a peer, seen from outside by one made by hand; drawn in prober.py.

What takes minutes is in test_slow.py.
"""
import os
import socket
import threading
import time

import pytest
from cryptography.exceptions import InvalidTag

import noise
from hostile import forged_initiation
from lab import wait_until
from prober import Probed, inner_packet, is_packet, payload_of

MTU = 1420
WINDOW = 131008  # docs/design/replay-window.md
PSK = bytes(range(32))


# Handshakes

@pytest.mark.parametrize("psk", [None, PSK], ids=["no_psk", "psk"])
def test_it_answers_a_handshake(lab, psk):
    probed = Probed(lab, psk=psk)

    session = probed.prober.initiate()

    assert probed.delivers(session)
    assert probed.sends_in(session)


@pytest.mark.parametrize("psk", [None, PSK], ids=["no_psk", "psk"])
def test_it_begins_a_handshake(lab, psk):
    probed = Probed(lab, has_endpoint=True, psk=psk)

    opened, _ = probed.prober.expect_initiation()
    session = probed.prober.respond(opened)

    assert probed.delivers(session)
    assert probed.sends_in(session)


def test_a_stranger_and_a_wrong_preshared_key_get_no_answer_that_opens(lab):
    probed = Probed(lab, psk=PSK)
    prober = probed.prober
    stranger = noise.Initiation(noise.KeyPair(), prober.daemon_public, PSK)
    prober.send(prober.seal_macs(stranger.body))
    wait_until(lambda: probed.daemon.dropped("rx_handshake_rejected") == 1, 10, "the stranger is refused")
    assert not prober.waiting

    # The response does not depend on the initiator's knowledge of the key, but it cannot open it.
    prober.psk = bytes(32)
    made, message = prober.initiation()
    prober.send(message)
    answer = prober.expect(noise.RESPONSE)
    with pytest.raises(InvalidTag):
        made.open_response(answer.message)


def test_old_time_stamps_are_refused(lab):
    probed = Probed(lab)
    prober = probed.prober
    now = time.time()
    prober.initiate(noise.tai64n(now))

    for refused, seconds in enumerate((now - 3600, now - 0.001, now), 1):
        prober.send(prober.initiation(noise.tai64n(seconds))[1])
        wait_until(lambda: probed.daemon.dropped("rx_handshake_rejected") == refused, 10, "it is refused")
    assert noise.RESPONSE not in prober.kinds()
    assert probed.delivers(prober.initiate(noise.tai64n(now + 0.001)))


def test_a_replayed_initiation_is_refused(lab):
    probed = Probed(lab)
    prober = probed.prober
    made, message = prober.initiation()
    prober.send(message)
    session = prober.take_response(made)

    prober.send(message)
    wait_until(lambda: probed.daemon.dropped("rx_handshake_rejected") == 1, 10, "it is refused")

    assert noise.RESPONSE not in prober.kinds()
    assert probed.delivers(session)


def test_a_volley_of_initiations_is_answered_at_a_limited_pace(lab):
    probed = Probed(lab)
    prober = probed.prober
    now = time.time()
    volley = [prober.initiation(noise.tai64n(now + n / 1000))[1] for n in range(20)]

    for message in volley:
        prober.send(message)

    answered = []

    def has_judged_all():
        answered.extend(prober.listen(0.05))
        return len(answered) + probed.daemon.dropped("rx_handshake_rejected") == len(volley)
    wait_until(has_judged_all, 10, "all are answered or refused")
    assert 1 <= len(answered) < len(volley) / 2


@pytest.mark.parametrize("is_greater", [False, True], ids=["lesser_key", "greater_key"])
def test_initiations_that_cross_leave_a_session_both_ways(lab, is_greater):
    pair = sorted((noise.KeyPair(), noise.KeyPair()), key=lambda keys: keys.public)
    probed = Probed(lab, has_endpoint=True, keys=pair[is_greater], identity=pair[not is_greater])
    prober = probed.prober
    opened, _ = prober.expect_initiation()

    made, message = prober.initiation()
    prober.send(message)
    answered = prober.respond(opened)
    begun = prober.take_response(made)

    # As a stock peer that keeps both: it sends in the one that it began, and takes packets in either.
    assert probed.delivers(begun)
    assert probed.delivers(answered)
    assert probed.delivers(begun)
    payload = b"after the crossing"
    probed.send_inner(payload)
    wait_until(lambda: payload in payloads(prober, (answered, begun)), 10, "data in one of the two sessions")


def payloads(prober, sessions):
    texts = [prober.open(arrived, sessions)[2] for arrived in prober.listen(0.05) if arrived.kind == noise.DATA]
    return [payload_of(text) for text in texts if is_packet(text)]


def test_an_answer_that_comes_after_the_peers_own_session_does_no_harm(lab):
    probed = Probed(lab, has_endpoint=True)
    prober = probed.prober
    opened, _ = prober.expect_initiation()
    session = prober.initiate()
    assert probed.delivers(session)
    probed.wait_handshakes(1)

    prober.send(prober.seal_macs(opened.respond()[0]))

    wait_until(lambda: probed.daemon.dropped("rx_handshake_rejected") == 1, 10, "it is not wanted any more")
    assert probed.delivers(session)
    assert probed.sends_in(session)


# Sessions

def test_a_responder_does_not_send_before_it_has_received_in_the_session(lab):
    probed = Probed(lab)
    prober = probed.prober
    session = prober.initiate(confirm=False)
    probed.send_inner(b"early")

    assert noise.DATA not in [arrived.kind for arrived in prober.listen(1)]
    prober.send(session.seal(b""))
    prober.expect_payload(session, b"early")


def test_until_the_next_session_is_confirmed_the_current_one_is_used(lab):
    probed = Probed(lab)
    old = probed.prober.initiate()
    assert probed.sends_in(old)
    new = probed.prober.initiate(confirm=False)

    assert probed.sends_in(old)
    assert probed.delivers(old)
    assert probed.delivers(new), "which confirms it"
    probed.wait_handshakes(2)
    assert probed.sends_in(new)


def test_packets_in_flight_during_a_rekey_are_delivered(lab):
    probed = Probed(lab)
    prober = probed.prober
    old = prober.initiate()
    assert probed.delivers(old)
    in_flight = [(payload, old.seal(inner_packet(payload))) for payload in (b"one", b"two", b"three")]
    new = prober.initiate()
    assert probed.delivers(new)

    for payload, message in in_flight:
        prober.send(message)
        assert probed.has_delivered(payload, 10)
    assert probed.delivers(new)


def test_of_four_sessions_the_first_is_gone(lab):
    probed = Probed(lab)
    prober = probed.prober
    previous, current = prober.initiate(), prober.initiate()
    assert probed.delivers(current)
    assert probed.delivers(previous), "the previous one receives"

    following = prober.initiate(confirm=False)
    assert probed.delivers(current)
    assert probed.refuses("rx_unknown_index", previous), "a response makes room by the previous one"
    assert probed.delivers(following)
    assert probed.delivers(current), "now the previous one"

    latest = prober.initiate()
    assert probed.delivers(latest)
    probed.wait_handshakes(4)
    assert probed.refuses("rx_unknown_index", current)
    assert probed.delivers(following)


def test_a_session_that_the_initiator_made_keeps_the_one_before(lab):
    probed = Probed(lab, has_endpoint=True)
    prober = probed.prober
    opened, _ = prober.expect_initiation()
    first = prober.respond(opened)
    assert probed.delivers(first)
    second = prober.initiate()

    assert probed.delivers(second)
    assert probed.delivers(first)
    probed.wait_handshakes(2)
    assert probed.sends_in(second)


# Counters

def test_the_replay_window_ends_where_it_should(lab):
    probed = Probed(lab)
    session = probed.prober.initiate(confirm=False)
    newest = 200000
    assert probed.delivers(session, newest)

    edge = newest - WINDOW
    assert probed.delivers(session, edge + 1)
    assert probed.refuses("rx_replay", session, edge)
    assert probed.refuses("rx_replay", session, 0)
    # One step on, the edge moves with it.
    assert probed.delivers(session, newest + 1)
    assert probed.refuses("rx_replay", session, edge + 1)
    assert probed.delivers(session, edge + 2)


def test_no_counter_is_delivered_twice(lab):
    probed = Probed(lab)
    prober = probed.prober
    session = prober.initiate(confirm=False)
    # The boundaries of a window's words, in an order that jumps.
    counters = [0, 64, 63, 65, 1, 129, 127, 128, 8192, 8128, 70000, 69999, 2]
    messages = [(f"counter {n}".encode(), n) for n in counters]
    sealed = [(payload, session.seal(inner_packet(payload), n)) for payload, n in messages]
    for payload, message in sealed:
        prober.send(message)
        assert probed.has_delivered(payload, 10), payload
    before = probed.daemon.dropped("rx_duplicate") + probed.daemon.dropped("rx_replay")

    for _, message in sealed:
        prober.send(message)

    wait_until(lambda: probed.daemon.dropped("rx_duplicate") + probed.daemon.dropped("rx_replay")
               == before + len(sealed), 10, "every replay is counted")
    assert not probed.has_delivered(b"anything", 0.2)


def test_what_comes_in_reverse_order_is_all_delivered(lab):
    probed = Probed(lab)
    prober = probed.prober
    session = prober.initiate(confirm=False)
    expected = set()
    for n in reversed(range(100)):
        payload = f"reverse {n}".encode()
        expected.add(payload)
        prober.send(session.seal(inner_packet(payload), n))

    probed.inner.settimeout(10)
    while expected:
        expected.remove(probed.inner.recv(100))


def test_the_last_counters_are_refused(lab):
    probed = Probed(lab)
    session = probed.prober.initiate(confirm=False)

    assert probed.delivers(session, 5)
    for refused in (noise.REJECT_AFTER_MESSAGES, noise.REJECT_AFTER_MESSAGES + 1, 2**64 - 1):
        assert probed.refuses("rx_bad_tag", session, refused)
    assert probed.delivers(session, 6), "what was refused has not moved the window"
    assert probed.delivers(session, noise.REJECT_AFTER_MESSAGES - 1)
    assert probed.refuses("rx_replay", session, 7)


def test_a_forged_packet_does_not_move_the_window(lab):
    probed = Probed(lab)
    prober = probed.prober
    session = prober.initiate()
    message = bytearray(session.seal(inner_packet(b"forged"), 10**9))
    message[-1] ^= 1

    prober.send(bytes(message))

    wait_until(lambda: probed.daemon.dropped("rx_bad_tag") == 1, 10, "it is refused")
    assert probed.delivers(session)


def test_what_it_sends_has_counters_without_a_gap_or_repetition(lab):
    probed = Probed(lab)
    prober = probed.prober
    session = prober.initiate()
    probed.sends_in(session)
    for n in range(200):
        probed.send_inner(f"{n}".encode())

    seen = []

    def has_come():
        seen.extend(session.open(arrived.message)[0] for arrived in prober.listen(0.05)
                    if arrived.kind == noise.DATA)
        return len(seen) >= 200
    wait_until(has_come, 10, "200 packets")
    assert sorted(seen) == list(range(seen[0], seen[0] + len(seen)))


# Sizes

@pytest.mark.parametrize("length", [28, 29, 44, 60, MTU - 17, MTU - 1, MTU])
def test_packets_are_padded_to_16_bytes_but_not_beyond_the_mtu(lab, length):
    probed = Probed(lab)
    session = probed.prober.initiate()
    payload = os.urandom(length - 28)
    probed.send_inner(payload)

    text = probed.prober.expect_text(session, lambda text: is_packet(text) and payload_of(text) == payload)

    assert len(text) == min((length + 15) // 16 * 16, MTU)
    assert not any(text[length:]), "the padding is zero"


@pytest.mark.parametrize("padding", [0, 1, 15, 16, 1000])
def test_any_padding_is_taken(lab, padding):
    probed = Probed(lab)
    session = probed.prober.initiate()

    probed.prober.send(session.seal(inner_packet(b"padded") + bytes(padding)))

    assert probed.has_delivered(b"padded", 10)


def test_a_full_packet_is_delivered_without_padding(lab):
    probed = Probed(lab)
    session = probed.prober.initiate()
    payload = os.urandom(MTU - 28)

    probed.prober.send(session.seal(inner_packet(payload)))

    assert probed.has_delivered(payload, 10)


def test_an_inner_source_that_is_not_allowed_is_refused(lab):
    probed = Probed(lab, **{"allowed_ips": "10.10.0.1/32"})
    session = probed.prober.initiate()
    before = probed.daemon.dropped("rx_source_not_allowed")

    probed.prober.send(session.seal(inner_packet(b"forged", source="10.99.0.1")))

    wait_until(lambda: probed.daemon.dropped("rx_source_not_allowed") == before + 1, 10, "it is refused")
    assert probed.delivers(session)


# Cookies

class Flood:
    """Initiations that anybody can make, as fast as they go, for as long as its block runs."""

    def __init__(self, probed):
        self.socket = probed.far_end.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(probed.prober.target)
        self.messages = [forged_initiation(probed.keys.public) for _ in range(256)]
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.is_over.is_set():
            for message in self.messages:
                self.socket.send(message)
            self.is_over.wait(0.01)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()


def test_under_load_a_valid_mac2_is_let_in(lab):
    probed = Probed(lab)
    prober = probed.prober
    with Flood(probed):
        made, cookie = wait_until(lambda: ask_for_cookie(prober), 20, "a cookie instead of a response")
        session = wait_until(lambda: try_with_cookie(prober, cookie), 20, "a response to an initiation with mac2")
    assert probed.delivers(session)


def ask_for_cookie(prober):
    made, message = prober.initiation()
    prober.send(message)
    for arrived in prober.listen(0.3):
        if arrived.kind == noise.COOKIE_REPLY and arrived.receiver_index == made.index:
            assert len(arrived.message) == noise.LENGTHS[noise.COOKIE_REPLY]
            return made, noise.open_cookie_reply(arrived.message, prober.daemon_public, message[-32:-16])
    return None


def try_with_cookie(prober, cookie):
    made, _ = prober.initiation()
    prober.send(prober.seal_macs(made.body, cookie))
    for arrived in prober.listen(0.3):
        if arrived.kind == noise.RESPONSE and arrived.receiver_index == made.index:
            session = made.open_response(arrived.message)
            prober.send(session.seal(b""))
            return session
    return None


def test_a_cookie_that_it_gets_makes_the_next_mac2(lab):
    probed = Probed(lab, has_endpoint=True)
    prober = probed.prober
    _, first = prober.expect_initiation()
    cookie = os.urandom(16)

    forged = first.message[:-1 - noise.MAC_BYTES] + bytes([first.message[-1 - noise.MAC_BYTES] ^ 1]) + noise.NO_MAC
    prober.send(noise.cookie_reply(os.urandom(16), forged, prober.identity.public))
    prober.send(noise.cookie_reply(cookie, first.message, prober.identity.public))
    second = prober.expect(noise.INITIATION, 15)

    prober.check_macs(second.message, cookie)
    session = prober.respond(noise.ReceivedInitiation(prober.identity, second.message))
    assert probed.delivers(session)


# Keepalives

def test_persistent_keepalives_come_at_their_pace(lab):
    probed = Probed(lab, persistent_keepalive=1)
    prober = probed.prober
    session = prober.initiate()

    times = [prober.expect(noise.DATA) for _ in range(4)]

    assert [session.open(arrived.message)[1] for arrived in times] == [b""] * 4
    gaps = [b.at - a.at for a, b in zip(times, times[1:])]
    assert all(0.9 < gap < 3 for gap in gaps), gaps


def test_it_roams_with_authentic_packets_only(lab):
    probed = Probed(lab)
    prober = probed.prober
    session = prober.initiate()
    assert probed.sends_in(session)
    elsewhere = probed.far_end.socket(socket.AF_INET, socket.SOCK_DGRAM)
    forged = bytearray(session.seal(inner_packet(b"forged"), 1000))
    forged[-1] ^= 1
    elsewhere.sendto(bytes(forged), prober.target)
    wait_until(lambda: probed.daemon.dropped("rx_bad_tag") == 1, 10, "it is refused")
    assert probed.sends_in(session)

    elsewhere.sendto(session.seal(b""), prober.target)

    prober.socket = elsewhere
    wait_until(lambda: tries_in(probed, session), 10, "it sends to where the last authentic packet came from")


def tries_in(probed, session):
    try:
        return probed.sends_in(session, 0.2)
    except AssertionError:
        return None


def add_address(probed):
    """One more address of the daemon's host, at the end of the same cable; with the port."""
    probed.node.ip(f"addr add 10.0.{probed.cable.number}.99/24 dev {probed.cable.name}")
    return (f"10.0.{probed.cable.number}.99", probed.prober.target[1])


def test_it_answers_from_the_address_that_it_was_asked_at_last(lab):
    probed = Probed(lab)
    prober = probed.prober
    first, second = prober.target, add_address(probed)
    session = prober.initiate()

    for address in (first, second, first):
        prober.target = address
        assert probed.delivers(session)
        wait_until(lambda: probed.sends_from(session, address), 10, f"it answers from {address}")


def test_it_sends_on_when_the_address_that_it_was_asked_at_is_gone(lab):
    probed = Probed(lab)
    prober = probed.prober
    session = prober.initiate()
    assert probed.sends_from(session, prober.target)
    second = add_address(probed)

    probed.cable.unaddress(probed.node)
    assert add_address(probed) == second

    assert probed.sends_from(session, second), "the very next packet, and without harm to the path"
    assert probed.daemon.path("wan1")["state"] == "up"
