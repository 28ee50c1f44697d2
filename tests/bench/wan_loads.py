# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""What is done to a tunnel over emulated links, and the figures that come out of it.

A run is: IDLE_SECONDS of the probe alone; TCP begins; WARM_UP_SECONDS later the measurement, and with
it the schedules of the links. All times are those of CLOCK_MONOTONIC, on which the tools agree.
"""
import bisect
import math
import signal
import statistics
import threading
import time

from bond import BUILD
from lab import wait_until
from traffic import is_listening
from wan_scenarios import PAYLOAD_SHARE

TCPSTREAM = BUILD / "tests" / "bench" / "tcpstream"
UDPPROBE = BUILD / "tests" / "bench" / "udpprobe"
UDPFLOOD = BUILD / "tests" / "bench" / "udpflood"
TCP_PORT, PROBE_PORT, CROSS_PORT = 5201, 5203, 5204
ANY = "0.0.0.0"

IDLE_SECONDS, WARM_UP_SECONDS = 1.5, 2
STEP = 0.1  # of the series
SMOOTH_STEPS = 3
PROBE_BYTES = 100
RATE_BESIDE_TCP = 200  # of the probe; alone it is the scenario's
CROSS_BYTES = 1472
BACK_SHARE = 0.8  # of what can be had
AGAIN_SHARE = 0.2  # of a link's rate, which makes it used


class Probe:
    """Numbered datagrams that are echoed."""

    def __init__(self, tunnel, rate, seconds):
        self.seconds = seconds
        self.echo = tunnel.server.spawn(UDPPROBE, "echo", ANY, PROBE_PORT)
        wait_until(lambda: tunnel.server.run("ss", "-Hlun", f"sport = :{PROBE_PORT}").stdout, 5, "the echo listens")
        self.sender = tunnel.client.spawn(UDPPROBE, "send", tunnel.address, PROBE_PORT, PROBE_BYTES, rate, seconds)

    def finish(self):
        self.sender.wait(self.seconds + 10)
        self.echo.stop(signal.SIGINT)
        self.sent = _lines(self.sender)  # number, time, time of the echo or 0
        self.arrived = _lines(self.echo)  # number, time of sending, time

    def metrics(self, begin, end):
        """Of what was sent between these times."""
        sent = {number for number, at, _ in self.sent if begin <= at < end}
        came = [(number, arrived) for number, _, arrived in self.arrived if number in sent]
        numbers = {number for number, _ in came}
        times = sorted(arrived for _, arrived in came)
        assert sent, "the probe sent nothing"
        return {"lost": len(sent) - len(numbers), "lost_percent": 100 * (1 - len(numbers) / len(sent)),
                "duplicates": len(came) - len(numbers),
                "gap_ms": 1e3 * max((b - a for a, b in zip([begin, *times], times)), default=end - begin)}

    def round_trips(self, begin, end):
        """(time of sending, ms) of those that came back."""
        return [(at, 1e3 * (echoed - at)) for _, at, echoed in self.sent if begin <= at < end and echoed]


def _lines(process):
    rows = (line.split() for line in process.output().splitlines())
    return [(int(number), int(sent) / 1e9, int(came) / 1e9) for number, sent, came in rows]


class Bulk:
    """TCP flows from client to server."""

    def __init__(self, tunnel, n_flows, seconds, lower_effort=0):
        kind = [tunnel.flow_kind]
        self.sink = tunnel.server.spawn(TCPSTREAM, "sink", ANY, TCP_PORT, n_flows, int(STEP * 500), *kind)
        wait_until(lambda: is_listening(tunnel.server, TCP_PORT), 5, "the sink listens")
        self.source = tunnel.client.spawn(TCPSTREAM, "source", tunnel.address, TCP_PORT, n_flows, seconds,
                                          *kind, f"le={lower_effort}")
        wait_until(lambda: self.sink.output() or not self.source.is_running(), 10, "the flows have begun")
        self.times, self.bytes = [], []

    def finish(self, seconds):
        assert self.source.wait(seconds) == 0, self.source.output()
        self.sink.stop(signal.SIGINT)
        for line in self.sink.output().splitlines():
            at, n_bytes = line.split()
            self.times.append(int(at) / 1e9)
            self.bytes.append(int(n_bytes))
        return int(self.source.output())

    def bytes_at(self, when):
        index = bisect.bisect_left(self.times, when)
        if index == 0 or index == len(self.times):
            return self.bytes[max(0, index - 1)]
        share = (when - self.times[index - 1]) / (self.times[index] - self.times[index - 1])
        return self.bytes[index - 1] + share * (self.bytes[index] - self.bytes[index - 1])

    def mbps(self, begin, end):
        return (self.bytes_at(end) - self.bytes_at(begin)) * 8 / 1e6 / (end - begin)


class Clockwork(threading.Thread):
    """Follows the schedules of the links, and reads their counters every STEP."""

    def __init__(self, tunnel, begin, end):
        super().__init__(daemon=True)
        self.cables, self.begin, self.end = tunnel.lab.cables, begin, end
        self.steps = sorted((begin + at, cable, settings) for cable, wire in zip(self.cables, tunnel.wires)
                            for at, settings in wire.steps(end - begin))
        self.seen = [[] for _ in self.cables]  # (time, bytes that arrived)
        self.failure = None
        self.start()

    def run(self):
        try:
            due = self.begin
            while (now := time.monotonic()) < self.end:
                while self.steps and self.steps[0][0] <= now:
                    _, cable, settings = self.steps.pop(0)
                    cable.set(settings)
                if now >= due:
                    self.look()
                    due += STEP
                time.sleep(max(0.0, min(due, *(at for at, *_ in self.steps[:1]), self.end) - time.monotonic()))
            self.look()
        except (AssertionError, OSError) as failure:
            self.failure = failure

    def look(self):
        for cable, seen in zip(self.cables, self.seen):
            seen.append((time.monotonic(), cable.stats()["up"]["bytes_out"]))

    def finish(self):
        self.join()
        if self.failure:
            raise self.failure

    def rates(self, n):
        """(time, Mbit/s of IP packets) on cable n."""
        return [(at, (after - before) * 8 / 1e6 / (at - since))
                for (since, before), (at, after) in zip(self.seen[n], self.seen[n][1:])]


def start_cross_traffic(tunnel, seconds):
    """What others send on the links, if anybody does; the processes."""
    processes = []
    for cable, wire in zip(tunnel.lab.cables, tunnel.wires):
        if not wire.cross:
            continue
        there = cable.v4(tunnel.server)
        if wire.cross == "tcp":
            receiver = [TCPSTREAM, "sink", there, CROSS_PORT, 1, 1000]
            sender = [TCPSTREAM, "source", there, CROSS_PORT, 1, seconds]
        else:
            rate = int(wire.cross * 1e6 / 8 / (CROSS_BYTES + 28))
            receiver = [UDPFLOOD, "receive", there, CROSS_PORT]
            sender = [UDPFLOOD, "send", there, CROSS_PORT, CROSS_BYTES, seconds, 1, rate]
        processes.append(tunnel.server.spawn(*receiver))
        wait_until(lambda: tunnel.server.run("ss", "-Hltun", f"sport = :{CROSS_PORT}").stdout, 5, "others listen")
        processes.append(tunnel.client.spawn(*sender))
    return processes


class Run:
    """One load over one tunnel: its figures, and series over the time of the measurement."""

    def __init__(self, scenario, load, tunnel, seconds, control):
        self.scenario, self.load, self.tunnel, self.seconds = scenario, load, tunnel, seconds
        self.n_flows = int(load.removeprefix("tcp")) if load.startswith("tcp") else 0
        self.metrics, self.series = {}, {}
        tunnel.settle()
        tunnel.use_congestion_control(control)
        self.measure()

    def measure(self):
        lead = IDLE_SECONDS + (WARM_UP_SECONDS if self.n_flows else 0)
        others = start_cross_traffic(self.tunnel, lead + self.seconds + 1)
        rate = RATE_BESIDE_TCP if self.n_flows else self.scenario.probe_rate
        probe = Probe(self.tunnel, rate, lead + self.seconds)
        started = time.monotonic()
        time.sleep(IDLE_SECONDS)
        bulk = None
        if self.n_flows:
            bulk = Bulk(self.tunnel, self.n_flows, WARM_UP_SECONDS + self.seconds + STEP, self.scenario.lower_effort)
        self.bulk_start = time.monotonic()
        self.begin = self.bulk_start + (WARM_UP_SECONDS if bulk else 0)
        self.end = self.begin + self.seconds
        time.sleep(max(0.0, self.begin - time.monotonic()))
        used = self.tunnel.cpu_seconds()
        self.clockwork = Clockwork(self.tunnel, self.begin, self.end)
        self.clockwork.finish()
        if self.tunnel.pids:
            self.metrics["cpu_percent"] = 100 * (self.tunnel.cpu_seconds() - used) / self.seconds
        if bulk:
            self.metrics["retransmits"] = bulk.finish(10)
            self.note_tcp(bulk)
        probe.finish()
        self.metrics |= probe.metrics(self.begin, self.end)
        self.note_round_trips(probe, started)
        self.series["links"] = [[round(mbps, 2) for _, mbps in self.clockwork.rates(n)]
                                for n in range(len(self.tunnel.wires))]
        for process in others:
            process.kill()

    def note_tcp(self, bulk):
        self.metrics["mbps"] = bulk.mbps(self.begin, self.end)
        steps = [bulk.mbps(at, at + STEP) for at in self.times()]
        self.series["mbps"] = [round(mbps, 2) for mbps in steps]
        wanted = BACK_SHARE * self.scenario.achievable_mbps(self.load, self.seconds)
        early = [at for at in _range(self.bulk_start, self.end - STEP) if bulk.mbps(at, at + STEP) >= wanted]
        self.metrics["start_s"] = early[0] + STEP - self.bulk_start if early else None
        for n, wire in enumerate(self.tunnel.wires):
            dark = wire.blackout(self.seconds)
            if dark:
                self.note_blackout(steps, dark, n)

    def note_blackout(self, steps, dark, n):
        """Seconds from its beginning until there is 80 % of what the others carry, and from its end until the
        link carries data again."""
        others = sum(wire.capacity_mbps(self.seconds) for m, wire in enumerate(self.tunnel.wires) if m != n)
        wanted = BACK_SHARE * others * PAYLOAD_SHARE
        smooth = [statistics.mean(steps[max(0, i - SMOOTH_STEPS + 1):i + 1]) for i in range(len(steps))]
        inside = range(round(dark[0] / STEP), min(round(dark[1] / STEP), len(smooth)))
        if others:
            self.metrics["back_s"] = STEP * _dip_length([smooth[i] < wanted for i in inside])
        rate = self.tunnel.wires[n].capacity_mbps(dark[0]) * AGAIN_SHARE
        again = [at for at, mbps in self.clockwork.rates(n) if at - STEP / 2 >= self.begin + dark[1] and mbps >= rate]
        self.metrics["again_s"] = again[0] - self.begin - dark[1] if again else None

    def note_round_trips(self, probe, started):
        idle = [ms for _, ms in probe.round_trips(started, self.bulk_start if self.n_flows else self.end)]
        assert idle, "no echo while idle"
        self.metrics["rtt_idle_ms"] = statistics.median(idle)
        loaded = probe.round_trips(self.begin, self.end)
        if self.n_flows and loaded:
            ordered = sorted(ms for _, ms in loaded)
            self.metrics["rtt_ms"] = statistics.median(ordered)
            self.metrics["rtt_added_ms"] = self.metrics["rtt_ms"] - self.metrics["rtt_idle_ms"]
            self.metrics["rtt_added_p99_ms"] = ordered[math.ceil(0.99 * len(ordered)) - 1] - self.metrics["rtt_idle_ms"]
        bins = [[] for _ in self.times()]
        for at, ms in loaded:
            bins[min(int((at - self.begin) / STEP), len(bins) - 1)].append(ms)
        self.series["rtt_ms"] = [round(max(found), 2) if found else None for found in bins]

    def times(self):
        return _range(self.begin, self.end)


def _range(begin, end):
    return [begin + i * STEP for i in range(round((end - begin) / STEP))]


def _dip_length(is_low):
    """How many steps from the first until the dip that begins there, or soon after, is over."""
    length = 0
    for i, low in enumerate(is_low):
        if i > length + 2 * SMOOTH_STEPS:
            break
        if low:
            length = i + 1
    return length
