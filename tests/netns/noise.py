# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""WireGuard's cryptography from the paper (sections 5.4.1 to 5.4.7), written for the tests alone.

It shares nothing with src/, so that an error there cannot hide behind the same error here.
"""
import hashlib
import hmac
import os
import struct
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

import secret

INITIATION, RESPONSE, COOKIE_REPLY, DATA = 1, 2, 3, 4
LENGTHS = {INITIATION: 148, RESPONSE: 92, COOKIE_REPLY: 64}
MAC_BYTES = 16
NO_MAC = bytes(MAC_BYTES)
NO_PSK = bytes(32)

REJECT_AFTER_MESSAGES = 2**64 - 2**13 - 1
TAI64_EPOCH = 0x400000000000000a


def _hash(data):
    return hashlib.blake2s(data).digest()


CONSTRUCTION = _hash(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"


def _hmac(key, data):
    return hmac.new(key, data, hashlib.blake2s).digest()


def _kdf(n, key, data):
    secret = _hmac(key, data)
    outputs = [b""]
    for number in range(1, n + 1):
        outputs.append(_hmac(secret, outputs[-1] + bytes([number])))
    return outputs[1:]


def _nonce(counter):
    return struct.pack("<4xQ", counter)


def mac(key, data):
    return hashlib.blake2s(data, key=key, digest_size=MAC_BYTES).digest()


def tai64n(seconds=None):
    """The time stamp of an initiation, of now or any other time."""
    whole, fraction = divmod(time.time() if seconds is None else seconds, 1)
    return struct.pack(">QI", TAI64_EPOCH + int(whole), int(fraction * 1e9))


class KeyPair:
    def __init__(self, private=None):
        self.secret = X25519PrivateKey.from_private_bytes(private) if private else X25519PrivateKey.generate()
        self.public = self.secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        secret.know(self.private, "a private key")

    @property
    def private(self):
        return self.secret.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())

    def exchange(self, public):
        return self.secret.exchange(X25519PublicKey.from_public_bytes(public))


class _Transcript:
    """Chaining key and hash; mixes in what goes to and fro (C and H of the paper)."""

    def __init__(self, responder_public):
        self.chain = CONSTRUCTION
        self.hash = _hash(CONSTRUCTION + IDENTIFIER)
        self.mix_hash(responder_public)

    def mix_hash(self, data):
        self.hash = _hash(self.hash + data)

    def mix_key(self, data):
        """Returns the key for the next seal() or open()."""
        self.chain, key = _kdf(2, self.chain, data)
        return key

    def mix_ephemeral(self, public):
        self.mix_hash(public)
        self.chain, = _kdf(1, self.chain, public)

    def mix_psk(self, psk):
        self.chain, middle, key = _kdf(3, self.chain, psk)
        self.mix_hash(middle)
        return key

    def seal(self, key, text):
        sealed = ChaCha20Poly1305(key).encrypt(_nonce(0), text, self.hash)
        self.mix_hash(sealed)
        return sealed

    def open(self, key, sealed):
        text = ChaCha20Poly1305(key).decrypt(_nonce(0), sealed, self.hash)
        self.mix_hash(sealed)
        return text

    def session_keys(self):
        """(of the initiator's packets, of the responder's)"""
        return _kdf(2, self.chain, b"")


class Session:
    """The keys that a handshake gave, and a counter that its user may set to anything."""

    def __init__(self, send_key, receive_key, local_index, remote_index):
        secret.know(send_key, "a session key")
        secret.know(receive_key, "a session key")
        self.send_key, self.receive_key = ChaCha20Poly1305(send_key), ChaCha20Poly1305(receive_key)
        self.local_index, self.remote_index = local_index, remote_index
        self.counter = 0

    def seal(self, text, counter=None):
        """A transport message; with the next counter unless told which."""
        if counter is None:
            counter, self.counter = self.counter, self.counter + 1
        head = struct.pack("<IIQ", DATA, self.remote_index, counter)
        return head + self.send_key.encrypt(_nonce(counter), text, b"")

    def open(self, message):
        """(counter, text) of a transport message; InvalidTag if it is none of this session."""
        _, index, counter = struct.unpack_from("<IIQ", message)
        if index != self.local_index:
            raise InvalidTag
        return counter, self.receive_key.decrypt(_nonce(counter), message[16:], b"")


class Initiation:
    """Ours to a peer: the message (both macs left to the caller) and what its response is opened with."""

    def __init__(self, identity, remote_public, psk=NO_PSK, timestamp=None):
        self.identity, self.psk = identity, psk
        self.index = struct.unpack("<I", os.urandom(4))[0]
        self.ephemeral = KeyPair()
        transcript = self.transcript = _Transcript(remote_public)
        transcript.mix_ephemeral(self.ephemeral.public)
        key = transcript.mix_key(self.ephemeral.exchange(remote_public))
        static = transcript.seal(key, identity.public)
        key = transcript.mix_key(identity.exchange(remote_public))
        stamp = transcript.seal(key, timestamp or tai64n())
        self.body = struct.pack("<II", INITIATION, self.index) + self.ephemeral.public + static + stamp

    def open_response(self, message):
        """The session; InvalidTag if the response is not to this initiation."""
        _, remote_index, index = struct.unpack_from("<III", message)
        ephemeral, empty = message[12:44], message[44:60]
        if index != self.index:
            raise InvalidTag
        transcript = self.transcript
        transcript.mix_ephemeral(ephemeral)
        transcript.mix_key(self.ephemeral.exchange(ephemeral))
        transcript.mix_key(self.identity.exchange(ephemeral))
        transcript.open(transcript.mix_psk(self.psk), empty)
        send, receive = transcript.session_keys()
        return Session(send, receive, self.index, remote_index)


class ReceivedInitiation:
    """A peer's to us: who sent it, with what time stamp; and our response to it."""

    def __init__(self, identity, message):
        _, self.remote_index = struct.unpack_from("<II", message)
        self.ephemeral = message[8:40]
        transcript = self.transcript = _Transcript(identity.public)
        transcript.mix_ephemeral(self.ephemeral)
        key = transcript.mix_key(identity.exchange(self.ephemeral))
        self.remote_public = transcript.open(key, message[40:88])
        key = transcript.mix_key(identity.exchange(self.remote_public))
        self.timestamp = transcript.open(key, message[88:116])

    def respond(self, psk=NO_PSK):
        """(the response without macs, the session)"""
        index = struct.unpack("<I", os.urandom(4))[0]
        ephemeral = KeyPair()
        transcript = self.transcript
        transcript.mix_ephemeral(ephemeral.public)
        transcript.mix_key(ephemeral.exchange(self.ephemeral))
        transcript.mix_key(ephemeral.exchange(self.remote_public))
        empty = transcript.seal(transcript.mix_psk(psk), b"")
        body = struct.pack("<III", RESPONSE, index, self.remote_index) + ephemeral.public + empty
        receive, send = transcript.session_keys()
        return body, Session(send, receive, index, self.remote_index)


def mac1(receiver_public, body):
    return mac(_hash(b"mac1----" + receiver_public), body)


def with_macs(body, receiver_public, cookie=None):
    """A handshake message as it is sent; with mac2 if there is a cookie."""
    message = body + mac1(receiver_public, body)
    return message + (mac(cookie, message) if cookie else NO_MAC)


def _rotate(value, bits):
    return (value << bits | value >> 32 - bits) & 0xffffffff


def _quarter_round(state, a, b, c, d):
    for first, second, third, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[first] = (state[first] + state[second]) & 0xffffffff
        state[third] = _rotate(state[third] ^ state[first], bits)


def _hchacha20(key, nonce):
    state = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))
    for _ in range(10):
        for column in range(4):
            _quarter_round(state, column, column + 4, column + 8, column + 12)
        for column in range(4):
            _quarter_round(state, column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4)
    return struct.pack("<8I", *state[:4], *state[12:])


def _xaead(key, nonce):
    return ChaCha20Poly1305(_hchacha20(key, nonce[:16])), bytes(4) + nonce[16:]


def _cookie_key(sender_public):
    return _hash(b"cookie--" + sender_public)


def open_cookie_reply(reply, sender_public, mac1_of_ours):
    """The cookie in it. The public key is of who sends the reply."""
    cipher, nonce = _xaead(_cookie_key(sender_public), reply[8:32])
    return cipher.decrypt(nonce, reply[32:64], mac1_of_ours)


def cookie_reply(cookie, message, own_public):
    """Our reply to a handshake message that is to come again with this cookie."""
    nonce = os.urandom(24)
    cipher, short_nonce = _xaead(_cookie_key(own_public), nonce)
    mac1_of_theirs = message[-2 * MAC_BYTES:-MAC_BYTES]
    return struct.pack("<I", COOKIE_REPLY) + message[4:8] + nonce + cipher.encrypt(short_nonce, cookie, mac1_of_theirs)
