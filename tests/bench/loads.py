# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""What is done to a tunnel, and the figures that come out of it."""
import concurrent.futures
import math
import re
import signal
import statistics
import time

from bond import BUILD
from lab import wait_until
from traffic import iperf

from tunnels import machine_cpu_seconds

UDPFLOOD = BUILD / "tests" / "bench" / "udpflood"
UDP_PORT = 5202
HEADERS_LEN = 28  # IPv4 and UDP: the sizes of UDP packets are those of the IP packets
USO_SEGMENTS = 45
PACED_RATE = 30000
PING_INTERVAL = 0.005
PINGS_MIN = 30
IDLE_SECONDS_MIN = 10
PING_TIME = re.compile(r"time=([\d.]+) ms")


class Cpu:
    """CPU seconds within its block: of the tunnel's daemons, and of the whole machine."""

    def __init__(self, tunnel):
        self.tunnel = tunnel

    def __enter__(self):
        self.daemons, self.machine = self.tunnel.cpu_seconds(), machine_cpu_seconds()
        return self

    def __exit__(self, *_):
        self.daemons = self.tunnel.cpu_seconds() - self.daemons
        self.machine = machine_cpu_seconds() - self.machine

    def per(self, amount, daemons, machine):
        """As metrics of those names; raw veth has no daemons."""
        metrics = {daemons: self.daemons / amount} if self.tunnel.pids else {}
        return {**metrics, machine: self.machine / amount}


class Tcp:
    def __init__(self, n_flows, control, is_reverse=False):
        self.n_flows, self.control, self.is_reverse = n_flows, control, is_reverse
        self.name = f"tcp{n_flows}{'r' if is_reverse else ''}-{control}"
        flows = "1 flow" if n_flows == 1 else f"{n_flows} flows"
        self.title = f"TCP {flows}{' reverse' if is_reverse else ''}, {control}"

    def run(self, tunnel, seconds):
        with Cpu(tunnel) as cpu:
            answer = self.transfer(tunnel, seconds)
        return {"gbps": gbps(answer),
                **cpu.per(answer["end"]["sum_received"]["bytes"] / 1e9, "cpu_s_per_gb", "machine_s_per_gb"),
                "retransmits": answer["end"]["sum_sent"].get("retransmits", 0)}

    def transfer(self, tunnel, seconds):
        tunnel.use_congestion_control(self.control)
        return iperf(tunnel.client, tunnel.server, tunnel.address, seconds, "--parallel", self.n_flows,
                     *(["--reverse"] if self.is_reverse else []))


class Udp:
    """A flood, unless it has a rate; what is due of that is sent every `pace_us` microseconds."""

    def __init__(self, name, title, size, segments=1, rate=0, pace_us=0):
        self.name, self.title = name, title
        self.size, self.segments, self.rate, self.pace_us = size, segments, rate, pace_us

    def run(self, tunnel, seconds):
        receiver = tunnel.server.spawn(UDPFLOOD, "receive", tunnel.address, UDP_PORT,
                                       *(["gro"] if self.segments > 1 else []))
        wait_until(lambda: tunnel.server.run("ss", "-Hlun", f"sport = :{UDP_PORT}").stdout, 5, "udpflood listens")
        with Cpu(tunnel) as cpu:
            sent = int(tunnel.client.run(UDPFLOOD, "send", tunnel.address, UDP_PORT, self.size - HEADERS_LEN,
                                         seconds, self.segments, self.rate, self.pace_us,
                                         seconds=seconds + 20).stdout)
            time.sleep(0.2)  # what is still on its way
        assert receiver.stop(signal.SIGINT) == 0, receiver.output()
        n_packets, active_seconds = receiver.output().split()
        received = int(n_packets)
        assert received > 1, f"of {sent} packets {received} arrived"
        per_packet = cpu.per(received / 1e6, "cpu_us_per_packet", "machine_us_per_packet")
        lost = {"lost_percent": 100 * (1 - received / sent)}
        if self.rate:
            return {**per_packet, **lost}
        return {"kpps": received / float(active_seconds) / 1e3, **per_packet}


class Ping:
    name, title = "ping", "Ping, idle"

    def run(self, tunnel, seconds):
        return times(ping(tunnel, seconds), 1e3, "us")


class Idle:
    """Nothing: what the daemons do by themselves."""

    name, title = "idle", "Idle"

    def run(self, tunnel, seconds):
        return tunnel.idle_use(max(seconds, IDLE_SECONDS_MIN))


class LoadedPing:
    """Pings during TCP flows of the same direction."""

    def __init__(self, control, n_flows=1):
        self.tcp = Tcp(n_flows, control)
        self.name = f"pingload{n_flows if n_flows > 1 else ''}-{control}"
        self.title = f"Ping during {self.tcp.title}" if n_flows > 1 else f"Ping during TCP, {control}"

    def run(self, tunnel, seconds):
        cable = tunnel.lab.cables[0]
        sent = lambda: tunnel.client.counters(cable.name)["tx"]["bytes"]  # noqa: E731
        goal = sent() + 10e6
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            transfer = executor.submit(self.tcp.transfer, tunnel, seconds + 1)
            wait_until(lambda: sent() > goal or transfer.done(), 10, "TCP is flowing")
            replies = ping(tunnel, seconds)
            assert not transfer.done(), "the transfer ended before the pings"
            return {**times(replies, 1, "ms"), "gbps": gbps(transfer.result())}


def gbps(answer):
    return answer["end"]["sum_received"]["bits_per_second"] / 1e9


def ping(tunnel, seconds):
    """Round-trip times in ms."""
    done = tunnel.client.run("ping", "-n", "-i", PING_INTERVAL, "-w", seconds, tunnel.address,
                             check=False, seconds=seconds + 10)
    replies = [float(time_ms) for time_ms in PING_TIME.findall(done.stdout)]
    assert len(replies) >= PINGS_MIN, f"only {len(replies)} pings were answered in {seconds} s"
    return replies


def times(replies_ms, factor, unit):
    ordered = sorted(replies_ms)
    p99 = ordered[math.ceil(0.99 * len(ordered)) - 1]
    return {f"average_{unit}": statistics.mean(ordered) * factor,
            f"median_{unit}": statistics.median(ordered) * factor,
            f"p99_{unit}": p99 * factor}


def all_loads(controls):
    """In the order in which they are measured and shown."""
    tcp = [Tcp(n_flows, control, is_reverse)
           for n_flows in (1, 4) for is_reverse in (False, True) for control in controls]
    udp = [Udp("udp64", "UDP 64 B, flood", 64), Udp("udp1400", "UDP 1400 B, flood", 1400),
           Udp("udpuso", "UDP 1400 B with USO, flood", 1400, USO_SEGMENTS),
           Udp("udppaced", "UDP 64 B, 3 each 0.1 ms", 64, rate=PACED_RATE, pace_us=100),
           Udp("udpbursts", "UDP 64 B, 30 each ms", 64, rate=PACED_RATE, pace_us=1000)]
    return [*tcp, *udp, Idle(), Ping(), *(LoadedPing(control, n_flows) for n_flows in (1, 4) for control in controls)]
