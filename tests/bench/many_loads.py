# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""What is done to a daemon with many peers, or that somebody wants to keep busy. wgpeers plays them."""
import concurrent.futures
import contextlib
import signal
import subprocess
import sys

from bond import BUILD, PORT
from lab import wait_until
from traffic import iperf

from loads import Tcp, gbps, ping, times

WGPEERS = BUILD / "tests" / "bench" / "wgpeers"
PLAYERS = 1000
SINK_PORT = PORT + 1
# A socket that nobody reads.
SINK = "import socket, sys, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); " \
       "s.bind((sys.argv[1], int(sys.argv[2]))); time.sleep(600)"
FLOOD_BEGINS = 20000  # packets, from which on it is taken to flow
STEADY_MBPS = 500  # what a line carries, and two cores have to spare
PING_METRICS = ("median_us", "p99_us")
LATENCY_METRICS = (*PING_METRICS, *(f"steady_{metric}" for metric in PING_METRICS))


def outside(tunnel):
    """The server's address outside of the tunnel."""
    return tunnel.lab.cables[0].v4(tunnel.server)


def wgpeers(tunnel, what, port, *arguments):
    """The command, against that port of the server, from the client's host."""
    return [WGPEERS, what, outside(tunnel), port, tunnel.server_key, *arguments]


class Handshakes:
    """Each of the players shakes hands again and again, 32 at a time."""

    name, title = "handshakes", f"Handshakes of {PLAYERS} peers"

    def run(self, tunnel, seconds):
        before = tunnel.server_cpu_seconds()
        done = tunnel.client.run(*wgpeers(tunnel, "handshakes", PORT, PLAYERS, seconds), seconds=seconds + 20)
        cpu_seconds = tunnel.server_cpu_seconds() - before
        n, active_seconds, lost = map(float, done.stdout.split())
        assert n, "not one handshake"
        return {"handshakes_per_core": n / cpu_seconds, "handshakes": n / active_seconds,
                "lost_percent": 100 * lost / (n + lost)}


class Flood:
    """Pings, a TCP flow, and pings during one at a steady rate; all that without a flood of this kind, then with it.

    "Without" means that it goes to a socket that nobody reads: what it costs, wherever it goes, is no daemon's fault.
    """

    def __init__(self, kind, title):
        self.kind = kind
        self.name, self.title = f"flood-{kind}", f"Flood, {title}"

    def run(self, tunnel, seconds):
        return self.compare(self.beside(tunnel, seconds), self.measure(tunnel, seconds, PORT))

    def compare(self, before, flooded):
        return {"gbps": before["gbps"], "flooded_gbps": flooded["gbps"],
                "kept_percent": 100 * flooded["gbps"] / before["gbps"] if before["gbps"] else None,
                **{metric: before.get(metric) for metric in LATENCY_METRICS},
                **{f"flooded_{metric}": flooded.get(metric) for metric in (*LATENCY_METRICS, "steady_mbps")},
                "flood_kpps": flooded["flood_kpps"]}

    def beside(self, tunnel, seconds):
        with sink(tunnel):
            return self.measure(tunnel, seconds, SINK_PORT)

    def measure(self, tunnel, seconds, port):
        process = tunnel.client.spawn(*wgpeers(tunnel, "flood", port, 3 * seconds + 30, 0, self.kind))
        received = lambda: tunnel.server.counters(tunnel.lab.cables[0].name)["rx"]["packets"]  # noqa: E731
        goal = received() + FLOOD_BEGINS
        try:
            wait_until(lambda: received() > goal, 10, "the flood flows")
            figures = established(tunnel, seconds)
        finally:
            assert process.stop(signal.SIGINT) == 0, process.output()
        sent, flood_seconds = map(float, process.output().split())
        return {**figures, "flood_kpps": sent / flood_seconds / 1e3}


class FloodBeside(Flood):
    """The control of all floods: nothing at all, then a flood to that socket."""

    def __init__(self):
        super().__init__("good", "")
        self.name, self.title = "flood-beside", "Flood, to a socket beside that nobody reads"

    def run(self, tunnel, seconds):
        return self.compare(established(tunnel, seconds), self.beside(tunnel, seconds))


def established(tunnel, seconds):
    """What a peer with a session has of the tunnel."""
    figures = {**pings(tunnel, seconds, ""), "gbps": goodput(Tcp(1, "cubic").transfer, tunnel, seconds)}
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        steady = executor.submit(goodput, iperf, tunnel.client, tunnel.server, tunnel.address, seconds + 1,
                                 "--bitrate", f"{STEADY_MBPS}M")
        during = pings(tunnel, seconds, "steady_")
    return {**figures, **during, "steady_mbps": 1e3 * steady.result()}


def pings(tunnel, seconds, prefix):
    """Nothing if too few are answered. Whether the daemons live is asked elsewhere."""
    try:
        return {prefix + metric: value for metric, value in times(ping(tunnel, seconds), 1e3, "us").items()}
    except AssertionError:
        return {}


def goodput(transfer, *arguments):
    """Gbit/s; 0 if the flow does not come about, which is a flood's success, or does not end in time."""
    try:
        return gbps(transfer(*arguments))
    except (AssertionError, subprocess.TimeoutExpired):
        return 0.0


@contextlib.contextmanager
def sink(tunnel):
    """At SINK_PORT of the server: the kernel has the work of a flood, and nobody else."""
    process = tunnel.server.spawn(sys.executable, "-c", SINK, outside(tunnel), SINK_PORT)
    try:
        wait_until(lambda: tunnel.server.run("ss", "-Hlun", f"sport = :{SINK_PORT}").stdout, 5, "the sink is there")
        yield
    finally:
        process.kill()


def many_loads():
    return [Handshakes(), FloodBeside(), Flood("known", "initiations of a peer, replayed"),
            Flood("good", "initiations of nobody, mac1 right"), Flood("bad", "initiations, mac1 wrong"),
            Flood("garbage", "random bytes")]
