# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""The Debian package: built, looked at by lintian, and installed into a copy of this system.

The copy is an overlay over the root directory, which nothing that happens in it gets through; its
services run in a network namespace.
"""
import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from bond import Keys, ini
from booted import Booted
from lab import Lab, wait_until

ROOT = pathlib.Path(__file__).parents[2]
CONFIG = pathlib.Path("etc/vtrunkd/vtrunkd.conf")


def run(*arguments, check=True, **options):
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, **options)
    assert not check or done.returncode == 0, f"{arguments}: {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done


@pytest.fixture(name="built", scope="module")
def build_package():
    """A directory with the package, made from the files of this checkout."""
    with tempfile.TemporaryDirectory(prefix="vtdeb-") as made:
        source = pathlib.Path(made) / "vtrunkd"
        names = run("git", "-C", ROOT, "ls-files", "-co", "--exclude-standard").stdout.splitlines()
        for name in names:
            if (ROOT / name).is_file():  # not one that is deleted and not yet committed
                (source / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, source / name)
        shutil.copytree(source / "packaging" / "debian", source / "debian")
        run("dpkg-buildpackage", "-b", "-us", "-uc", cwd=source,
            env={**os.environ, "DEB_BUILD_OPTIONS": "nocheck noautodbgsym"})
        yield pathlib.Path(made)


class System:
    """A copy of this system, with the package in it."""

    def __init__(self, lab, package, stack):
        base = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vtroot-")))
        run("mount", "-t", "tmpfs", "-o", "size=512m", "vtroot", base)
        stack.callback(run, "umount", "--recursive", "--lazy", base)
        for name in ("upper", "work", "root"):
            (base / name).mkdir()
        self.root = base / "root"
        run("mount", "-t", "overlay", "overlay", "-o",
            f"lowerdir=/,upperdir={base}/upper,workdir={base}/work", self.root)
        for name in ("proc", "sys", "dev"):
            run("mount", "--rbind", f"/{name}", self.root / name)
            run("mount", "--make-rslave", self.root / name)
        run("mount", "-t", "tmpfs", "run", self.root / "run")
        self.node = lab.node("debian")
        # Nothing is started by the installation itself: only the tests do.
        self.write("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
        shutil.copy(package, self.root / "tmp" / "vtrunkd.deb")
        self.do("dpkg", "-i", "/tmp/vtrunkd.deb")
        stack.callback(self.do, "/etc/init.d/vtrunkd", "stop", check=False)

    def write(self, name, text, mode):
        (self.root / name).write_text(text)
        (self.root / name).chmod(mode)

    def do(self, *arguments, check=True):
        return self.node.run("chroot", self.root, *arguments, check=check, seconds=120)

    def service(self, action):
        return self.do("/etc/init.d/vtrunkd", action, check=False)

    def configure(self, **network):
        self.write(CONFIG, ini({
            "network": {"interface": "tun0", "address": "10.10.0.2/24", **network},
            "wireguard": {"private_key": Keys().private, "peer_public_key": Keys().public},
            "link wan": {"endpoint": "127.0.0.1:51820"}}), 0o600)

    def shows(self):
        return self.do("vtrunkctl", "status", check=False).returncode == 0


@pytest.fixture(name="system")
def make_system(built):
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(Lab())
        yield System(lab, next(built.glob("vtrunkd_*.deb")), stack)


def test_lintian_finds_no_fault(built):
    done = run("lintian", "--allow-root", "--fail-on", "error,warning", next(built.glob("*.changes")), check=False)

    assert done.returncode == 0, done.stdout


def test_installed_it_starts_and_stops_and_purged_it_leaves_nothing(system):
    assert system.do("id", "vtrunkd").returncode == 0
    system.configure(table=100)

    assert system.service("start").returncode == 0
    assert system.shows()
    assert system.node.has_interface("tun0")
    assert "proto vtrunkd" in system.do("ip", "route", "show", "table", "100").stdout, "iproute2 knows our number"
    assert system.service("stop").returncode == 0
    assert not system.node.has_interface("tun0")

    system.do("dpkg", "--purge", "vtrunkd")
    assert not (system.root / "usr/sbin/vtrunkd").exists()
    assert not (system.root / "etc/init.d/vtrunkd").exists()
    assert not (system.root / "var/lib/vtrunkd").exists()
    assert (system.root / CONFIG).exists(), "configurations are the administrator's"


def test_statuses_are_those_of_the_lsb(system):
    assert system.service("status").returncode == 3
    assert system.service("start").returncode == 6
    assert system.service("reload").returncode == 7
    assert system.service("try-restart").returncode == 0
    assert system.service("nonsense").returncode == 2

    system.configure()
    assert system.service("start").returncode == 0
    assert system.service("start").returncode == 0, "what runs is started"
    assert system.service("status").returncode == 0
    assert system.service("reload").returncode == 0
    assert system.shows()

    pid = (system.root / "run/vtrunkd/vtrunkd.pid").read_text().split()[0]
    run("kill", "-KILL", pid)
    wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists(), 5, "it is dead")
    assert system.service("status").returncode == 1
    assert system.service("start").returncode == 0, "what a dead one left is no obstacle"
    assert system.service("stop").returncode == 0
    assert system.service("stop").returncode == 0
    assert system.service("status").returncode == 3


def test_a_restart_with_a_wrong_configuration_leaves_the_tunnel_up(system):
    system.configure()
    assert system.service("restart").returncode == 0
    before = (system.root / "run/vtrunkd/vtrunkd.pid").read_text()

    system.configure(mtu="much")
    done = system.service("restart")

    assert done.returncode == 6
    assert "mtu" in done.stderr
    assert (system.root / "run/vtrunkd/vtrunkd.pid").read_text() == before
    assert system.shows()


def test_systemd_finds_no_fault_in_the_units(system):
    system.configure()
    shutil.copy(system.root / CONFIG, system.root / "etc/vtrunkd/home.conf")

    done = system.do("systemd-analyze", "verify", "/lib/systemd/system/vtrunkd.service",
                     "/lib/systemd/system/vtrunkd@home.service", check=False)

    assert (done.returncode, [line for line in done.stderr.splitlines() if "vtrunkd" in line]) == (0, [])


def test_systemd_starts_reloads_watches_and_stops_it(system):
    with contextlib.ExitStack() as stack:
        machine = Booted(system, stack)
        system.configure()
        # Its own is 30 s.
        drop_in = system.root / "etc/systemd/system/vtrunkd.service.d"
        drop_in.mkdir()
        (drop_in / "test.conf").write_text("[Service]\nWatchdogSec=4\nStandardError=append:/var/log/vtrunkd.log\n")
        log = system.root / "var/log/vtrunkd.log"
        machine.systemctl("daemon-reload")

        def state():
            return machine.show("vtrunkd", "ActiveState"), machine.show("vtrunkd", "SubState")

        done = machine.systemctl("start", "vtrunkd")
        assert done.returncode == 0, done.stderr + machine.systemctl("status", "vtrunkd").stdout + log.read_text()
        assert state() == ("active", "running"), "READY=1 has come"
        assert system.node.has_interface("tun0")
        assert machine.show("vtrunkd", "Type") == "notify"
        pid = machine.show("vtrunkd", "MainPID")

        system.configure(mtu=1300)
        assert machine.systemctl("reload", "vtrunkd").returncode == 0
        wait_until(lambda: "mtu 1300" in system.node.ip("link show tun0").stdout, 5, "the new MTU is in force")
        assert state() == ("active", "running") and machine.show("vtrunkd", "MainPID") == pid

        machine.do("pkill", "-KILL", "--parent", pid, "vtrunkd")
        wait_until(lambda: "started again" in log.read_text(), 5, "the engine is replaced")
        wait_until(lambda: machine.do("vtrunkctl", "status").returncode == 0, 10, "it answers again")
        assert state() == ("active", "running") and machine.show("vtrunkd", "MainPID") == pid
        assert machine.show("vtrunkd", "NRestarts") == "0"

        machine.do("kill", "-STOP", pid)
        wait_until(lambda: machine.show("vtrunkd", "NRestarts") == "1", 40, "the watchdog has it started anew")
        wait_until(lambda: state() == ("active", "running"), 20, "it runs again")
        assert machine.show("vtrunkd", "MainPID") not in (pid, "0")

        assert machine.systemctl("stop", "vtrunkd").returncode == 0
        assert state() == ("inactive", "dead")
        assert machine.show("vtrunkd", "Result") == "success"
        assert not system.node.has_interface("tun0")
