# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Where a benchmark runs: the machine, the build, what else uses them, and signals."""
import contextlib
import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import time

from bond import BUILD
from tunnels import machine_cpu_seconds

ROOT = pathlib.Path(__file__).parents[2]
INTERRUPTED = 130  # exit status
FOREIGN_MAX = 0.1  # of the machine; above it the result says so


class ForeignUse:
    """Adds to a list what share of the machine was used within its block by what is not ours."""

    def __init__(self, tunnels, shares):
        self.tunnels, self.shares = tunnels, shares

    def foreign_seconds(self):
        """Kernel threads included."""
        own = os.times()
        return machine_cpu_seconds() - sum(own[:4]) - sum(tunnel.cpu_seconds() for tunnel in self.tunnels)

    def __enter__(self):
        self.start, self.at_start = time.monotonic(), self.foreign_seconds()

    def __exit__(self, *failed):
        used = self.foreign_seconds() - self.at_start
        self.shares.append(max(0.0, used) / (time.monotonic() - self.start) / os.cpu_count())


def available_controls():
    available = pathlib.Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
    return [control for control in ("cubic", "bbr") if control in available]


def first_line(*command):
    """What a program says; '-' if it cannot be asked."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        return done.stdout.strip().splitlines()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return "-"


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model"):
            return value.strip()
    return platform.machine()


def build_options():
    """{"buildtype": "release", "b_sanitize": "none"...}"""
    path = BUILD / "meson-info" / "intro-buildoptions.json"
    return {option["name"]: option["value"] for option in json.loads(path.read_text())}


def describe_environment():
    git = ["git", "-c", f"safe.directory={ROOT}"]
    changed = first_line(*git, "status", "--porcelain", "--untracked-files=no") != "-"
    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "commit": first_line(*git, "rev-parse", "--short=12", "HEAD") + (" with changes" if changed else ""),
        "CPU": f"{len(os.sched_getaffinity(0))} x {cpu_model()}",
        "kernel": platform.release(),
        "build": build_options()["buildtype"],
        "OpenSSL": first_line("dpkg-query", "-W", "-f", "${Version}\n", "libssl3"),
        "iperf3": first_line("iperf3", "--version"),
        "load at the start": "{:.2f} {:.2f} {:.2f}".format(*os.getloadavg()),
    }


def describe_foreign(shares):
    if not shares:
        return "-"
    return f"{100 * statistics.median(shares):.0f} % of the machine ({100 * min(shares):.0f}-{100 * max(shares):.0f})"


def doubts():
    """What would make the figures worth less."""
    options = build_options()
    if options["buildtype"] != "release" or options["b_sanitize"] != "none":
        yield f"this is no release build: buildtype {options['buildtype']}, sanitizers {options['b_sanitize']}"
    if "bbr" not in available_controls():
        yield "this kernel offers no bbr"


def interrupted(*_):
    # Once: the cleaning up is not to be interrupted.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextlib.contextmanager
def keeps_what_is_measured(bench, notes):
    """An interruption ends its block and is noted, if something has been measured by then."""
    try:
        yield
    except KeyboardInterrupt:
        if not bench.n_done:
            raise
        bench.is_complete = False
        notes.append(f"interrupted after {bench.n_done} runs: not complete")


def clean_up_on_signals():
    """From now on a signal raises KeyboardInterrupt, once."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
