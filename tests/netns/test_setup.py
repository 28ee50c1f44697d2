# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Each step of the start fails once: the cause is told, and nothing is left behind.

    server, tun0 10.10.0.1/24, a route to 10.9.0.0/16; its peer never comes
"""
import fcntl
import os
import pathlib
import re
import signal
import socket

import pytest

from bond import PORT, VTRUNKD
from lab import becomes_true, wait_until
from test_service import IS_SANITIZED, children, lone_daemon, without

# A tracer, and LeakSanitizer, which wants to be one itself.
NO_LEAK_CHECK = {"ASAN_OPTIONS": "detect_leaks=0"}


def routed_daemon(lab, **daemon):
    made = lone_daemon(lab, start=False, daemon=daemon)
    made.sections["network"]["table"] = 100
    made.sections["wireguard"]["allowed_ips"] = "10.9.0.0/16"
    return made


def in_files(lab):
    """All but logs, what is kept over a restart, and directories that are made once."""
    return {str(path) for path in lab.directory.rglob("*")
            if path.suffix not in (".log", ".timestamp") and not path.name.endswith("-wg")}


def processes_of(daemon):
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if str(daemon.config).encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


class Ground:
    """What the kernel and the file system have of a daemon, to be compared before and after."""

    COMMANDS = ["ip -j link show", "ip -j addr show", "ip -4 route show table all", "ip -6 route show table 100",
                "ip -4 rule", "ip -6 rule", "ss -Hanup", "ss -Hantp", "ss -Hxl"]

    def __init__(self, daemon):
        self.daemon = daemon
        daemon.write_config()
        self.before = self.look()

    def look(self):
        node = self.daemon.node
        return {"files": in_files(node.lab), **{
            command: node.run(*command.split(), check=False).stdout for command in self.COMMANDS}}

    def assert_is_clean(self):
        wait_until(lambda: not processes_of(self.daemon), 5, "all processes have ended")
        assert self.look() == self.before


def in_mounts(script):
    return ["unshare", "--mount", "sh", "-c", f'{script} && exec "$@"', "sh"]


def hold_lock(daemon):
    held = open(f"{daemon.control}.lock", "w")
    daemon.node.lab.stack.enter_context(held)
    held.write("4711\n")
    held.flush()
    fcntl.flock(held, fcntl.LOCK_EX)


def listen(daemon, path):
    listener = daemon.node.lab.stack.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(str(path))
    listener.listen()


def take_address(daemon):
    daemon.node.ip("link add other type veth")
    daemon.node.ip("addr add 10.10.0.1/24 dev other")


def take_route(daemon):
    daemon.node.ip("link add other type veth")
    daemon.node.ip("link set other up")
    daemon.node.ip("route add 10.9.0.0/16 dev other table 100")


def take_port(daemon, kind, port):
    taken = daemon.node.socket(socket.AF_INET, kind)
    taken.bind(("127.0.0.1" if kind == socket.SOCK_STREAM else "0.0.0.0", port))
    if kind == socket.SOCK_STREAM:
        taken.listen()


def open_key_file(daemon):
    key = daemon.node.lab.file("key")
    key.write_text(daemon.sections["wireguard"].pop("private_key") + "\n")
    key.chmod(0o644)
    daemon.sections["wireguard"]["private_key_file"] = key


STRICT = {"fail_on_init_warnings": "on"}

# what fails: (keys of [daemon], what is done before, through what it is started, what it says)
STEPS = {
    "capability": ({}, None, without("net_admin"), "Missing required capabilities: CAP_NET_ADMIN"),
    "key_file_mode": ({}, open_key_file, [], "-key holds a secret but has mode 0644"),
    "directory_mode": ({}, lambda d: d.node.lab.directory.chmod(0o777), [], " can be changed by others, having mode 0777"),
    "user": ({"user": "nosuchuser"}, None, [], "user = nosuchuser: there is no such user"),
    "state_directory": ({"state_dir": "/nonexistent/state"}, None, [], "/nonexistent/state"),
    "lock_directory": ({"lock_file": "/nonexistent/dir/lock"}, None, [], "/nonexistent/dir"),
    "lock_held": ({}, hold_lock, [], "already running, pid 4711"),
    "pid_file": ({"pid_file": "/etc/passwd"}, None, [], "PID file /etc/passwd: something else is there"),
    "control_socket_no_socket": ({"control_socket": "/etc/passwd"}, None, [], "control socket /etc/passwd: a file of"),
    "control_socket_long": ({"control_socket": "/tmp/" + "x" * 120}, None, [], "an absolute path of at most 107"),
    "control_socket_taken": ({}, lambda d: listen(d, d.control), [], "another daemon listens there"),
    "metrics_socket": ({"metrics_socket": "/etc/passwd"}, None, [], "metrics socket /etc/passwd"),
    "metrics_port": ({"metrics_listen": "127.0.0.1:9999"}, lambda d: take_port(d, socket.SOCK_STREAM, 9999), [],
                     "metrics_listen = 127.0.0.1:9999: Address already in use"),
    "no_tun_device": ({}, None, in_mounts("mount -t tmpfs none /dev/net"), "/dev/net/tun: No such file"),
    "tun_of_another_kind": ({}, None, in_mounts("mount --bind /dev/null /dev/net/tun"), "/dev/net/tun"),
    "interface": ({}, lambda d: d.node.ip("link add tun0 type veth"), [], "tunnel interface tun0"),
    "address": ({}, take_address, [], "address 10.10.0.1/24 is taken by interface other"),
    "route": ({}, take_route, [], "10.9.0.0/16 in table 100"),
    "port": ({}, lambda d: take_port(d, socket.SOCK_DGRAM, PORT), [], "51820, device any): Address already in use"),
    # These are warnings, if the configuration does not say otherwise.
    "state_file": (STRICT, lambda d: (d.state / "default.timestamp.tmp").mkdir(), [], "cannot keep the handshake"),
    "memory": (STRICT, None, ["prlimit", "--memlock=65536:65536", *without("sys_resource")], "memory is not locked"),
    "drop_to_user": (STRICT, None, without("setuid"), "cannot become an unprivileged user"),
    "cgroup": ({**STRICT, "cgroup": "nonexistent/vpn"}, None, [], "cgroup: "),
    "hook": (STRICT, lambda d: d.sections["network"].update(on_up="/nonexistent/hook"), [],
             "on_up = /nonexistent/hook: No such file"),
}
if not IS_SANITIZED:
    STEPS["chroot"] = (STRICT, None, without("sys_chroot"), "files are not out of reach")


@pytest.mark.parametrize("goes_to_background", [False, True], ids=["foreground", "background"])
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_undoes_those_before_it(lab, step, goes_to_background):
    keys, prepare, wrapper, message = STEPS[step]
    daemon = routed_daemon(lab, **keys)
    if prepare:
        prepare(daemon)
    ground = Ground(daemon)

    if goes_to_background:
        done = daemon.node.run(*wrapper, VTRUNKD, "--config", daemon.config, check=False)
        status, output = done.returncode, done.stderr
    else:
        status, output = daemon.launch(*wrapper).wait(10), daemon.process.output()

    assert status == 1, "it claims success"
    assert message in output
    assert "notice: ready" not in output
    ground.assert_is_clean()


def test_a_status_descriptor_that_is_closed_is_named(lab):
    daemon = routed_daemon(lab)
    ground = Ground(daemon)

    done = daemon.node.run(VTRUNKD, "-f", "-c", daemon.config, "--status-fd", "77", check=False)

    assert done.returncode == 2 and "--status-fd: descriptor 77 is not open" in done.stderr
    ground.assert_is_clean()


def outcome(daemon, *wrapper):
    """Starts it, and stops it if it is up; what it has said."""
    environment = daemon.node.lab.file("uapi-wg")
    process = daemon.node.spawn(*wrapper, VTRUNKD, "-f", "-c", daemon.config,
                                env={**NO_LEAK_CHECK, "VTRUNKD_UAPI_DIR": str(environment)})
    is_up = becomes_true(lambda: "notice: ready" in process.output() or not process.is_running(), 20)
    assert is_up, f"neither up nor down: {process.output()}"
    if process.is_running():
        supervisor = children(process.pid)[0] if wrapper and wrapper[0] == "strace" else process.pid
        os.kill(supervisor, signal.SIGTERM)
        assert process.wait(10) == 0, process.output()
        return process.output(), True
    assert process.wait() != 0, process.output()
    assert re.search(" error: ", process.output()), f"it does not say why: {process.output()}"
    return process.output(), False


def test_whichever_descriptor_cannot_be_had(lab):
    daemon = routed_daemon(lab)
    ground = Ground(daemon)
    n_failed = 0

    # Below it the program itself is not found.
    for most in range(4 + 4 * IS_SANITIZED, 60):
        _, is_up = outcome(daemon, "prlimit", f"--nofile={most}:{most}")
        ground.assert_is_clean()
        if is_up:
            break
        n_failed += 1

    assert is_up and n_failed > 10


# Of each process and thread the Nth call of that name fails; until none has so many.
CALLS = {"socket": "ENOBUFS", "ioctl": "EIO", "bind": "EACCES", "mkdir": "EROFS", "socketpair": "ENFILE",
         "eventfd2": "ENFILE", "signalfd4": "ENFILE", "clone,clone3,fork,vfork": "EAGAIN", "ftruncate,pwrite64": "ENOSPC",
         "fcntl": "EINVAL", "capset": "EPERM"}
if not IS_SANITIZED:
    CALLS.update(chroot="EPERM", seccomp="EINVAL")


@pytest.mark.parametrize("call", CALLS)
def test_whichever_call_fails(lab, call):
    daemon = routed_daemon(lab)
    ground = Ground(daemon)
    trace = lab.file("trace.log")

    for nth in range(1, 40):
        outcome(daemon, "strace", "-f", "-qq", "-o", trace, "-e", f"trace={call}",
                "-e", f"inject={call}:error={CALLS[call]}:when={nth}")
        ground.assert_is_clean()
        if "INJECTED" not in trace.read_text():
            break
    assert nth > 1, "it is never called"
