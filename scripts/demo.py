# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""The demonstration that scripts/demo starts, on the lab of the netns tests."""
import concurrent.futures
import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests" / "netns"))

from bond import SERVER_IP, Pair  # noqa: E402
from lab import Lab, wait_until  # noqa: E402
from traffic import iperf  # noqa: E402

RATES_MBPS = [60, 40]
HEALTH = {"health_check_interval_ms": 200, "health_check_timeout_ms": 1000, "error_backoff_secs": 1}

# What must come true, as a share of what the rates would allow.
GAIN_MIN = 1.25  # both links over the better one alone
SURVIVOR_MIN = 0.5  # of the remaining link's rate, while the other one is cut
RETURNED_MIN = 0.25  # of the mended link's own rate, on it

PAUSE_MBPS = 1  # less than this is none
TICK_SECONDS = 0.25
BAR_WIDTH = 28


class Screen:
    """Colours and redrawing in place on a terminal, plain lines anywhere else."""

    def __init__(self):
        self.is_terminal = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.n_drawn = 0

    def paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.is_terminal and "NO_COLOR" not in os.environ else text

    def bold(self, text):
        return self.paint("1", text)

    def faint(self, text):
        return self.paint("2", text)

    def good(self, text):
        return self.paint("32", text)

    def bad(self, text):
        return self.paint("31", text)

    def print(self, text=""):
        """A line that stays."""
        print(text, flush=True)

    def draw(self, lines):
        """Lines that the next draw() replaces. Only on a terminal."""
        if not self.is_terminal:
            return
        back = f"\033[{self.n_drawn}F" if self.n_drawn else ""
        sys.stdout.write(back + "".join(f"\033[2K{line}\n" for line in lines))
        sys.stdout.flush()
        self.n_drawn = len(lines)

    def settle(self, lines):
        """The last state of what was drawn, as lines that stay."""
        self.draw(lines)
        if not self.is_terminal:
            for line in lines:
                self.print(line)
        self.n_drawn = 0

    def heading(self, text):
        self.print(f"\n{self.bold(text)}\n")


def bar(mbps, code, screen):
    n_full = min(BAR_WIDTH, round(BAR_WIDTH * mbps / sum(RATES_MBPS)))
    return screen.paint(code, "█" * n_full) + screen.faint("·" * (BAR_WIDTH - n_full))


class RateMeter:
    """Rate of the tunnel interface, by the kernel's counters, between two calls of read()."""

    def __init__(self, node, interface="tun0"):
        self.node, self.interface = node, interface
        self.at, self.bytes = self._now()

    def _now(self):
        return time.monotonic(), self.node.counters(self.interface)["tx"]["bytes"]

    def read(self):
        """In Mbit/s."""
        at, n_bytes = self._now()
        mbps = (n_bytes - self.bytes) * 8 / (at - self.at) / 1e6
        self.at, self.bytes = at, n_bytes
        return mbps


class Transfer:
    """One TCP flow through the tunnel, in the background."""

    def __init__(self, pair, seconds):
        self.executor = concurrent.futures.ThreadPoolExecutor(1)
        self.future = self.executor.submit(
            iperf, pair.client_node, pair.server_node, SERVER_IP, seconds, "--omit", 1)

    def is_running(self):
        return not self.future.done()

    def mbps(self):
        """Of the whole, when it has ended; raises what made it fail."""
        return self.future.result()["end"]["sum_received"]["bits_per_second"] / 1e6


class Throughput:
    """The first part: one TCP flow over link 1, over link 2, over both."""

    def __init__(self, screen, pair, seconds):
        self.screen, self.pair, self.seconds = screen, pair, seconds
        self.results = {}

    def line(self, title, mbps, note=""):
        return f"  {title:<16}{bar(mbps, 36, self.screen)}  {mbps:5.1f} Mbit/s  {note}"

    def measure(self, title, off=(), note=lambda mbps: ""):
        for cable in off:
            cable.down()
            self.pair.client.wait_path(cable.name, "down")
        meter, transfer = RateMeter(self.pair.client_node), Transfer(self.pair, self.seconds)
        while transfer.is_running():
            time.sleep(TICK_SECONDS)
            self.screen.draw([self.line(title, meter.read(), self.screen.faint("measuring"))])
        mbps = transfer.mbps()
        self.screen.settle([self.line(title, mbps, note(mbps))])
        for cable in off:
            cable.up()
            self.pair.client.wait_path(cable.name, "up")
        return mbps

    def run(self):
        first, second = self.pair.cables
        self.results = {
            "wan1 alone": self.measure("wan1 alone", [second]),
            "wan2 alone": self.measure("wan2 alone", [first]),
        }
        best = max(self.results.values())
        self.results["both"] = self.measure(
            "both", note=lambda mbps: self.screen.bold(f"{mbps / best:.2f} x the better one"))

    @property
    def gain(self):
        return self.results["both"] / max(self.results["wan1 alone"], self.results["wan2 alone"])


class Cut:
    """The second part: a link is cut under a running transfer, and mended."""

    def __init__(self, screen, pair, cut_at, mend_at, end_at):
        self.screen, self.pair = screen, pair
        self.cable, self.rate_mbps, self.other_mbps = pair.cables[0], RATES_MBPS[0], RATES_MBPS[1]
        self.plan = [(cut_at, self.cut), (mend_at, self.mend)]
        self.seconds = end_at
        self.events = []
        self.phase = "whole"
        self.went_down = self.came_up = False
        self.best_while_cut = self.best_after = 0.0
        self.pause = self.longest_pause = 0.0
        self.failure = None

    def run(self):
        transfer, meter = Transfer(self.pair, self.seconds - 1), RateMeter(self.pair.client_node)
        self.start = time.monotonic()
        printed_at = 0.0
        while transfer.is_running() and self.now() < self.seconds - 2 * TICK_SECONDS:
            time.sleep(TICK_SECONDS)
            while self.plan and self.now() >= self.plan[0][0]:
                self.plan.pop(0)[1]()
            tunnel_mbps, paths = meter.read(), [self.pair.client_path(cable) for cable in self.pair.cables]
            self.watch(tunnel_mbps, paths[0])
            self.screen.draw(self.table(tunnel_mbps, paths))
            if not self.screen.is_terminal and self.now() - printed_at >= 1:
                printed_at = self.now()
                self.screen.print(self.plain(tunnel_mbps, paths))
        self.screen.n_drawn = 0
        try:
            transfer.mbps()
        except Exception as failure:  # pylint: disable=broad-except
            self.failure = failure

    def now(self):
        return time.monotonic() - self.start

    def tell(self, text):
        event = f"  {self.now():5.1f} s  {text}"
        self.events.append(event)
        if not self.screen.is_terminal:
            self.screen.print(event)

    def cut(self):
        self.cable.cut_silently()
        self.phase = "cut"
        self.tell(f"{self.cable.name} is cut: it swallows all packets, and nobody is told")

    def mend(self):
        self.cable.mend()
        self.phase = "mended"
        self.tell(f"{self.cable.name} is mended")

    def watch(self, tunnel_mbps, path):
        """Notes what the cut link does, and whether the transfer goes on."""
        self.pause = self.pause + TICK_SECONDS if tunnel_mbps < PAUSE_MBPS else 0.0
        self.longest_pause = max(self.longest_pause, self.pause)
        if self.phase == "cut":
            if path["state"] == "down" and not self.went_down:
                self.went_down = True
                self.tell(f"vtrunkd has found out: {self.cable.name} is down")
            if self.went_down:
                self.best_while_cut = max(self.best_while_cut, tunnel_mbps)
        elif self.phase == "mended" and path["state"] == "up":
            if not self.came_up:
                self.came_up = True
                self.tell(f"{self.cable.name} is up and used again")
            self.best_after = max(self.best_after, path["tx_bps"] / 1e6)

    def table(self, tunnel_mbps, paths):
        lines = [self.screen.faint(
            f"  {'link':<8}{'limit':>9}  {'state':<8}{'RTT':>8}{'out':>10}{'in':>8}  Mbit/s")]
        for cable, limit, path in zip(self.pair.cables, RATES_MBPS, paths):
            paint = self.screen.good if path["state"] == "up" else self.screen.bad
            rtt, out, back = numbers(path)
            state = paint(f"{path['state']:<8}")
            lines.append(f"  {cable.name:<8}{limit:>9}  {state}{rtt:>8}{out:10.1f}{back:8.1f}  "
                         f"{bar(out, 36, self.screen)}")
        lines.append(f"  {'tunnel':<8}{sum(RATES_MBPS):>9}  {'':<16}{tunnel_mbps:10.1f}{'':8}  "
                     f"{bar(tunnel_mbps, 35, self.screen)}")
        return lines + [""] + [event.ljust(78) for event in self.events]

    def plain(self, tunnel_mbps, paths):
        links = [f"{cable.name} {path['state']:<5}{rtt:>7} {out:6.1f} out{back:5.1f} in"
                 for cable, path in zip(self.pair.cables, paths) for rtt, out, back in [numbers(path)]]
        return f"  {self.now():5.1f} s  {' | '.join(links)} | tunnel {tunnel_mbps:5.1f} Mbit/s"


def numbers(path):
    """RTT as text, and the rates out and in, in Mbit/s."""
    rtt = f"{path['rtt_us'] / 1000:.1f} ms" if path["rtt_us"] else "-"
    return rtt, path["tx_bps"] / 1e6, path["rx_bps"] / 1e6


def summarize(screen, throughput, cut):
    """Prints what was shown and what was not; True if all was."""
    pause = f"pausing for {cut.longest_pause:.1f} s" if cut.longest_pause else "without a pause"
    claims = [
        (throughput.gain >= GAIN_MIN,
         f"both links carried {throughput.results['both']:.1f} Mbit/s, {throughput.gain:.2f} x what "
         "the better one did alone"),
        (cut.failure is None,
         f"the TCP connection lived through the cut{f': {cut.failure}' if cut.failure else ', ' + pause}"),
        (cut.went_down and cut.best_while_cut >= SURVIVOR_MIN * cut.other_mbps,
         f"with one link cut, the other one carried on at up to {cut.best_while_cut:.1f} Mbit/s"),
        (cut.came_up and cut.best_after >= RETURNED_MIN * cut.rate_mbps,
         f"mended, the link was used again, at up to {cut.best_after:.1f} Mbit/s"),
    ]
    screen.heading("Summary")
    for holds, text in claims:
        screen.print(f"  {screen.good('yes') if holds else screen.bad('NO ')}  {text}")
    screen.print()
    return all(holds for holds, _ in claims)


def picture(screen):
    screen.print()
    for line in [
            "  client   ╔═ wan1 ══ 60 Mbit/s ═╗   server",
            "  tun0 ════╣                     ╠════ tun0",
            "10.10.0.2  ╚═ wan2 ══ 40 Mbit/s ═╝  10.10.0.1"]:
        screen.print(f"        {line}")
    screen.print()
    screen.print(screen.faint("  Mode aggregate. Nobody tells vtrunkd the rates: it learns them from the other side."))


def run(screen, is_quick):
    with Lab() as lab:
        picture(screen)
        pair = Pair(lab, "aggregate", rates=[f"{mbps}mbit" for mbps in RATES_MBPS],
                    client=HEALTH, server=HEALTH, start=False)
        for daemon in (pair.client, pair.server):
            daemon.sections["daemon"] = {"log_level": "info"}
        pair.start()
        wait_until(lambda: pair.client.peer()["multilink"], 10, "the two have recognised each other")

        screen.heading("One TCP flow through the tunnel")
        throughput = Throughput(screen, pair, 2 if is_quick else 5)
        throughput.run()

        screen.heading("A link is cut while a transfer runs, and comes back")
        times = (3, 7, 12) if is_quick else (4, 10, 18)
        cut = Cut(screen, pair, *times)
        cut.run()
        return summarize(screen, throughput, cut)


def interrupted(*_):
    # Once: the cleaning up is not to be interrupted.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    try:
        return 0 if run(Screen(), "--quick" in sys.argv[1:]) else 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted; all is cleaned up", file=sys.stderr)
        return 130
    except AssertionError as failure:
        print(f"\ndemo: {failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
