# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Traffic through a tunnel, and what became of it."""
import dataclasses
import hashlib
import json
import os
import re
import signal
import socket
import struct
import threading
import time

from lab import becomes_true, wait_until

PING_TIME = re.compile(r" time=([\d.]+) ms")
PING_REPLY = re.compile(r"^\[(\d+\.\d+)\] \d+ bytes from .*icmp_seq=(\d+)", re.MULTILINE)
IPERF_PORT = 5201
SO_RCVBUFFORCE = 33  # Python has no name for it


def answers_ping(node, address):
    return node.run("ping", "-n", "-c", 1, "-W", 1, address, check=False).returncode == 0


def wait_for_ping(node, address, seconds=10):
    wait_until(lambda: answers_ping(node, address), seconds, f"{node.name} reaches {address}")


def ping_lost(node, address, count=20, *options):
    """How many of `count` pings, 10 ms apart, got no answer within two seconds.

    Without ping's own count: after its last one it waits for two round-trip times only.
    """
    process = node.spawn("ping", "-n", "-D", "-i", "0.01", *options, address)
    wanted = set(range(1, count + 1))

    def missing():
        return wanted - {int(n) for _, n in PING_REPLY.findall(process.output())}

    becomes_true(lambda: not missing(), count * 0.01 + 2)
    process.kill()
    return len(missing())


class PingTrain:
    """Pings all the while that its block runs; then tells what was lost and for how long."""

    def __init__(self, node, address, interval=0.02):
        self.interval = interval
        self.process = node.spawn("ping", "-n", "-D", "-i", interval, address)
        self.replies = []

    def __enter__(self):
        wait_until(self.read, 10, "first answer of the ping train")
        return self

    def __exit__(self, *_):
        self.process.stop(signal.SIGINT)
        self.read()

    def read(self):
        self.replies = [(float(at), int(n)) for at, n in PING_REPLY.findall(self.process.output())]
        return self.replies

    @property
    def times_ms(self):
        return [float(ms) for ms in PING_TIME.findall(self.process.output())]

    @property
    def missing(self):
        """The numbers of those without an answer among those sent before the last answered one."""
        return sorted(set(range(1, self.replies[-1][1])) - {n for _, n in self.replies})

    @property
    def lost(self):
        return len(self.missing)

    @property
    def duplicates(self):
        return len(self.replies) - len({n for _, n in self.replies})

    @property
    def longest_gap(self):
        """Seconds between two answers."""
        times = [at for at, _ in self.replies]
        return max((b - a for a, b in zip(times, times[1:])), default=0.0)


def begin_iperf(client, server, address, seconds, *options):
    """Has iperf3 send through the tunnel: the processes of sender and listener."""
    listener = server.spawn("iperf3", "--server", "--one-off", "--bind", address, "--port", IPERF_PORT)
    wait_until(lambda: is_listening(server, IPERF_PORT), 5, "iperf3 listens")
    return client.spawn("iperf3", "--client", address, "--port", IPERF_PORT, "--time", seconds,
                        "--connect-timeout", 5000, *options), listener


def iperf(client, server, address, seconds=3, *options):
    """Runs iperf3 through the tunnel; its JSON answer."""
    sender, listener = begin_iperf(client, server, address, seconds, "--json", *options)
    try:
        sender.wait(seconds + 20)
    finally:
        listener.kill()
    answer = json.loads(sender.output())
    assert "error" not in answer, f"iperf3: {answer['error']}"
    return answer


def tcp_mbps(client, server, address, seconds=3, *options):
    """What one TCP flow delivered, its first second left out."""
    answer = iperf(client, server, address, seconds, "--omit", 1, *options)
    return answer["end"]["sum_received"]["bits_per_second"] / 1e6


def is_listening(node, port):
    return node.run("ss", "-Hltn", f"sport = :{port}").stdout.strip() != ""


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def transfer(source, target, address, n_bytes=4 << 20, write_bytes=65536):
    """Sends random bytes by TCP; fails unless the very same ones arrive."""
    listener = target.socket(family_of(address), socket.SOCK_STREAM)
    listener.bind((address, 0))
    listener.listen(1)
    received = hashlib.sha256()

    def receive():
        connection, _ = listener.accept()
        connection.settimeout(20)
        with connection:
            while chunk := connection.recv(1 << 18):
                received.update(chunk)
            connection.sendall(b"done")

    receiver = threading.Thread(target=receive, daemon=True)
    receiver.start()
    data = os.urandom(n_bytes)
    sender = source.socket(family_of(address), socket.SOCK_STREAM, timeout=20)
    sender.connect(listener.getsockname()[:2])
    for at in range(0, n_bytes, write_bytes):
        sender.sendall(data[at:at + write_bytes])
    sender.shutdown(socket.SHUT_WR)
    assert sender.recv(4) == b"done"
    receiver.join(20)
    assert received.digest() == hashlib.sha256(data).digest(), "what arrived is not what was sent"


@dataclasses.dataclass
class UdpOutcome:
    lost: int
    duplicates: int
    late: int  # arrived after one sent later


def udp_probe(source, target, address, count=500, size=200, interval=0.002, dscp=0):
    """Sends numbered datagrams at a steady pace, so marked (IPv4), and looks at what arrives."""
    listener = target.socket(family_of(address), socket.SOCK_DGRAM, timeout=1)
    # Room for all of it: what is lost is to be lost by the tunnel.
    listener.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    listener.bind((address, 0))
    sender = source.socket(family_of(address), socket.SOCK_DGRAM)
    if dscp:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
    sender.connect(listener.getsockname()[:2])
    arrived = []

    def receive():
        try:
            while len(arrived) < 2 * count:
                arrived.append(struct.unpack_from("!I", listener.recv(65536))[0])
        except TimeoutError:
            pass

    receiver = threading.Thread(target=receive, daemon=True)
    receiver.start()
    start = time.monotonic()
    for number in range(count):
        sender.send(struct.pack("!I", number).ljust(size, b"\0"))
        time.sleep(max(0.0, start + (number + 1) * interval - time.monotonic()))
    receiver.join(count * interval + 5)
    late = sum(b < a for a, b in zip(arrived, arrived[1:]))
    return UdpOutcome(count - len(set(arrived)), len(arrived) - len(set(arrived)), late)
