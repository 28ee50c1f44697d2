# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""What is measured: tunnels between two namespaces, each with a Lab of its own.

    client 10.10.0.2 ==== tunnel, MTU 1420 ==== 10.10.0.1 server
         10.0.1.1 ---- veth pair, MTU 1500 ---- 10.0.1.2
"""
import contextlib
import itertools
import os
import pathlib
import shlex
import signal
import struct
import subprocess
import time

from bond import CLIENT_IP, PORT, SERVER_IP, VTRUNKD, Keys, Pair
from lab import Lab, wait_until
from many import peers_for_wg, set_by_wg
from traffic import wait_for_ping

MTU = 1420
ENDED = ("X", "Z")  # states of a process
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGESIZE")
KERNEL_SPACE = 1 << 63
PAGE_PRESENT, PAGE_FRAME = 1 << 63, (1 << 55) - 1
_numbers = itertools.count()


class Tunnel:
    """Base of all: two nodes, what runs in them, and what these processes have used."""

    address = SERVER_IP  # to send to, from the client

    def __init__(self):
        self.lab = Lab()
        self.pids = []
        self.ends = []  # the processes of each end
        try:
            self.set_up()
            wait_for_ping(self.client, self.address)
            self.ends = [pids_in(node) for node in (self.client, self.server)]
            self.pids = sum(self.ends, [])
        except BaseException:
            self.close()
            raise

    def set_up(self):
        """Sets self.client and self.server, and makes address reachable between them.

        And of the server's daemon self.server_key, public, and self.server_socket, for wg.
        """
        raise NotImplementedError

    def close(self):
        self.lab.close()

    def add_players(self, n):
        """That many more peers of the server, which wgpeers plays."""
        set_by_wg(self.server_socket, peers_for_wg(n))

    def use_congestion_control(self, control):
        """By sockets that the traffic tools open from now on."""
        for node in (self.client, self.server):
            node.use_congestion_control(control)

    def cut_bursts(self):
        """From now on each datagram crosses the veth alone, as it does on most wires."""
        for cable in self.lab.cables:
            for end in cable.ends:
                end.run("ethtool", "-K", cable.name, "tx-udp-segmentation", "off")
                features = end.run("ethtool", "-k", cable.name).stdout
                assert "tx-udp-segmentation: off" in features, "the veth keeps cutting UDP itself"

    def check(self):
        """Fails if a daemon has ended."""
        for pid in self.pids:
            assert _stat(pid)[0] not in ENDED, f"process {pid} of the tunnel has ended"

    def cpu_seconds(self):
        """Used so far by the daemons of both ends, with all their threads."""
        return sum(_cpu_ticks(pid) for pid in self.pids) / TICKS

    def server_cpu_seconds(self):
        return sum(map(_cpu_ticks, self.ends[1])) / TICKS

    def resident_mb(self):
        """Of the larger end, now: the pages of all its processes, those that they share once."""
        return max((resident_bytes(pids) / 1e6 for pids in self.ends if pids), default=None)

    def idle_use(self, seconds):
        """Of the busier end, while nobody uses the tunnel: wake-ups a second, and CPU in percent of a core."""
        before = [(wake_ups(pids), sum(map(_cpu_ticks, pids))) for pids in self.ends]
        time.sleep(seconds)
        return {"wakes": max((wake_ups(pids) - wakes) / seconds for pids, (wakes, _) in zip(self.ends, before)),
                "idle_cpu": max(100 * (sum(map(_cpu_ticks, pids)) - ticks) / TICKS / seconds
                                for pids, (_, ticks) in zip(self.ends, before))}

    def forget_peak(self):
        """From now on the kernel notes anew what each process has at most."""
        for pid in self.pids:
            pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak_mb(self):
        """Of the larger end: what its processes had at most since forget_peak(), each by itself, together."""
        return max((sum(_memory_bytes(pid, "VmHWM") for pid in pids) / 1e6 for pids in self.ends if pids),
                   default=None)


class RawVeth(Tunnel):
    """No tunnel at all."""

    def set_up(self):
        self.client, self.server = self.lab.node("client"), self.lab.node("server")
        self.address = self.lab.cable(self.client, self.server, "wan1").v4(self.server)


class Vtrunkd(Tunnel):
    def __init__(self, n_links=1, aead=None, profile=None):
        self.n_links, self.aead, self.profile = n_links, aead, profile
        super().__init__()

    def make_pair(self, **options):
        return Pair(self.lab, rates=[None] * self.n_links, **options)

    def set_up(self):
        # The health checks as they are by default, not those of the tests, which are in a hurry.
        defaults = {"health_check_interval_ms": None, "health_check_timeout_ms": None, "error_backoff_secs": None}
        pair = self.pair = self.make_pair(client=defaults, server=defaults, start=False)
        for daemon in (pair.client, pair.server):
            daemon.sections["daemon"] = {"log_level": "info", "aead": self.aead, "profile": self.profile}
            daemon.sections["network"]["mtu"] = MTU
        pair.start()
        self.client, self.server = pair.client_node, pair.server_node
        self.server_key, self.server_socket = pair.server_keys.public, pair.server.wg_socket()


class Uapi(Tunnel):
    """Any daemon that makes an interface and is configured as `wg` does it."""

    def __init__(self, command):
        self.command = command
        super().__init__()

    def set_up(self):
        self.client, self.server = self.lab.node("client"), self.lab.node("server")
        cable = self.make_cable()
        keys, server_keys = Keys(), Keys()
        interface = self.run_end(self.server, SERVER_IP, server_keys, keys, CLIENT_IP)
        self.server_key, self.server_socket = server_keys.public, socket_of(interface)
        self.run_end(self.client, CLIENT_IP, keys, server_keys, SERVER_IP,
                     "endpoint", f"{cable.v4(self.server)}:{PORT}")

    def make_cable(self):
        return self.lab.cable(self.client, self.server, "wan1")

    def run_end(self, node, address, keys, peer_keys, peer_address, *peer_options):
        interface = self.start(node)
        private_key = self.lab.file("key")
        private_key.touch(0o600)
        private_key.write_text(keys.private)
        node.run("wg", "set", interface, "private-key", private_key, "listen-port", PORT,
                 "peer", peer_keys.public, "allowed-ips", f"{peer_address}/32", *peer_options)
        node.ip(f"addr add {address}/24 dev {interface}")
        node.ip(f"link set {interface} mtu {MTU} up")
        return interface

    def start(self, node):
        """The control sockets share one directory of the machine, so the interfaces' names are unique."""
        interface = f"vb{os.getpid()}-{next(_numbers)}"
        socket = socket_of(interface)
        self.lab.stack.callback(socket.unlink, missing_ok=True)
        process = node.spawn(*(interface if word == "IFACE" else word for word in shlex.split(self.command)))
        wait_until(lambda: socket.exists() or (not process.is_running() and process.wait() != 0), 10,
                   f"'{self.command}' has a control socket")
        assert socket.exists(), f"'{self.command}' ended: {process.output()[-1000:]}"
        self.lab.stack.callback(kill_all, pids_in(node), namespace_of(node.path))
        return interface


def socket_of(interface):
    return pathlib.Path(f"/run/wireguard/{interface}.sock")


def namespace_of(path):
    return os.stat(path).st_ino


def kill_all(pids, namespace):
    """Those that went to the background are no children of ours; a reused number is left alone."""
    for pid in pids:
        with contextlib.suppress(OSError):
            if namespace_of(f"/proc/{pid}/ns/net") == namespace:
                os.kill(pid, signal.SIGKILL)


def pids_in(node):
    done = subprocess.run(["ip", "netns", "pids", node.namespace], capture_output=True, text=True, check=True)
    return [int(pid) for pid in done.stdout.split()]


def _stat(pid):
    """The fields of /proc/PID/stat from the third on: the state comes first."""
    try:
        # The name, in parentheses, may hold anything.
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ["X"]


def _cpu_ticks(pid):
    stat = _stat(pid)
    return 0 if stat[0] == "X" else int(stat[11]) + int(stat[12])


def _memory_bytes(pid, field):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


def resident_bytes(pids):
    """All that is resident of these processes, a page that several have counted once."""
    return len(set().union(*map(_page_frames, pids))) * PAGE


def _page_frames(pid):
    # See Documentation/admin-guide/mm/pagemap.rst: 64 bits for each page of the address space.
    frames = set()
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        for line in maps:
            begin, end = (int(address, 16) // PAGE for address in line.split()[0].split("-"))
            if begin * PAGE >= KERNEL_SPACE:
                continue  # vsyscall
            pagemap.seek(begin * 8)
            entries = struct.iter_unpack("=Q", pagemap.read((end - begin) * 8))
            frames.update(entry & PAGE_FRAME for (entry,) in entries if entry & PAGE_PRESENT)
    return frames - {0}  # nobody but root sees them


def wake_ups(pids):
    """How often threads of these processes have gone to sleep by themselves so far."""
    return sum(int(line.split()[1]) for pid in pids for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status")
               for line in status.read_text().splitlines() if line.startswith("voluntary_ctxt_switches:"))


def machine_cpu_seconds():
    """Of all processes and the kernel: user, nice, system, irq, softirq."""
    with open("/proc/stat") as stat:
        fields = [int(field) for field in stat.readline().split()[1:]]
    return (fields[0] + fields[1] + fields[2] + fields[5] + fields[6]) / TICKS


def vtrunkd_version():
    return subprocess.run([VTRUNKD, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def aead_backends():
    """Those that `vtrunkd --version` names in a line "aead: NAME NAME"; [None] if there is no choice."""
    for line in vtrunkd_version().splitlines():
        if line.startswith("aead:"):
            return line.split()[1:]
    return [None]
