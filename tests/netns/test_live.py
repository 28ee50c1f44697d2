# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""vtrunkctl watch in a terminal: what it shows, and that it leaves the terminal as it was.

    client 10.10.0.2                       server 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios

import pytest

from bond import VTRUNKCTL, Pair
from lab import becomes_true, wait_until

LEAVE = b"\x1b[?25h\x1b[?1049l"


class Terminal:
    """vtrunkctl watch, in a terminal of that width."""

    def __init__(self, daemon, columns=80, **environment):
        self.ours, self.its = pty.openpty()
        daemon.node.lab.stack.callback(self.close)
        self.resize(columns)
        self.before = termios.tcgetattr(self.its)
        self.out = b""
        self.popen = subprocess.Popen(
            [VTRUNKCTL, "--socket", daemon.control, "--interval", "0.2", "watch"], start_new_session=True,
            stdin=self.its, stdout=self.its, stderr=self.its, env={**os.environ, "TERM": "xterm", **environment})

    def close(self):
        self.popen.kill()
        self.popen.wait()
        os.close(self.ours)
        os.close(self.its)

    def resize(self, columns):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def read(self):
        while select.select([self.ours], [], [], 0)[0]:
            self.out += os.read(self.ours, 1 << 16)
        return self.out

    def frame(self):
        """The lines of the last frame that is complete, without colours."""
        frames = self.read().split(b"\x1b[?7l\x1b[H")
        text = frames[-2].decode() if len(frames) > 2 else ""
        return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", text).replace("\r", "").split("\n")

    def wait_line(self, *parts):
        return wait_until(lambda: next((line for line in self.frame() if all(p in line for p in parts)), None), 15,
                          f"a line with {parts}")


@pytest.mark.parametrize("how", ["q", signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_as_before_in_the_end(lab, how):
    terminal = Terminal(Pair(lab, rates=[None]).client)
    terminal.wait_line("wan1", "carries data")
    assert termios.tcgetattr(terminal.its) != terminal.before
    if how == "q":
        os.write(terminal.ours, b"q")
    else:
        terminal.popen.send_signal(how)
    assert terminal.popen.wait(10) == 0
    assert terminal.read().endswith(LEAVE)
    assert termios.tcgetattr(terminal.its) == terminal.before


def test_it_follows_the_size_and_does_without_colour_and_utf8(lab):
    client = Pair(lab, rates=[None]).client
    terminal = Terminal(client, LC_ALL="C", NO_COLOR="1")
    terminal.wait_line("* wan1", "carries data")
    assert all(byte < 128 for byte in terminal.read()) and b"\x1b[32m" not in terminal.out
    terminal.resize(60)
    terminal.popen.send_signal(signal.SIGWINCH)
    assert becomes_true(lambda: 0 < max(map(len, terminal.frame())) <= 60, 15), terminal.frame()


def test_it_says_when_the_daemon_goes_and_sees_it_come_back(lab):
    pair = Pair(lab, rates=[None])
    terminal = Terminal(pair.client)
    terminal.wait_line("wan1", "carries data")
    pair.client.stop()
    terminal.wait_line("no vtrunkd listens", "waiting for it")
    pair.client.start()
    terminal.wait_line("wan1", "carries data")
