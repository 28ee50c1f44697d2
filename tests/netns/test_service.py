# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""The two processes of a daemon: what each may do, and what becomes of one without the other.

    client 10.10.0.2                       server 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
"""
import fcntl
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from bond import CLIENT_IP, PORT, SERVER_IP, VTRUNKCTL, VTRUNKD, Daemon, Keys, Pair, engine_of, network_section
from lab import wait_until
from traffic import ping_lost, wait_for_ping

# It reads /proc and makes system calls of its own, so it has neither an empty root nor a filter.
IS_SANITIZED = b"libasan" in subprocess.run(["ldd", VTRUNKD], capture_output=True, check=True).stdout
# So that a leak of a page shows; 1000 where there is time.
CYCLES = int(os.environ.get("VTRUNKD_CYCLES", 100))

# Of what takes a second each; 100 where there is time.
ROUNDS = int(os.environ.get("VTRUNKD_ROUNDS", 3))


def lone_daemon(lab, start=True, node=None, number=0, **sections):
    """A passive daemon whose peer never comes."""
    daemon = Daemon(node or lab.node("server"), {
        "network": network_section(f"10.10.{number}.1", interface=f"tun{number}"),
        "wireguard": {"private_key": Keys().private, "peer_public_key": Keys().public},
        "link wan": {"bind": f"0.0.0.0:{PORT + number}"}, **sections}, start=False)
    if start:
        daemon.start()
    return daemon


def children(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def status_of(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return {key: value.split() for key, value in re.findall(r"^(\w+):\s*(.*)$", text, re.MULTILINE)}


def is_gone(pid):
    """Also when nobody has taken note of its end yet."""
    try:
        return status_of(pid)["State"][0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_what_reads_packets_has_no_privilege(lab):
    engine = engine_of(lone_daemon(lab))

    status = status_of(engine)

    assert "0" not in status["Uid"] + status["Gid"] + status["Groups"]
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind][0], 16) == 0, kind
    assert status["NoNewPrivs"] == ["1"]
    if not IS_SANITIZED:
        assert status["Seccomp"] == ["2"], "a filter"
        assert list(pathlib.Path(f"/proc/{engine}/root").iterdir()) == []


def test_no_file_but_devices_and_its_lock_is_open_in_it(lab):
    daemon = lone_daemon(lab)

    links = [os.readlink(path) for path in pathlib.Path(f"/proc/{engine_of(daemon)}/fd").iterdir()]

    files = {link for link in links if link.startswith("/") and not link.startswith("/dev/")}
    assert files <= {str(daemon.process.log), f"{daemon.control}.lock"}


def test_sandbox_off_is_told_and_keeps_the_privilege(lab):
    daemon = lone_daemon(lab, daemon={"sandbox": "off"})

    status = status_of(engine_of(daemon))

    assert status["Uid"][0] == "0" and int(status["CapEff"][0], 16) != 0
    assert "sandbox = off" in daemon.process.output()


def test_a_user_that_is_not_there_fails_the_start(lab):
    daemon = lone_daemon(lab, start=False, daemon={"user": "nosuchuser"})

    assert "user = nosuchuser" in daemon.fails_to_start(seconds=10)
    daemon.sections["daemon"] = {"user": "root"}
    assert "user = root" in daemon.fails_to_start(seconds=10)


def without(capability):
    return ["setpriv", f"--bounding-set=-{capability}", f"--inh-caps=-{capability}"]


def test_what_the_sandbox_cannot_have_is_a_warning(lab):
    daemon = lone_daemon(lab, start=False)

    daemon.launch(*without("setuid"))
    daemon.is_expected = True
    daemon.wait_log("ready")

    assert "cannot become an unprivileged user" in daemon.process.output()
    warnings = json.loads(daemon.control_answer().stdout)["warnings"]
    assert any("unprivileged" in warning for warning in warnings)
    assert int(status_of(engine_of(daemon))["CapEff"][0], 16) == 0, "the rest is in force"


def test_a_warning_is_an_error_where_the_configuration_says_so(lab):
    daemon = lone_daemon(lab, start=False, daemon={"fail_on_init_warnings": "on"})

    assert "fail_on_init_warnings" in daemon.fails_to_start(*without("setuid"), seconds=10)
    assert not daemon.node.has_interface("tun0") and not daemon.control.exists()


def test_an_engine_that_crashes_is_started_again_and_the_interface_stays(lab):
    pair = Pair(lab, rates=[None])
    index = pair.client_node.ip("-j link show tun0").stdout
    pair.client_node.ip("route add 10.77.0.0/16 dev tun0")
    before = engine_of(pair.client)

    os.kill(before, signal.SIGKILL)

    pair.client.wait_log("started again")
    wait_until(lambda: engine_of(pair.client) not in (None, before), 5, "another engine")
    wait_for_ping(pair.client_node, SERVER_IP)
    after = pair.client_node.ip("-j link show tun0").stdout
    assert json.loads(after)[0]["ifindex"] == json.loads(index)[0]["ifindex"]
    assert "tun0" in pair.client_node.ip("route show 10.77.0.0/16").stdout
    assert pair.client_node.ip("addr show tun0").stdout.count(f"inet {CLIENT_IP}/") == 1


def test_the_peers_of_a_server_that_crashed_find_it_again(lab):
    default = dict.fromkeys(["health_check_interval_ms", "health_check_timeout_ms", "error_backoff_secs"])
    pair = Pair(lab, client=default, server=default)

    os.kill(engine_of(pair.server), signal.SIGKILL)

    pair.server.wait_log("started again")
    wait_for_ping(pair.client_node, SERVER_IP)
    for cable in pair.cables:
        pair.client.wait_path(cable.name, "up")


def test_a_crash_ends_the_daemon_where_the_configuration_says_so(lab):
    daemon = lone_daemon(lab, daemon={"restart": "off"})
    daemon.is_expected = False

    os.kill(engine_of(daemon), signal.SIGKILL)

    assert daemon.process.wait(5) == 1
    assert "killed by SIGKILL" in daemon.process.output() and "restart = off" in daemon.process.output()
    assert not daemon.node.has_interface("tun0") and not daemon.control.exists()


def test_an_engine_that_crashes_again_and_again_is_given_up(lab):
    daemon = lone_daemon(lab, daemon={"restart_limit": 2})
    daemon.is_expected = False

    for _ in range(3):
        wait_until(daemon.answers, 5, "it is up")
        os.kill(engine_of(daemon), signal.SIGKILL)
        wait_until(lambda: engine_of(daemon) is None if daemon.process.is_running() else True, 5, "a crash")

    assert daemon.process.wait(5) == 1
    assert "giving up" in daemon.process.output()


def test_an_engine_without_its_supervisor_ends_and_leaves_nothing_in_the_way(lab):
    daemon = lone_daemon(lab)
    engine = engine_of(daemon)
    daemon.is_expected = False

    os.kill(daemon.process.pid, signal.SIGKILL)
    daemon.process.wait()
    daemon.start()

    assert is_gone(engine)


def test_a_stop_of_the_engine_alone_is_no_stop_of_the_daemon(lab):
    daemon = lone_daemon(lab)
    engine = engine_of(daemon)

    os.kill(engine, signal.SIGTERM)

    wait_until(lambda: engine_of(daemon) not in (None, engine), 5, "another engine")
    wait_until(daemon.answers, 5, "it is up again")


def test_the_second_start_says_who_runs(lab):
    daemon = lone_daemon(lab)

    other = daemon.node.run(VTRUNKD, "-f", "-c", daemon.config, check=False)

    assert other.returncode == 1
    assert f"already running, pid {daemon.process.pid}" in other.stderr


def test_of_many_starts_at_once_one_wins(lab):
    daemon = lone_daemon(lab, start=False)
    daemon.write_config()
    lock = lab.file("lock")

    starts = [daemon.node.spawn(VTRUNKD, "-f", "-c", daemon.config, "--lock-file", lock) for _ in range(50)]

    wait_until(lambda: sum(start.is_running() for start in starts) == 1 and daemon.answers(), 60, "one is left")
    winner = next(start for start in starts if start.is_running())
    assert int(lock.read_text().split()[0]) == winner.pid
    assert all(start.wait() == 1 for start in starts if start is not winner)
    assert winner.stop() == 0
    assert not lock.exists()


def test_ten_instances_live_side_by_side(lab):
    node = lab.node("server")
    before = node.ip("-j link show").stdout

    daemons = [lone_daemon(lab, node=node, number=number) for number in range(10)]

    instances = {json.loads(daemon.control_answer().stdout)["instance"] for daemon in daemons}
    assert len(instances) == 10 and all(len(instance) == 16 for instance in instances)
    daemons[3].kill()
    daemons[3].start()
    assert all(daemon.answers() for daemon in daemons)
    for daemon in daemons:
        assert daemon.stop() == 0
    assert node.ip("-j link show").stdout == before


def test_sixteen_instances_come_and_go_at_once(lab):
    node = lab.node("server")
    before = node.ip("-j link show").stdout
    groups = cgroups()
    daemons = [lone_daemon(lab, node=node, number=number, start=False, daemon={"cgroup": "vt-test"})
               for number in range(16)]

    for cycle in range(ROUNDS):
        for daemon in daemons:
            daemon.launch()
        for number, daemon in enumerate(daemons):
            wait_until(daemon.answers, 30, "it is up")
            # Some are killed, while others stop; the last time all stop.
            if cycle < ROUNDS - 1 and number % 4 == cycle % 4:
                daemon.kill()
            else:
                daemon.process.popen.terminate()
        assert all(daemon.process.wait(20) in (0, -signal.SIGKILL) for daemon in daemons)

    assert node.ip("-j link show").stdout == before
    assert not [daemon for daemon in daemons if daemon.control.exists()]
    assert cgroups() == groups


def cgroup_root():
    mounts = [line.split() for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()]
    return next((pathlib.Path(path) for _, path, kind, *_ in mounts if kind == "cgroup2"), None)


def cgroups():
    return {str(path) for path in cgroup_root().glob("vt-test*")} if cgroup_root() else set()


def test_the_engine_is_in_a_group_of_its_instance(lab):
    if not cgroup_root():
        assert "groups of version 2 are not mounted" in warnings_of(lone_daemon(lab, daemon={"cgroup": "vt-test"}))
        return
    daemon = lone_daemon(lab, daemon={"cgroup": "vt-test"})

    group = cgroup_root() / f"vt-test-{instance_of(daemon)}"

    assert (group / "cgroup.procs").read_text().split() == [str(engine_of(daemon))]
    os.kill(engine_of(daemon), signal.SIGKILL)
    wait_until(daemon.answers, 10, "another engine is up")
    assert (group / "cgroup.procs").read_text().split() == [str(engine_of(daemon))]
    assert daemon.stop() == 0
    assert not group.exists()


def test_a_start_takes_away_what_the_one_before_it_left(lab):
    daemon = lone_daemon(lab, daemon={"cgroup": "vt-test"})
    other = lone_daemon(lab, node=daemon.node, number=1, daemon={"cgroup": "vt-test"})
    before = instance_of(daemon)
    remains = [pathlib.Path(f"/run/vtrunkd-{before}-empty"), pathlib.Path(f"/tmp/vtrunkd-{before}-empty")]
    if cgroup_root():
        remains.append(cgroup_root() / f"vt-test-{before}")
    others = pathlib.Path(f"/run/vtrunkd-{instance_of(other)}-empty")

    daemon.kill()
    for directory in [*remains[:2], others]:  # as if it had been killed just there
        directory.mkdir()
    lab.stack.callback(others.rmdir)
    daemon.start()

    assert instance_of(daemon) != before
    assert not [path for path in remains if path.exists()]
    assert others.exists() and other.answers(), "what is not its own stays"


def warnings_of(daemon):
    return " ".join(json.loads(daemon.control_answer().stdout)["warnings"])


def instance_of(daemon):
    return json.loads(daemon.control_answer().stdout)["instance"]


def test_a_limit_that_cannot_be_had_is_a_warning(lab):
    daemon = lone_daemon(lab, daemon={"cgroup": "nonexistent/group", "memory_max": "64M"})

    assert "cgroup: " in warnings_of(daemon)


class Status:
    """The lines on --status-fd of a daemon in the foreground."""

    def __init__(self, lab, daemon, *arguments):
        daemon.write_config()
        self.heard = lab.heard
        read, write = os.pipe()
        self.file = os.fdopen(read)
        lab.stack.callback(self.file.close)
        self.popen = subprocess.Popen(
            daemon.node.command(VTRUNKD, "-f", "-c", daemon.config, "--status-fd", write, *arguments),
            pass_fds=[write], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        lab.stack.callback(self.popen.kill)
        os.close(write)

    def event(self, *names):
        """The next one of these names; of none, of the engine's life."""
        while True:
            # Without a line there is no more to wait for.
            patience = threading.Timer(30, self.popen.kill)
            patience.start()
            line = self.file.readline()
            patience.cancel()
            self.heard.append(([VTRUNKD, "--status-fd"], line))
            event = json.loads(line)
            if event["event"] in (names or ("spawned", "setup_finished", "exited")):
                return event


def test_events_are_told_in_their_order(lab):
    daemon = lone_daemon(lab, start=False)

    status = Status(lab, daemon)

    spawned = status.event()
    assert spawned["event"] == "spawned"
    finished = status.event()
    assert finished["event"] == "setup_finished" and daemon.node.has_interface("tun0")
    os.kill(spawned["pid"], signal.SIGKILL)
    exited = status.event()
    assert exited["event"] == "exited" and exited["signal"] == signal.SIGKILL and exited["pid"] == spawned["pid"]
    again = status.event()
    assert again["event"] == "spawned" and again["pid"] != spawned["pid"]
    assert again["instance"] == spawned["instance"]
    assert status.event()["event"] == "setup_finished"
    status.popen.terminate()
    exited = status.event()
    assert exited["event"] == "exited" and exited["code"] == 0
    assert status.file.read() == "", "the last one"
    assert status.popen.wait(5) == 0


def test_what_happens_to_paths_is_told_too(lab):
    pair = Pair(lab, start=False)
    pair.server.start()

    status = Status(lab, pair.client)

    assert status.event("network_state", "setup_finished")["state"] == "starting"
    assert status.event("network_state", "setup_finished")["state"] == "active"
    assert status.event("path_up", "exited").items() >= {"network": "default", "peer": "peer"}.items()
    pair.cables[0].down()
    down = status.event("path_down", "exited")
    assert down["link"] == "wan1" and isinstance(down["downs"], int) and len(down["instance"]) == 16
    status.popen.terminate()
    assert status.event()["cause"] == "ended with status 0"


def test_who_does_not_read_holds_up_nothing(lab):
    # The log goes to a pipe that nobody reads either, and may not be lost.
    daemon = lone_daemon(lab, start=False, daemon={"log_level": "error"})
    status = Status(lab, daemon)
    status.event("setup_finished")
    fcntl.fcntl(status.file, fcntl.F_SETPIPE_SZ, 4096)

    for _ in range(30):  # some kilobytes
        for action in ("disconnect", "connect"):
            daemon.node.run(VTRUNKCTL, "--socket", daemon.control, action)

    assert daemon.answers()
    status.popen.terminate()
    assert status.popen.wait(5) == 0


def test_events_as_text(lab):
    daemon = lone_daemon(lab, start=False)
    daemon.node.ip("link add tun0 type veth")

    status = Status(lab, daemon, "--status-format", "text")

    lines = status.file.read().splitlines()
    assert lines[0].startswith("event=spawned instance=") and lines[-1].startswith("event=exited instance=")
    assert lines[-1].endswith('code=1 cause="ended with status 1"')
    assert any("event=network_state" in line and 'state=error reason="File exists"' in line for line in lines)
    assert status.popen.wait(5) == 1


def test_the_service_manager_is_told_when_all_is_up_of_reloads_and_the_stop(lab):
    daemon = lone_daemon(lab, start=False)
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    lab.stack.enter_context(manager)
    manager.bind(str(lab.file("notify")))
    manager.settimeout(10)

    daemon.launch("env", f"NOTIFY_SOCKET={manager.getsockname()}", "WATCHDOG_USEC=200000")

    daemon.is_expected = True
    assert manager.recv(1000).startswith(b"READY=1")
    assert daemon.node.has_interface("tun0")
    assert manager.recv(1000) == manager.recv(1000) == b"WATCHDOG=1"

    def hear():
        while (said := manager.recv(1000)) == b"WATCHDOG=1":
            pass
        return said

    for is_good in (True, False):
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        if not is_good:
            break_the_file(daemon)
        os.kill(daemon.process.pid, signal.SIGHUP)
        reloading = re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=(\d+)", hear())
        assert before <= int(reloading[1]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert hear() == b"READY=1", "also if it was refused"
    assert daemon.ctl("reload", check=False).returncode == 1
    assert hear().startswith(b"RELOADING=1") and hear() == b"READY=1"
    daemon.process.popen.terminate()
    assert hear() == b"STOPPING=1"


def in_container(daemon):
    """Starts it as process 1 of a PID namespace; that process, by its number outside."""
    unshare = daemon.launch("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    daemon.wait_log("ready")
    first = wait_until(lambda: children(unshare.pid), 5, "it runs")[0]
    assert status_of(first)["NSpid"][-1] == "1"
    return first


def test_process_1_of_a_container_reaps_and_stops(lab):
    daemon = lone_daemon(lab, start=False)
    first = in_container(daemon)

    # An orphan of another family.
    daemon.node.run("nsenter", f"--pid=/proc/{first}/ns/pid", "sh", "-c", "sh -c 'sleep 0.05; exit 3' &")
    zombies = lambda: [child for child in children(first) if status_of(child)["State"][0] == "Z"]
    wait_until(lambda: len(children(first)) == 1 and not zombies(), 5, "it is reaped")

    os.kill(first, signal.SIGTERM)

    wait_until(lambda: is_gone(first), 5, "it stops")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT], ids=lambda number: number.name)
def test_process_1_passes_on_signals_and_ends_with_a_status(lab, number):
    daemon = lone_daemon(lab, start=False)
    first = in_container(daemon)

    for passed_on in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        os.kill(first, passed_on)
    daemon.wait_log("the configuration is reloaded")
    assert daemon.answers(), "it lives"
    os.kill(first, number)

    assert daemon.process.wait(5) == 0


def test_process_1_takes_hooks_and_their_orphans_along(lab):
    started, script = lab.file("started"), lab.file("hook.sh")
    script.write_text(f"#!/bin/sh\nsetsid sleep 1000 &\nsleep 1000 &\ntouch {started}\nexec sleep 1000\n")
    script.chmod(0o755)
    daemon = lone_daemon(lab, start=False)
    daemon.sections["network"]["on_up"] = script
    first = in_container(daemon)
    wait_until(started.exists, 5, "the hook runs")
    hooks = next(child for child in children(first)
                 if pathlib.Path(f"/proc/{child}/comm").read_text().strip() == "vt-hooks")
    family = [hooks, *children(hooks), *(pid for child in children(hooks) for pid in children(child))]
    assert len(family) >= 4

    for passed_on in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        os.kill(first, passed_on)
    daemon.wait_log("the configuration is reloaded")
    assert not any(is_gone(pid) for pid in family), "these are for the daemon"
    os.kill(first, signal.SIGTERM)

    assert daemon.process.wait(5) == 0
    assert all(is_gone(pid) for pid in family)


def test_names_are_looked_up_without_the_engine_having_files(lab):
    pair = Pair(lab, rates=[None], start=False)
    hosts = lab.file("hosts")
    hosts.write_text(f"{pair.server_address(pair.cables[0])} server.example\n")
    pair.client.sections["link wan1"]["endpoint"] = f"server.example:{PORT}"
    pair.server.start()

    pair.client.launch("unshare", "--mount", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh")

    pair.client.is_expected = True
    pair.client.wait_log("ready")
    wait_for_ping(pair.client_node, SERVER_IP)
    assert ping_lost(pair.client_node, SERVER_IP) == 0


def test_no_program_is_run_but_hooks(lab):
    trace, hook = lab.file("trace.log"), lab.file("hook.sh")
    hook.write_text("#!/bin/true\n")
    hook.chmod(0o755)
    daemon = lone_daemon(lab, start=False, daemon={"cgroup": "vt-test"})
    daemon.sections["network"].update(table="main", on_up=hook, on_down=hook, dns="10.10.0.7")
    daemon.sections["wireguard"]["allowed_ips"] = "10.9.0.0/16"

    strace = daemon.launch("env", "ASAN_OPTIONS=detect_leaks=0",
                           "strace", "-f", "-qq", "-o", trace, "-e", "trace=execve,execveat")
    daemon.wait_log("notice: ready")
    daemon.node.run(VTRUNKCTL, "--socket", daemon.control, "reload")
    os.kill(children(strace.pid)[0], signal.SIGTERM)

    assert strace.wait(10) == 0
    programs = re.findall(r'execve(?:at)?\(.*?"(.*?)"', trace.read_text())
    assert programs == [str(VTRUNKD), str(hook), str(hook)]


class Conversation:
    """One connection to the control socket, over which a request costs next to nothing."""

    def __init__(self, daemon):
        self.socket = daemon.node.lab.stack.enter_context(socket.socket(socket.AF_UNIX))
        self.socket.settimeout(20)
        self.socket.connect(str(daemon.control))
        self.answers = self.socket.makefile()

    def ask(self, action, is_refused=False, **keys):
        self.socket.sendall(json.dumps({"action": action, **keys}).encode() + b"\n")
        answer = json.loads(self.answers.readline())
        assert answer["success"] != is_refused, answer


def start_and_stop(daemon, talk):
    talk.ask("disconnect")
    talk.ask("connect")


def add_and_remove_a_link(daemon, talk):
    talk.ask("link_add", name="other", settings={"bind": "127.0.0.1:0"})
    talk.ask("link_remove", name="other")


def change_by_reload(daemon, talk):
    wan = daemon.sections["link wan"]
    wan["weight"] = 3 - wan.get("weight", 1)
    daemon.write_config()
    talk.ask("reload")


def fail_to_reload(daemon, talk):
    talk.ask("reload", is_refused=True)


def break_the_file(daemon):
    daemon.config.write_text(daemon.config.read_text() + "[nonsense]\nkey = value\n")


@pytest.mark.parametrize("cycle, prepare", [
    (start_and_stop, None), (add_and_remove_a_link, None), (change_by_reload, None), (fail_to_reload, break_the_file)],
    ids=lambda value: value.__name__ if value else "")
def test_descriptors_and_memory_stay_over_many_cycles(lab, cycle, prepare):
    daemon = lone_daemon(lab)
    talk = Conversation(daemon)
    processes = [daemon.process.pid, engine_of(daemon)]
    descriptors = lambda: [len(os.listdir(f"/proc/{pid}/fd")) for pid in processes]
    resident = lambda: [int(status_of(pid)["RssAnon"][0]) for pid in processes]
    if prepare:
        prepare(daemon)

    for _ in range(CYCLES // 5):
        cycle(daemon, talk)
    wait_until(lambda: daemon.network()["state"] == "active", 10, "it is up")
    before, memory = descriptors(), resident()
    for _ in range(CYCLES):
        cycle(daemon, talk)
    print(f"{CYCLES} times: {before} descriptors, now {descriptors()}; {memory} KB, now {resident()}")

    # A client that has just gone may still be among those of before.
    wait_until(lambda: all(now <= then for now, then in zip(descriptors(), before)), 5, "no more than before")
    assert IS_SANITIZED or all(now < then + 1024 for now, then in zip(resident(), memory)), "KB"


def test_descriptors_memory_and_interface_stay_over_many_engines(lab):
    daemon = lone_daemon(lab, start=False, daemon={"restart_limit": 1000000})
    daemon.sections["network"]["table"] = "main"
    daemon.sections["wireguard"]["allowed_ips"] = "10.9.0.0/16"
    daemon.start()
    supervisor = daemon.process.pid
    shape = lambda: [daemon.node.ip(line).stdout for line in ("-j link show tun0", "-j addr show tun0", "route show")]

    def crash():
        wait_until(daemon.answers, 30, "it is up")
        engine = engine_of(daemon)
        os.kill(engine, signal.SIGKILL)
        wait_until(lambda: engine_of(daemon) not in (None, engine), 30, "another engine")
        return shape()

    before = crash()
    assert "10.9.0.0/16 dev tun0" in before[-1]
    descriptors = len(os.listdir(f"/proc/{supervisor}/fd"))
    resident = int(status_of(supervisor)["RssAnon"][0])
    assert all(crash() == before for _ in range(ROUNDS))
    wait_until(lambda: len(os.listdir(f"/proc/{supervisor}/fd")) == descriptors, 5, "as many as before")
    assert int(status_of(supervisor)["RssAnon"][0]) < resident + 1024, "KB"
