# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Hosts and cables: network namespaces joined by veth pairs, and what runs in them.

Everything a Lab makes carries the process id in its name and is gone after close().
Nothing here knows of vtrunkd; see bond.py.
"""
import contextlib
import ctypes
import itertools
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

CLONE_NEWNET = 0x40000000
POLL_SECONDS = 0.03

_libc = ctypes.CDLL(None, use_errno=True)
_lab_numbers = itertools.count()


def becomes_true(claim, seconds):
    """Polls until claim() is true, or the time is over; returns its last value."""
    deadline = time.monotonic() + seconds
    while not (value := claim()) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return value


def wait_until(claim, seconds, what):
    """Polls until claim() is true; returns its value. The deadline makes it fail, never pass."""
    value = becomes_true(claim, seconds)
    assert value, f"not within {seconds} s: {what}"
    return value


def stays_true(claim, seconds, what):
    """Polls for the whole time given; fails as soon as claim() is false."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert claim(), f"did not stay so for {seconds} s: {what}"
        time.sleep(POLL_SECONDS)


class Process:
    """A program running in a node, its output in a file."""

    def __init__(self, arguments, log, env=None):
        self.arguments = [str(argument) for argument in arguments]
        self.log = log
        with open(log, "ab") as output:
            self.popen = subprocess.Popen(
                self.arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**os.environ, **(env or {})}, start_new_session=True)

    @property
    def pid(self):
        return self.popen.pid

    def is_running(self):
        return self.popen.poll() is None

    def output(self):
        return self.log.read_text(errors="replace")

    def wait(self, seconds=10):
        """Its exit status."""
        return self.popen.wait(timeout=seconds)

    def stop(self, number=signal.SIGTERM, seconds=10):
        """Signals it, unless it has ended by itself; its exit status."""
        if self.is_running():
            self.popen.send_signal(number)
        try:
            return self.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.arguments[:1]} ignored signal {number}") from None

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()


class Node:
    """A host: one network namespace. IPv6 addresses count at once, and there is no IPv6 noise. TCP has cubic."""

    def __init__(self, lab, name):
        self.lab = lab
        self.name = name
        self.namespace = f"vt{os.getpid()}-{lab.number}-{name}"
        lab.nodes.append(self)  # first: an interrupted set-up is cleaned up too
        subprocess.run(["ip", "netns", "add", self.namespace], check=True)
        self.path = f"/run/netns/{self.namespace}"
        self.ip("link set lo up")
        self.run("sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0",
                 "net.ipv6.conf.default.accept_ra=0", "net.ipv6.conf.default.router_solicitations=0")
        self.use_congestion_control("cubic")

    def use_congestion_control(self, control):
        """By sockets that are opened from now on. One that changes from bbr to another stays paced."""
        self.run("sysctl", "-qw", f"net.ipv4.tcp_congestion_control={control}")

    def command(self, *arguments):
        return ["nsenter", f"--net={self.path}", *map(str, arguments)]

    def run(self, *arguments, check=True, seconds=30, text="", pass_fds=()):
        """Runs a program to its end, `text` being its input; returns a CompletedProcess with text output."""
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True,
                              timeout=seconds, input=text, pass_fds=pass_fds)
        self.lab.heard.append((arguments, done.stdout + done.stderr))
        if check and done.returncode != 0:
            raise AssertionError(f"{self.name}: {' '.join(map(str, arguments))}: "
                                 f"status {done.returncode}: {done.stderr.strip()}")
        return done

    def spawn(self, *arguments, env=None):
        log = self.lab.file(f"{self.name}-{pathlib.Path(str(arguments[0])).name}.log")
        return self.lab.adopt(Process(self.command(*arguments), log, env))

    def ip(self, line):
        return self.run("ip", *line.split())

    def nft(self, rules):
        subprocess.run(self.command("nft", "-f", "-"), input=rules, text=True, check=True)

    def has_interface(self, name):
        return self.run("ip", "link", "show", name, check=False).returncode == 0

    def counters(self, interface):
        """The kernel's own: {"rx": {"bytes", "packets"...}, "tx": ...}."""
        return json.loads(self.ip(f"-j -s link show {interface}").stdout)[0]["stats64"]

    @contextlib.contextmanager
    def entered(self):
        """Within it this thread's new sockets belong to the node; they stay there after it."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        away = os.open(self.path, os.O_RDONLY)
        try:
            _setns(away)
            yield
        finally:
            _setns(home)
            os.close(home)
            os.close(away)

    def socket(self, *kind, timeout=10):
        with self.entered():
            made = socket.socket(*kind)
        made.settimeout(timeout)
        return self.lab.stack.enter_context(made)

    def delete(self):
        subprocess.run(["ip", "netns", "del", self.namespace], check=False, stderr=subprocess.DEVNULL)


def _setns(descriptor):
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Cable:
    """A veth pair between two nodes, named alike at both ends, with a /24 and a /64 on it.

    Number n has 10.0.n.1 and fd00:n::1 at its first end, .2 and ::2 at its second.
    """

    def __init__(self, first, second, name, number, rate=None):
        self.ends = (first, second)
        self.name = name
        self.number = number
        self.join()
        for end in self.ends:
            self.address(end)
            end.ip(f"link set {name} up")
        if rate:
            self.limit(rate)

    def join(self):
        first, second = self.ends
        first.ip(f"link add {self.name} type veth peer name {self.name} netns {second.namespace}")

    def v4(self, end):
        return f"10.0.{self.number}.{self.ends.index(end) + 1}"

    def v6(self, end):
        return f"fd00:{self.number}::{self.ends.index(end) + 1}"

    def address(self, end):
        end.ip(f"addr add {self.v4(end)}/24 dev {self.name}")
        end.ip(f"addr add {self.v6(end)}/64 dev {self.name} nodad")

    def unaddress(self, end):
        end.ip(f"addr flush dev {self.name}")

    def limit(self, rate):
        for end in self.ends:
            end.run("tc", "qdisc", "replace", "dev", self.name, "root", "tbf",
                    "rate", rate, "burst", "32kb", "latency", "30ms")

    def lose(self, percent):
        """Drops that share of what arrives, at both ends; nobody is told."""
        verdict = "drop" if percent == 100 else f"numgen random mod 100 < {percent} drop"
        for end in self.ends:
            end.nft(f"""
                table netdev cut_{self.name} {{
                    chain in {{
                        type filter hook ingress device "{self.name}" priority 0
                        {verdict}
                    }}
                }}""")

    def cut_silently(self):
        self.lose(100)

    def mend(self):
        for end in self.ends:
            end.nft(f"delete table netdev cut_{self.name}")

    def down(self):
        self.ends[0].ip(f"link set {self.name} down")

    def up(self):
        self.ends[0].ip(f"link set {self.name} up")
        # The kernel drops the IPv6 addresses of an interface that goes down.
        self.ends[0].run("ip", "addr", "replace", f"{self.v6(self.ends[0])}/64", "dev", self.name, "nodad")


class Lab:
    """All that one test makes. Use as a context manager, or close()."""

    def __init__(self):
        self.number = next(_lab_numbers)
        self.stack = contextlib.ExitStack()
        self.directory = pathlib.Path(
            self.stack.enter_context(tempfile.TemporaryDirectory(prefix=f"vt{os.getpid()}-")))
        self.nodes = []
        self.cables = []
        self.processes = []
        self.heard = []  # (arguments, output) of what has run to its end
        self.daemons = []  # those of bond.py, to be looked at when the test ends
        self._files = itertools.count()

    def node(self, name):
        return Node(self, name)

    def cable(self, first, second, name, **options):
        made = Cable(first, second, name, len(self.cables) + 1, **options)
        self.cables.append(made)
        return made

    def adopt(self, process):
        self.processes.append(process)
        return process

    def file(self, name):
        return self.directory / f"{next(self._files)}-{name}"

    def logs(self):
        """(title, text) of everything that ran, for the report of a failed test."""
        for process in self.processes:
            yield process.log.name, process.output()

    def close(self):
        for process in reversed(self.processes):
            process.kill()
        for node in self.nodes:
            node.delete()
        self.stack.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
