# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""A whole machine with the Linux kernel's own WireGuard: Debian's kernel in qemu (tests/guest/).

    host (a Node)                 its bridges                       the guest
      wan1 10.0.1.1 -- cable -- [wan1, bridge1, tap1] -- virtio -- 10.0.1.2 wan1
      wan2 10.0.2.1 -- cable -- [wan2, bridge2, tap2] -- virtio -- 10.0.2.2 wan2

One guest serves all tests of a file: Guest boots it, plug() joins it to a host for one test, and
reset() makes it forget.
"""
import concurrent.futures
import hashlib
import os
import pathlib
import shlex
import signal
import socket
import subprocess

from lab import wait_until
from traffic import family_of

BUILT = pathlib.Path(os.environ.get("VTRUNKD_GUEST", pathlib.Path(__file__).parents[2] / "build-guest"))
BOOT_SECONDS = 90  # 4 on an idle machine
TUNNEL = "wg0"


class Guest:
    def __init__(self, lab, n_links=2):
        missing = [path for path in (BUILT / "vmlinuz", BUILT / "initrd") if not path.exists()]
        assert not missing, f"{missing[0]} is missing: run scripts/setup test"
        self.lab = lab
        self.name = "guest"
        self.machine = lab.node("machine")
        self.cables = []
        self.links = [f"wan{n}" for n in range(1, n_links + 1)]
        devices = []
        for n, link in enumerate(self.links, 1):
            self.machine.ip(f"link add bridge{n} type bridge")
            self.machine.ip(f"link set bridge{n} up")
            self.machine.ip(f"tuntap add tap{n} mode tap")
            self.machine.ip(f"link set tap{n} master bridge{n} up")
            devices += ["-netdev", f"tap,id={link},ifname=tap{n},script=no,downscript=no",
                        "-device", f"virtio-net-pci,netdev={link},mac=52:54:00:00:00:0{n}"]
        self._boot(devices)
        for n, link in enumerate(self.links):
            self.run("ip", "link", "set", f"eth{n}", "name", link)

    def _boot(self, devices):
        path = self.lab.file("agent")
        # TCG: works everywhere, and the tests are about correctness. 64 MB for its code, not a gigabyte.
        self.process = self.machine.spawn(
            "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,tb-size=64", "-cpu", "max", "-m", "256", "-smp", "1",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
            "-kernel", BUILT / "vmlinuz", "-initrd", BUILT / "initrd",
            "-append", "console=ttyS0 quiet panic=-1 mitigations=off",
            "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent",
            "-chardev", f"socket,id=agent,path={path},server=on,wait=on", *devices)
        connection = self.lab.stack.enter_context(socket.socket(socket.AF_UNIX))
        # The path is there before anybody listens.
        wait_until(lambda: connection.connect_ex(str(path)) == 0 or not self.process.is_running(), 10, "qemu listens")
        assert self.process.is_running(), f"qemu ended: {self.process.output()}"
        self.agent = self.lab.stack.enter_context(connection.makefile("rwb"))
        self.connection = connection
        self.shell("true", seconds=BOOT_SECONDS)

    def shell(self, line, check=True, seconds=30):
        """Runs one line of shell; a CompletedProcess with its status and its output, errors included."""
        assert "\n" not in line
        self.connection.settimeout(seconds)
        self.agent.write(line.encode() + b"\n")
        self.agent.flush()
        status, length = map(int, self.agent.readline().split())
        done = subprocess.CompletedProcess(line, status, self.agent.read(length).decode(errors="replace"))
        if check and status != 0:
            raise AssertionError(f"guest: {line}: status {status}: {done.stdout.strip()}")
        return done

    def run(self, *arguments, check=True, seconds=30):
        return self.shell(as_line(arguments), check, seconds)

    def ip(self, line):
        return self.run("ip", *line.split())

    def plug(self, cables):
        """Joins the guest to the far ends of `cables`, which lead to its machine, under their addresses."""
        self.cables = cables
        for n, cable in enumerate(cables, 1):
            cable.unaddress(self.machine)
            self.machine.ip(f"link set {cable.name} master bridge{n}")
            self.ip(f"link set {cable.name} up")
            self.address(cable)

    def address(self, cable):
        self.ip(f"addr add {cable.v4(self.machine)}/24 dev {cable.name}")
        self.ip(f"addr add {cable.v6(self.machine)}/64 dev {cable.name}")

    def unaddress(self, cable):
        self.ip(f"addr flush dev {cable.name}")

    def reset(self):
        self.shell("killall -9 nc ping; rm -f /tmp/*; true")
        self.run("ip", "link", "del", TUNNEL, check=False)
        for cable in self.cables:
            self.unaddress(cable)
            self.ip(f"link set {cable.name} down")
            # With both ends: the name is free at once.
            self.machine.run("ip", "link", "del", cable.name, check=False)
        self.cables = []

    def write(self, text):
        """A file with that content; its path."""
        self.shell(f"echo {shlex.quote(text)} >/tmp/secret")
        return "/tmp/secret"

    def spawn(self, *arguments):
        """Starts a program that goes on by itself."""
        return GuestProcess(self, arguments)


def as_line(arguments):
    # busybox prefers its own ping, which knows less, unless it is told where to look.
    program, *others = map(str, arguments)
    return shlex.join(["/bin/ping" if program == "ping" else program, *others])


class GuestProcess:
    """Of lab.Process what pings need."""

    def __init__(self, guest, arguments):
        self.guest = guest
        self.log = guest.shell("mktemp").stdout.strip()
        self.pid = guest.shell(f"{as_line(arguments)} >{self.log} 2>&1 & echo $!").stdout.strip()

    def output(self):
        return self.guest.run("cat", self.log).stdout

    def stop(self, number=signal.SIGTERM):
        self.guest.run("kill", f"-{int(number)}", self.pid, check=False)
        wait_until(lambda: self.guest.run("test", "-e", f"/proc/{self.pid}", check=False).returncode, 5,
                   "a process of the guest ends")

    def kill(self):
        self.stop(signal.SIGKILL)


def upload(guest, node, address, n_bytes=1 << 20):
    """Random bytes by TCP from the guest to the node's address; fails unless the very same ones arrive."""
    guest.shell(f"head -c {n_bytes} /dev/urandom >/tmp/data")
    with _Listener(node, address) as listener:
        line = guest.shell(f"nc {address} {listener.port} </tmp/data && sha256sum </tmp/data", seconds=60).stdout
        received = listener.result()
    assert line.split()[0] == hashlib.sha256(received).hexdigest(), "what arrived is not what was sent"


def download(guest, node, address, n_bytes=1 << 20):
    """The same the other way."""
    data = os.urandom(n_bytes)
    with _Listener(node, address, data) as listener:
        line = guest.shell(f"nc {address} {listener.port} </dev/null | sha256sum", seconds=60).stdout
        listener.result()
    assert line.split()[0] == hashlib.sha256(data).hexdigest(), "what arrived is not what was sent"


class _Listener:
    """Accepts one connection of the guest, sends `data` and reads what comes."""

    def __init__(self, node, address, data=b""):
        self.socket = node.socket(family_of(address), socket.SOCK_STREAM, timeout=60)
        self.socket.bind((address, 0))
        self.socket.listen(1)
        self.port = self.socket.getsockname()[1]
        self.executor = concurrent.futures.ThreadPoolExecutor(1)
        self.future = self.executor.submit(self._serve, data)

    def _serve(self, data):
        connection, _ = self.socket.accept()
        with connection:
            connection.settimeout(60)
            received = b""
            connection.sendall(data)
            if data:  # nc ends with what it reads from us, even if it has not sent all
                connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(1 << 18):
                received += chunk
        return received

    def result(self):
        return self.future.result(60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.executor.shutdown(wait=False)
