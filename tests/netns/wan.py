# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""A cable with the WAN emulator in the middle. See docs/design/wan-emulator.md.

    first ------ end0 [ wan ] end1 ------ second
      wanN         namespace "wire"         wanN
            up ------------------------->
            <----------------------- down
"""
import json
import socket

from bond import BUILD, Pair
from lab import Cable, wait_until

WAN = BUILD / "tests/wan/wan"


class Wan(Cable):
    """`settings` and the lines of `schedule` are those of `wan --help`.

    Each wire of a lab has a seed of its own by default, so that two don't lose the same packets.
    """

    def __init__(self, first, second, name, settings="", schedule=(), seed=None):
        self.lab = first.lab
        self.settings = settings
        self.schedule = schedule
        self.seed = seed
        super().__init__(first, second, name, len(self.lab.cables) + 1)
        self.lab.cables.append(self)

    def join(self):
        self.wire = self.lab.node(f"wire-{self.name}")
        for number, end in enumerate(self.ends):
            end.ip(f"link add {self.name} type veth peer name end{number} netns {self.wire.namespace}")
            self.wire.ip(f"link set end{number} up")
        self.socket = self.lab.stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self.socket.settimeout(10)
        self.socket.bind(str(self.lab.file(f"{self.name}-answers")))
        self.control = self.lab.file(f"{self.name}-control")
        self.start()

    def start(self):
        lines = [option for line in self.schedule for option in ("--at", line)]
        seed = self.number if self.seed is None else self.seed
        self.process = self.wire.spawn(WAN, "--control", self.control, "--seed", seed, *lines,
                                       "end0", "end1", *self.settings.split())
        wait_until(lambda: self.control.exists() or not self.process.is_running(), 10, "the wire is up")
        assert self.process.is_running(), self.process.output()

    def ask(self, line):
        self.socket.sendto(line.encode(), str(self.control))
        return self.socket.recv(1 << 16).decode()

    def set(self, settings):
        """From now on; effective when it returns."""
        answer = self.ask(settings)
        assert answer == "ok\n", answer

    def restart_schedule(self):
        assert self.ask("restart") == "ok\n"

    def stats(self):
        """{"seconds", "cpu_seconds", "up": {"packets_in": ...}, "down": ...}"""
        return json.loads(self.ask("stats"))

    def cut_silently(self):
        self.set("blackout=yes")

    def mend(self):
        self.set("blackout=no")


class WanPair(Pair):
    """A Pair whose cables are Wans: `rates` are their settings."""

    def make_cable(self, lab, name, rate):
        return Wan(self.client_node, self.server_node, name, rate)
