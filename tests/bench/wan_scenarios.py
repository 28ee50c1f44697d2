# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""What scripts/bench wan measures: links, what is done over them, and the arithmetic of it.

The settings are those of the emulator, tests/wan. "RTT 20 ms" is a delay of 10 ms each way. All bulk
goes from client to server, which is `up`; where a line is asymmetric, that is its fast direction, as
with a download.
"""
import dataclasses
import re

# A TCP segment of 1368 bytes is an IP packet of 1420 in the tunnel, and one of 1480 outside.
PAYLOAD_SHARE = 1368 / 1480
CHANGE = re.compile(r"(?<![a-z.])(?:up\.)?(rate|blackout|loss)=(\w+(?:\.\d+)?%?)")


@dataclasses.dataclass(frozen=True)
class Wire:
    """One link: the emulator's settings; how they change, as (second of the measurement, settings),
    beginning again every `period` seconds; and who else sends on it: a TCP flow ("tcp"), or so many Mbit/s
    of UDP."""

    settings: str
    schedule: tuple = ()
    period: float = None
    cross: object = None

    def steps(self, seconds):
        """The schedule over so much time."""
        turns = int(seconds // self.period) + 1 if self.period else 1
        return [(at + turn * (self.period or 0), line) for turn in range(turns) for at, line in self.schedule
                if at + turn * (self.period or 0) < seconds]

    def capacity_mbps(self, seconds):
        """IP packets that can arrive, on average over so much time, with a fair share left to others."""
        total, last, now = 0.0, 0.0, _changes({}, self.settings)
        for at, line in [*self.steps(seconds), (seconds, "")]:
            total += (at - last) * _deliverable(now)
            last, now = at, _changes(now, line)
        mbps = total / seconds
        return mbps / 2 if self.cross == "tcp" else mbps - (self.cross or 0)

    def blackout(self, seconds):
        """(from, until) of the first one; None if there is none."""
        begins = [at for at, line in self.steps(seconds) if "blackout=yes" in line]
        ends = [at for at, line in self.steps(seconds) if "blackout=no" in line]
        return (begins[0], ends[0] if ends else seconds) if begins else None


def _changes(settings, line):
    return {**settings, **dict(CHANGE.findall(line))}


def _deliverable(settings):
    if settings.get("blackout") == "yes":
        return 0.0
    return float(settings["rate"].removesuffix("mbit")) * (1 - float(settings.get("loss", "0%")[:-1]) / 100)


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    wires: tuple
    best: int = 0  # the wire that alone is best
    seconds: int = 10
    loads: tuple = ("tcp1", "tcp4")
    mode: str = "aggregate"
    probe_rate: int = 1000  # of the probe alone, packets a second: where a loss of a thousandth is to show
    lower_effort: int = 0  # so many of the flows are marked so
    one_flow_on_best: bool = False  # the others are too far off for one flow to gain by them
    goals: dict = dataclasses.field(default_factory=dict)  # by load: {metric: limit}

    def achievable_mbps(self, load, seconds):
        """Goodput of WireGuard over links that are used perfectly."""
        capacities = [wire.capacity_mbps(seconds) for wire in self.wires]
        if self.mode == "redundant" or (self.one_flow_on_best and load == "tcp1"):
            return max(capacities) * PAYLOAD_SHARE
        return sum(capacities) * PAYLOAD_SHARE


def _line(rate, rtt, more="", **options):
    return Wire(f"rate={rate}mbit queue=100ms delay={rtt / 2:g}ms {more}", **options)


DARK = ((5, "blackout=yes"), (15, "blackout=no"))
TOGGLES = ((4, "rate=20mbit"), (8, "rate=100mbit"))
# Another satellite every 15 s: a gap, another distance, another rate; and steps within a pass.
LEO = ((4, "rate=60mbit"), (8, "blackout=yes"), (8.2, "blackout=no rate=120mbit delay=22ms"), (12, "rate=80mbit"),
       (23, "blackout=yes"), (23.2, "blackout=no rate=100mbit delay=15ms"))
# In 40 s so many that 0.09 and 0.1 % lost are two different figures: chance alone makes 0.08 to 0.1 of the former.
MANY = 10000
S1 = (_line(100, 20), _line(100, 20))
S2 = (_line(200, 20), _line(50, 60))
LTE = (Wire("up.rate=30mbit down.rate=15mbit queue=200ms delay=25ms jitter=10ms loss=0.3%"),
       Wire("up.rate=20mbit down.rate=10mbit queue=200ms delay=35ms jitter=15ms loss=0.3%"))

SCENARIOS = (
    Scenario("S1", "2 x 100 Mbit/s, 20 ms", S1,
             goals={"tcp1": {"mbps": 181, "rtt_added_ms": 5, "rtt_added_p99_ms": 15}, "tcp4": {"mbps": 181}}),
    Scenario("S2", "200 Mbit/s 20 ms + 50 Mbit/s 60 ms", S2,
             goals={"tcp1": {"mbps": 222, "rtt_added_ms": 10, "rtt_added_p99_ms": 20}, "tcp4": {"mbps": 222}}),
    Scenario("S3", "300 Mbit/s 10 ms + 100 Mbit/s 600 ms", (_line(300, 10), _line(100, 600)), seconds=15,
             one_flow_on_best=True, goals={"tcp1": {"mbps": 272}, "tcp4": {"mbps": 330}}),
    Scenario("S3le", "S3, one of the flows marked as lower effort", (_line(300, 10), _line(100, 600)), seconds=15,
             loads=("tcp4",), lower_effort=1, goals={"tcp4": {"mbps": 330}}),
    Scenario("S4", "2 x 100 Mbit/s, 20 and 40 ms, 1 % loss on the second", (_line(100, 20), _line(100, 40, "loss=1%")),
             goals={"tcp1": {"mbps": 170, "rtt_added_ms": 15, "rtt_added_p99_ms": 40}, "tcp4": {"mbps": 170}}),
    Scenario("S5", "S1, the second dark from 5 to 15 s", (S1[0], _line(100, 20, schedule=DARK)), seconds=20,
             loads=("tcp1", "probe"),
             goals={"tcp1": {"lost": 0, "gap_ms": 150, "back_s": 0.3, "again_s": 1}, "probe": {"lost": 0}}),
    Scenario("S7", "100 Mbit/s + one that steps 100, 20, 100 every 4 s, 20 ms",
             (S1[0], _line(100, 20, schedule=TOGGLES, period=8)), seconds=12,
             goals={"tcp1": {"mbps": 150, "rtt_added_ms": 10, "rtt_added_p99_ms": 40}}),
    Scenario("S8", "redundant, 3 % loss each", (_line(100, 20, "loss=3%"), _line(100, 20, "loss=3%")), seconds=40,
             loads=("probe", "tcp1"), mode="redundant", probe_rate=MANY,
             goals={"probe": {"lost_percent": 0.1, "duplicates": 0}}),
    Scenario("S8a", "aggregate, 3 % loss each", (_line(100, 20, "loss=3%"), _line(100, 20, "loss=3%")), seconds=40,
             loads=("probe", "tcp1"), probe_rate=MANY,
             goals={"probe": {"lost_percent": 0.1, "duplicates": 0}}),
    Scenario("baseline", "2 x 50 Mbit/s, 20 ms", (_line(50, 20), _line(50, 20))),
    *(Scenario(f"rtt{rtt}", f"2 x 50 Mbit/s, 20 and {rtt} ms", (_line(50, 20), _line(50, rtt)))
      for rtt in (40, 70, 120)),
    Scenario("rtt320", "2 x 50 Mbit/s, 20 and 320 ms", (_line(50, 20), _line(50, 320)), one_flow_on_best=True),
    *(Scenario(f"jitter{jitter}", f"2 x 50 Mbit/s, 20 ms and up to {jitter} more each way",
               (_line(50, 20, f"jitter={jitter}ms"),) * 2) for jitter in (5, 20)),
    *(Scenario(f"loss{loss}", f"2 x 50 Mbit/s, 20 ms, {loss} % loss each way",
               (_line(50, 20, f"loss={loss}%"),) * 2) for loss in ("0.5", "2")),
    Scenario("4:1", "80 + 20 Mbit/s, 20 ms", (_line(80, 20), _line(20, 20))),
    Scenario("10:1", "100 + 10 Mbit/s, 20 ms", (_line(100, 20), _line(10, 20))),
    Scenario("lte+lte", "30 + 20 Mbit/s, 50-70 ms and 70-100 ms, 0.3 % loss", LTE),
    Scenario("fibre+lte", "100 Mbit/s 10 ms + 30 Mbit/s 50-70 ms, 0.3 % loss", (_line(100, 10), LTE[0])),
    Scenario("lte+leo", "30 Mbit/s 50-70 ms + satellite of 60-120 Mbit/s 30-45 ms, handover",
             (LTE[0], _line(100, 30, "jitter=5ms", schedule=LEO, period=30)), best=1, seconds=15),
    Scenario("lte+geo", "30 Mbit/s 50-70 ms + 50 Mbit/s 600 ms", (LTE[0], _line(50, 600)), seconds=15,
             one_flow_on_best=True),
    Scenario("congested", "2 x 50 Mbit/s, 20 ms; 25 Mbit/s of others on the second",
             (_line(50, 20), _line(50, 20, cross=25))),
    Scenario("congested-tcp", "2 x 50 Mbit/s, 20 ms; a TCP flow of others on the second",
             (_line(50, 20), _line(50, 20, cross="tcp"))),
)
# --quick: those of each kind, and for how long.
QUICK = ("S1", "S2", "S4", "S8a")
QUICK_SECONDS = 4
