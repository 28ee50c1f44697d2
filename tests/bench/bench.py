# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""The benchmark that scripts/bench starts. docs/benchmarks.md says what it measures and why so."""
import argparse
import contextlib
import json
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "netns"))

from bond import BUILD  # noqa: E402
from environment import (  # noqa: E402
    FOREIGN_MAX, INTERRUPTED, ForeignUse, available_controls, clean_up_on_signals, describe_environment,
    describe_foreign, doubts, keeps_what_is_measured)
from loads import Ping, all_loads  # noqa: E402
from many_loads import PLAYERS, many_loads  # noqa: E402
from peer import find_wireguard_go  # noqa: E402
from report import METRICS, MODES, Results, comparison, format_value, markdown  # noqa: E402
from tunnels import RawVeth, Uapi, Vtrunkd, aead_backends, vtrunkd_version  # noqa: E402
import wan_bench  # noqa: E402

FORMAT = 1  # of the JSON
REFERENCE = "wireguard-go"
BARE = "raw"  # the link without a tunnel
SMALL = "small"  # the measurement of vtrunkd with profile = small
MANY = "many"  # the mode with many peers
LINKS = "links"  # the measurement of vtrunkd over more than one link
MEMORY = "memory"
# Of the loads: those that --quick has in each mode, and those for more than one link and for little memory.
QUICK = {"whole": ["tcp1-cubic", "tcp4-cubic", "udp64", "ping", "pingload-cubic"],
         "cut": ["tcp1-cubic"],
         "many": []}
QUICK_SECONDS, QUICK_REPEAT = 2, 2
LINK_LOADS = ["tcp1-cubic", "tcp4-cubic"]


class Subject:
    """Something to be measured: `make` sets up its tunnel."""

    def __init__(self, name, version, make, compared_to=REFERENCE, modes=tuple(MODES), loads=None, all_modes=()):
        self.name, self.version, self.make = name, version, make
        self.compared_to = compared_to
        self.modes = modes
        self.loads = loads  # None: all of them
        self.all_modes = all_modes  # loads that are measured in the other modes too

    def takes(self, mode, load):
        return ((mode in self.modes or load.name in self.all_modes)
                and (self.loads is None or load.name in self.loads))


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measures vtrunkd beside wireguard-go, in namespaces of its own.",
        epilog="See docs/benchmarks.md.")
    parser.add_argument("--quick", action="store_true", help="a selection, in under two minutes")
    parser.add_argument("--only", metavar="NAME,...", type=lambda text: text.split(","), action="extend",
                        help="only these measurements, such as tcp1,tcp4r-bbr,udp64,ping,links")
    parser.add_argument("--skip", metavar="NAME,...", type=lambda text: text.split(","), action="extend", default=[],
                        help="without these implementations, such as raw")
    parser.add_argument("--peer", metavar="'NAME=COMMAND IFACE'", action="append", default=[],
                        help="another daemon that wg can configure; IFACE stands for its interface")
    parser.add_argument("--modes", metavar="MODE,...", type=lambda text: text.split(","), default=list(MODES),
                        help=f"out of {', '.join(MODES)}; all by default")
    parser.add_argument("--seconds", type=int, help="length of a run (5)")
    parser.add_argument("--repeat", type=int, help="how often each is run (3)")
    parser.add_argument("--output", metavar="FILE", type=pathlib.Path, help="JSON; the Markdown goes beside it")
    parser.add_argument("--compare", metavar="OLD.json", help="an earlier result to compare with")
    options = parser.parse_args(arguments)
    if options.compare:
        try:
            options.compare = json.loads(pathlib.Path(options.compare).read_text())
            assert options.compare["format"] == FORMAT, "another format"
        except (OSError, ValueError, KeyError, AssertionError) as failure:
            parser.error(f"--compare: no result that can be compared with: {failure}")
    options.seconds = options.seconds or (QUICK_SECONDS if options.quick else 5)
    options.repeat = options.repeat or (QUICK_REPEAT if options.quick else 3)
    for mode in options.modes:
        if mode not in MODES:
            parser.error(f"no such mode: {mode}")
    for peer in options.peer:
        if "IFACE" not in peer.partition("=")[2].split():
            parser.error(f"--peer {peer}: not NAME=COMMAND with the word IFACE in it")
    return options


def choose_loads(options):
    """Those of each mode. A name without its congestion control means any of them."""
    tunnel_loads = all_loads(available_controls())
    loads = {mode: many_loads() if mode == MANY else tunnel_loads for mode in MODES}
    if options.only:
        known = {name for load in sum(loads.values(), []) for name in names_of(load)} | {LINKS, SMALL}
        unknown = [name for name in options.only if name not in known]
        if unknown:
            sys.exit(f"bench: no such measurement: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    chosen = {mode: [load for load in loads[mode] if is_chosen(options, mode, load)] for mode in options.modes}
    return {mode: of_mode for mode, of_mode in chosen.items() if of_mode}


def is_chosen(options, mode, load):
    if not options.only:
        return not options.quick or load.name in QUICK[mode]
    return names_of(load) & set(options.only) or ({LINKS, SMALL} & set(options.only) and load.name in LINK_LOADS)


def names_of(load):
    return {load.name, load.name.partition("-")[0]}


def choose_subjects(options, notes):
    subjects = [Subject(BARE, "veth without a tunnel", RawVeth, compared_to=None,
                        modes=("whole",), all_modes=(Ping.name,))]
    version = vtrunkd_version().splitlines()[0]
    own = [f"vtrunkd/{aead}" if aead else "vtrunkd" for aead in aead_backends()]
    for name, aead in zip(own, aead_backends()):
        subjects.append(Subject(name, version, lambda aead=aead: Vtrunkd(aead=aead)))
    if SMALL in (options.only or ([] if options.quick else [SMALL])):
        subjects.append(Subject("vtrunkd, small", version, lambda: Vtrunkd(profile="small"), loads=LINK_LOADS))
    if REFERENCE not in options.skip:
        subjects += reference_subjects(notes)
    for peer in options.peer:
        name, _, command = peer.partition("=")
        subjects.append(uapi_subject(name, command, command))
    if LINKS in (options.only or ([] if options.quick else [LINKS])):
        subjects += [Subject(f"{own[0]}, {n} links", version, lambda n=n: Vtrunkd(n, aead_backends()[0]),
                             compared_to=own[0], loads=LINK_LOADS)
                     for n in (2, 4)]
    return [subject for subject in subjects if subject.name not in options.skip]


def reference_subjects(notes):
    program = find_wireguard_go()
    if not program:
        notes.append("there is no wireguard-go here, so there are no ratios")
        return []
    notes += [program.note] if program.note else []
    return [uapi_subject(REFERENCE, f"{program.path} --foreground IFACE", program.version)]


def uapi_subject(name, command, version):
    return Subject(name, version, lambda: Uapi(command), compared_to=None if name == REFERENCE else REFERENCE)


class Bench:
    """All runs: within a repetition the subjects take turns at each load."""

    def __init__(self, subjects, loads, options):
        self.subjects, self.loads, self.options = subjects, loads, options
        titles = {load.name: load.title for of_mode in loads.values() for load in of_mode}
        self.results = Results(REFERENCE, {**titles, MEMORY: "Memory (RSS)"}, {
            subject.name: {"version": subject.version, "compared_to": subject.compared_to} for subject in subjects})
        self.failures = []
        self.foreign = []  # share of the machine that others used, for each run
        self.n_runs = options.repeat * sum(1 for mode in loads for _ in self.turns(mode))
        self.n_done = 0
        self.is_complete = True
        self.start = time.monotonic()

    def turns(self, mode):
        """(load, subject), in their order."""
        for load in self.loads[mode]:
            for subject in self.subjects:
                if subject.takes(mode, load):
                    yield load, subject

    def run(self):
        for repetition in range(self.options.repeat):
            for mode in self.loads:
                print(f"\nrepetition {repetition + 1} of {self.options.repeat}, {mode}", flush=True)
                self.run_mode(mode)

    def run_mode(self, mode):
        with contextlib.ExitStack() as stack:
            tunnels = {}
            for subject in {subject.name: subject for _, subject in self.turns(mode)}.values():
                tunnel = self.set_up(subject, mode)
                if tunnel:
                    stack.callback(tunnel.close)
                    tunnels[subject.name] = tunnel
            time.sleep(0.5)
            idle = {name: tunnel.resident_mb() for name, tunnel in tunnels.items()}
            for tunnel in tunnels.values():
                tunnel.forget_peak()
            for load, subject in self.turns(mode):
                if subject.name in tunnels:
                    with ForeignUse(tunnels.values(), self.foreign):
                        self.measure(mode, load, subject, tunnels[subject.name])
                self.n_done += 1
            for name, tunnel in tunnels.items():
                with contextlib.suppress(AssertionError):  # has been told
                    tunnel.check()
                    memory = {"idle_mb": idle[name], "loaded_mb": tunnel.resident_mb(), "peak_mb": tunnel.peak_mb()}
                    self.results.add(mode, MEMORY, name, memory)

    def set_up(self, subject, mode):
        """Its tunnel; None if that could not be had."""
        tunnel = None
        try:
            tunnel = subject.make()
            if mode == "cut":
                tunnel.cut_bursts()
            if mode == MANY:
                tunnel.add_players(PLAYERS)
            return tunnel
        except (AssertionError, OSError, subprocess.SubprocessError) as failure:
            if tunnel:
                tunnel.close()
            self.fail(f"{mode}, {subject.name}: {failure}")
            return None

    def measure(self, mode, load, subject, tunnel):
        left = (time.monotonic() - self.start) / max(1, self.n_done) * (self.n_runs - self.n_done)
        clock = f"{int(left) // 60}:{int(left) % 60:02} left" if self.n_done >= 3 else ""
        width = max(len(subject.name) for subject in self.subjects)
        print(f"  {self.n_done + 1:>4}/{self.n_runs} {clock:>11}  {load.title:<28} {subject.name:<{width}}  ",
              end="", flush=True)
        try:
            tunnel.check()
            metrics = load.run(tunnel, self.options.seconds)
            tunnel.check()
        except (AssertionError, OSError, ValueError, KeyError, subprocess.SubprocessError) as failure:
            print("failed")
            self.fail(f"{mode}, {load.name}, {subject.name}: {failure}")
            return
        self.results.add(mode, load.name, subject.name, metrics)
        print(", ".join(f"{format_value(metric, value)} {METRICS[metric][0]}"
                        for metric, value in list(metrics.items())[:3]), flush=True)

    def fail(self, text):
        self.failures.append(text)
        print(f"  FAILED: {text}", flush=True)


def output_paths(options):
    path = options.output or BUILD / "bench" / time.strftime("%Y%m%d-%H%M%S.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path, path.with_suffix(".md")


def run(options):
    loads = choose_loads(options)
    environment, notes = describe_environment(), list(doubts())
    bench = Bench(choose_subjects(options, notes), loads, options)
    for note in notes:
        print(f"note: {note}")
    with keeps_what_is_measured(bench, notes):
        bench.run()
    bench.results.add_what_tunnels_add(Ping.name, BARE)
    if bench.foreign and statistics.median(bench.foreign) > FOREIGN_MAX:
        notes.append("others used the machine meanwhile: compare only the ratios")
    document = {
        "format": FORMAT,
        "complete": bench.is_complete,
        "environment": {**environment, "used by others": describe_foreign(bench.foreign)},
        "settings": {"repeat": options.repeat, "seconds": options.seconds, "quick": options.quick},
        "notes": notes + [f"failed: {failure}" for failure in bench.failures],
        **bench.results.to_json(),
    }
    json_path, markdown_path = output_paths(options)
    json_path.write_text(json.dumps(document, indent=1) + "\n")
    text = markdown(document) + (f"\n{comparison(options.compare, document)}" if options.compare else "")
    markdown_path.write_text(text)
    print(f"\n{text}\nwritten to {json_path} and {markdown_path}")
    return INTERRUPTED if not bench.is_complete else 1 if bench.failures else 0


def main():
    if sys.argv[1:2] == ["wan"]:
        return wan_bench.main(sys.argv[2:])
    options = parse_arguments(sys.argv[1:])
    clean_up_on_signals()
    try:
        return run(options)
    except KeyboardInterrupt:
        print("\nbench: interrupted; all is cleaned up", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
