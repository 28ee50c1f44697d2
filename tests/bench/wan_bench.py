# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""scripts/bench wan: bonding over emulated WAN links. docs/benchmarks.md says what it measures and why so."""
import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

from bond import BUILD
from environment import (
    FOREIGN_MAX, INTERRUPTED, ForeignUse, available_controls, clean_up_on_signals, describe_environment,
    describe_foreign, doubts, keeps_what_is_measured)
from peer import find_wireguard_go
from tunnels import vtrunkd_version
from wan_loads import Run
from wan_report import ALONE, BOND, markdown, plots
from wan_scenarios import QUICK, QUICK_SECONDS, SCENARIOS
from wan_tunnels import BondedVtrunkd, Foreign, Mptcp, SingleLink

FORMAT = 1  # of the JSON
MPTCP, WIREGUARD_GO = "mptcp", "wireguard-go"  # of --peer; all else is a command
PROBE_ONLY = "probe"
SKIPPED = 77  # to meson


def parse_arguments(arguments):
    names = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(
        prog="scripts/bench wan", description="Measures bonding over emulated WAN links, in namespaces of its own.",
        epilog=f"Scenarios: {', '.join(names)}. See docs/benchmarks.md.")
    parser.add_argument("--only", metavar="NAME,...", type=lambda text: text.split(","), default=[],
                        help="only these scenarios")
    parser.add_argument("--quick", action="store_true", help="a selection, in about two minutes")
    parser.add_argument("--repeat", type=int, default=1, help="how often each is run (1)")
    parser.add_argument("--seconds", type=int, help="length of a run (10, or what a scenario needs)")
    parser.add_argument("--loads", metavar="LOAD,...", type=lambda text: text.split(","), default=[],
                        help="only these, out of tcp1, tcp4, probe")
    parser.add_argument("--control", default="cubic", help="TCP's congestion control (cubic)")
    parser.add_argument("--no-alone", action="store_true", help="without the best link alone")
    parser.add_argument("--peer", metavar=f"{MPTCP}|{WIREGUARD_GO}|'NAME=COMMAND'", action="append", default=[],
                        help="beside it, the kernel's MPTCP, wireguard-go over a single link of the sum's rate, or "
                             "another tunnel")
    parser.add_argument("--output", metavar="DIR", type=pathlib.Path, help="for JSON, Markdown and plots")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.only if name not in names]
    if unknown:
        parser.error(f"no such scenario: {', '.join(unknown)}; there are {', '.join(names)}")
    if options.control not in available_controls():
        parser.error(f"this kernel offers no {options.control}")
    for peer in options.peer:
        if peer not in (MPTCP, WIREGUARD_GO) and not peer.partition("=")[2]:
            parser.error(f"--peer {peer}: neither {MPTCP}, {WIREGUARD_GO} nor NAME=COMMAND")
    return options


def choose_scenarios(options):
    wanted = options.only or (QUICK if options.quick else [scenario.name for scenario in SCENARIOS])
    for scenario in SCENARIOS:
        if scenario.name in wanted:
            loads = tuple(load for load in scenario.loads if load in (options.loads or scenario.loads))
            seconds = options.seconds or (QUICK_SECONDS if options.quick else scenario.seconds)
            yield dataclasses.replace(scenario, loads=loads, seconds=seconds)


def wireguard_go():
    """The command that makes the interface IFACE."""
    program = find_wireguard_go()
    assert program, "there is no wireguard-go"
    return f"{program.path} IFACE"


def sum_of(scenario):
    """A link as the best one, but with the rate of all."""
    best = scenario.wires[scenario.best]
    total = sum(wire.capacity_mbps(1) for wire in scenario.wires)
    return dataclasses.replace(best, settings=f"{best.settings} rate={total:.0f}mbit", schedule=())


def subjects_of(scenario, options):
    """(name, the scenario as it is for that one, how to make its tunnel, loads)."""
    yield BOND, scenario, lambda: BondedVtrunkd(scenario.wires, scenario.mode), scenario.loads
    bulk = tuple(load for load in scenario.loads if load != PROBE_ONLY)
    if not options.no_alone:
        best = dataclasses.replace(scenario, wires=(scenario.wires[scenario.best],), mode="aggregate")
        yield ALONE, best, lambda: BondedVtrunkd(best.wires), scenario.loads
    for peer in options.peer:
        name, _, command = peer.partition("=")
        if peer == MPTCP:
            yield MPTCP, scenario, lambda: Mptcp(scenario.wires), bulk
        elif peer == WIREGUARD_GO:
            single = dataclasses.replace(scenario, wires=(sum_of(scenario),))
            yield WIREGUARD_GO, single, lambda single=single: SingleLink(single.wires, wireguard_go()), scenario.loads
        else:
            yield name, scenario, lambda command=command: Foreign(scenario.wires, command), scenario.loads


class WanBench:
    def __init__(self, scenarios, options):
        self.scenarios, self.options = scenarios, options
        self.results = {scenario.name: {load: {} for load in scenario.loads} for scenario in scenarios}
        self.failures, self.foreign = [], []
        self.n_done = 0
        self.is_complete = True
        self.start = time.monotonic()

    def run(self):
        for repetition in range(self.options.repeat):
            for scenario in self.scenarios:
                clock = int(time.monotonic() - self.start)
                print(f"\n{clock // 60}:{clock % 60:02} {scenario.name}: {scenario.title}"
                      + (f" ({repetition + 1} of {self.options.repeat})" if self.options.repeat > 1 else ""), flush=True)
                self.run_scenario(scenario)

    def run_scenario(self, scenario):
        with contextlib.ExitStack() as stack:
            ready = []
            for name, its_scenario, make, loads in subjects_of(scenario, self.options):
                with self.tells_failure(f"{scenario.name}, {name}"):
                    tunnel = make()
                    stack.callback(tunnel.close)
                    ready.append((name, its_scenario, tunnel, loads))
            for load in scenario.loads:
                for name, its_scenario, tunnel, loads in ready:
                    if load in loads:
                        with self.tells_failure(f"{scenario.name}, {load}, {name}"):
                            self.measure(name, its_scenario, load, tunnel, [of[2] for of in ready])

    def measure(self, name, scenario, load, tunnel, tunnels):
        tunnel.check()
        with ForeignUse(tunnels, self.foreign):
            run = Run(scenario, load, tunnel, scenario.seconds, self.options.control)
        tunnel.check()
        self.results[scenario.name][load].setdefault(name, []).append(
            {"metrics": {metric: None if value is None else round(value, 4) for metric, value in run.metrics.items()},
             "series": run.series})
        self.n_done += 1
        told = {"mbps": "Mbit/s", "rtt_added_ms": "ms added", "rtt_added_p99_ms": "p99", "lost": "lost",
                "duplicates": "twice", "gap_ms": "ms gap", "back_s": "s back", "again_s": "s again"}
        print(f"  {load:<6} {name:<16} " + ", ".join(
            f"{run.metrics[metric]:.1f} {unit}" if run.metrics[metric] is not None else f"never {unit}"
            for metric, unit in told.items() if metric in run.metrics), flush=True)

    @contextlib.contextmanager
    def tells_failure(self, what):
        try:
            yield
        except (AssertionError, OSError, ValueError, KeyError, subprocess.SubprocessError) as failure:
            self.failures.append(f"{what}: {failure}")
            print(f"  FAILED: {self.failures[-1]}", flush=True)

    def document(self, environment, notes):
        if self.foreign and statistics.median(self.foreign) > FOREIGN_MAX:
            notes.append("others used the machine meanwhile: compare only within this run")
        return {
            "format": FORMAT,
            "complete": self.is_complete,
            "environment": {**environment, "vtrunkd": vtrunkd_version().splitlines()[0],
                            "used by others, with links and traffic tools": describe_foreign(self.foreign)},
            "settings": {"repeat": self.options.repeat, "control": self.options.control},
            "notes": notes + [f"failed: {failure}" for failure in self.failures],
            "scenarios": {scenario.name: {
                "title": scenario.title, "goals": scenario.goals, "seconds": scenario.seconds, "step_s": 0.1,
                "changes": sorted({at for wire in scenario.wires for at, _ in wire.steps(scenario.seconds)}),
                "achievable": {load: round(scenario.achievable_mbps(load, scenario.seconds), 1)
                               for load in scenario.loads},
                "results": found} for scenario in self.scenarios
                if (found := {load: of_load for load, of_load in self.results[scenario.name].items() if of_load})},
        }


def write(document, directory):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "wan.json").write_text(json.dumps(document) + "\n")
    text = markdown(document)
    (directory / "wan.md").write_text(text)
    for name, svg in plots(document):
        (directory / name).write_text(svg)
    print(f"\n{text}\nwritten to {directory}")


def run(options):
    environment, notes = describe_environment(), list(doubts())
    if WIREGUARD_GO in options.peer and (program := find_wireguard_go()):
        environment[WIREGUARD_GO] = program.version
        notes += [program.note] if program.note else []
    bench = WanBench(list(choose_scenarios(options)), options)
    with keeps_what_is_measured(bench, notes):
        bench.run()
    write(bench.document(environment, notes),
          options.output or BUILD / "bench" / time.strftime("wan-%Y%m%d-%H%M%S"))
    return INTERRUPTED if not bench.is_complete else 1 if bench.failures else 0


def main(arguments):
    options = parse_arguments(arguments)
    if os.geteuid() != 0:
        print("bench: network namespaces need root", file=sys.stderr)
        return SKIPPED
    clean_up_on_signals()
    try:
        return run(options)
    except KeyboardInterrupt:
        print("\nbench: interrupted; all is cleaned up", file=sys.stderr)
        return INTERRUPTED
