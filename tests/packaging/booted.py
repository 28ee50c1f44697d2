# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""systemd as process 1 of a copy of this system (test_debian.System), in namespaces of its own.

It starts nothing but what it is asked for: what a Debian starts at boot is masked, and nothing of
it could change this machine anyway: /proc/sys is read-only.
"""
import os
import pathlib
import subprocess

from lab import wait_until

# $1: the root directory, $2: the group that systemd has for its own.
BOOT = r"""
set -e
mount --make-rprivate /
mount -t cgroup2 cgroup /mnt
mkdir -p "/mnt/$2"
echo $$ >"/mnt/$2/cgroup.procs"
umount /mnt
exec unshare --cgroup --pid --uts --ipc --fork --kill-child sh -ec '
	umount -R "$1/sys" "$1/proc" "$1/run"
	mount -t sysfs sysfs "$1/sys"
	mount -t cgroup2 cgroup "$1/sys/fs/cgroup"
	mount -t proc proc "$1/proc"
	mount --bind -o ro "$1/proc/sys" "$1/proc/sys"
	mount -t tmpfs run "$1/run"
	exec chroot "$1" env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
		/lib/systemd/systemd --system --unit=basic.target --show-status=no
' sh "$1"
"""
REMOVE = r"""
mount -t cgroup2 cgroup /mnt && cd /mnt && for again in 1 2 3 4 5; do
	find "$1" -depth -type d -exec rmdir {} + 2>/dev/null && exit 0
	sleep 0.1
done
"""


class Booted:
    def __init__(self, system, stack):
        self.system, self.root = system, system.root
        self.group = f"vtrunkd-test-{os.getpid()}"
        self._mask()
        (self.root / "usr/sbin/policy-rc.d").unlink(missing_ok=True)
        stack.callback(subprocess.run, ["unshare", "--mount", "sh", "-c", REMOVE, "sh", self.group], check=False)
        self.process = system.node.spawn("unshare", "--mount", "sh", "-c", BOOT, "sh", self.root, self.group)
        stack.callback(self.process.kill)
        self.first = wait_until(self._find_first, 20, "systemd is process 1")
        wait_until(lambda: self.systemctl("is-active", "basic.target").stdout == "active\n", 30, "systemd has booted")

    def _mask(self):
        own = self.root / "etc/systemd/system"
        for unit in {path.name for directory in ("etc", "lib") for path in
                     (self.root / directory / "systemd/system").glob("*.wants/*")} - {"vtrunkd.service"}:
            (own / unit).unlink(missing_ok=True)
            (own / unit).symlink_to("/dev/null")

    def _find_first(self):
        """Its number outside, once it listens."""
        pids = [self.process.pid]
        for pid in pids:
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
            pids += map(int, children.read_text().split()) if children.exists() else []
            if pathlib.Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                return pid if pathlib.Path(f"/proc/{pid}/root/run/systemd/private").exists() else None
        assert self.process.is_running(), self.process.output()
        return None

    def do(self, *arguments):
        return self.system.node.run("nsenter", "--mount", "--pid", "--root", f"--target={self.first}", *arguments, check=False,
                                    seconds=60)

    def systemctl(self, *arguments):
        return self.do("systemctl", *arguments)

    def show(self, unit, key):
        return self.systemctl("show", "--value", "--property", key, unit).stdout.strip()
