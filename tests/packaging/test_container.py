# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""The container: the image is built as its Containerfile says, from a Debian made here, and runs
with what podman gives a container, and --cap-add NET_ADMIN --device /dev/net/tun --network host.

    container 10.10.0.2                    server 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
"""
import contextlib
import json
import pathlib
import re
import subprocess
import tempfile

import pytest

from bond import SERVER_IP, Pair, ini
from lab import Lab, wait_until
from traffic import ping_lost

ROOT = pathlib.Path(__file__).parents[2]
BASE = ROOT / "build-guest" / "debian-12.tar"
# Podman's, and the one that is added.
CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE",
                "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT", "CAP_NET_ADMIN"]


def run(*arguments, check=True, seconds=300):
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=seconds)
    assert not check or done.returncode == 0, f"{arguments}: {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done


class Image:
    """What the Containerfile makes; its files are in `root`."""

    def __init__(self, stack):
        self.store = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vtimage-")))
        run("mount", "-t", "tmpfs", "-o", "size=3g", "vtimage", self.store)
        stack.callback(run, "umount", "--recursive", "--lazy", self.store)
        base = self.buildah("from", "scratch").stdout.strip()
        self.buildah("add", "--quiet", base, BASE, "/")
        self.buildah("commit", "--quiet", "--rm", base, "docker.io/library/debian:12-slim")
        self.buildah("bud", "--isolation", "chroot", "--pull-never", "--format", "docker", "-t", "vtrunkd",
                     "-f", ROOT / "packaging" / "container" / "Containerfile", ROOT)
        made = self.buildah("from", "--pull-never", "vtrunkd").stdout.strip()
        self.root = pathlib.Path(self.buildah("mount", made).stdout.strip())
        self.config = json.loads(self.buildah("inspect", "--type", "image", "vtrunkd").stdout)["Docker"]["config"]

    def buildah(self, command, *arguments):
        return run("buildah", "--root", self.store / "store", "--runroot", self.store / "run",
                   "--storage-driver", "overlay", command, *arguments)


@pytest.fixture(name="image", scope="module")
def build_image():
    assert BASE.exists(), f"{BASE} is missing: run scripts/setup test"
    with contextlib.ExitStack() as stack:
        yield Image(stack)


class Container:
    """The image's own entry point, run by crun in a node's network namespace."""

    def __init__(self, node, image, sections):
        self.node = node
        self.directory = node.lab.file("container")
        (self.directory / "etc").mkdir(parents=True)
        config = self.directory / "etc" / "vtrunkd.conf"
        config.write_text(ini(sections))
        config.chmod(0o600)
        self.specify(image)
        # Of both versions of cgroups side by side crun knows nothing.
        self.process = node.spawn(
            "unshare", "--mount", "sh", "-c",
            "umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup /sys/fs/cgroup && exec \"$0\" \"$@\"",
            *self.crun(), "run", "--bundle", self.directory, "vtrunkd")

    def crun(self):
        return ["crun", "--cgroup-manager=disabled", "--root", self.directory / "state"]

    def specify(self, image):
        run("sh", "-c", f"cd {self.directory} && exec crun spec")
        path = self.directory / "config.json"
        spec = json.loads(path.read_text())
        spec["process"].update(
            terminal=False, noNewPrivileges=False, rlimits=[], env=image.config["Env"],
            args=image.config["Entrypoint"] + image.config["Cmd"],
            capabilities={kind: CAPABILITIES for kind in ("bounding", "effective", "permitted")})
        spec["root"] = {"path": str(image.root), "readonly": False}
        spec["mounts"].append({"destination": "/etc/vtrunkd", "type": "bind", "source": str(self.directory / "etc"),
                               "options": ["rbind", "ro"]})
        linux = spec["linux"]
        linux["devices"] = [{"path": "/dev/net/tun", "type": "c", "major": 10, "minor": 200, "fileMode": 0o666}]
        linux["resources"] = {}
        linux["namespaces"] = [space for space in linux["namespaces"] if space["type"] != "network"]
        path.write_text(json.dumps(spec))

    def first_process(self):
        return json.loads(run(*self.crun(), "state", "vtrunkd").stdout)["pid"]

    def do(self, *arguments):
        return run(*self.crun(), "exec", "vtrunkd", *arguments, check=False)

    def is_healthy(self, image):
        kind, *command = image.config["Healthcheck"]["Test"]
        assert kind == "CMD"
        return self.do(*command).returncode == 0


def status_of(pid, key):
    return re.search(rf"^{key}:\s*(.*)$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1].split()


def test_the_image_has_the_programs_and_nothing_that_built_them(image):
    assert "vtrunkd" in run("chroot", image.root, "vtrunkd", "--version").stdout
    assert not list(image.root.glob("usr/bin/*gcc*")) and not (image.root / "src").exists()
    assert not list(image.root.glob("var/lib/apt/lists/*_*"))


def test_the_container_carries_a_tunnel_and_stops(image):
    with Lab() as lab:
        pair = Pair(lab, rates=[None], start=False)
        pair.server.start()
        container = Container(pair.client_node, image, pair.client.sections)

        wait_until(lambda: container.is_healthy(image), 15, "it is healthy")
        assert ping_lost(pair.client_node, SERVER_IP) == 0
        first = container.first_process()
        assert status_of(first, "NSpid")[-1] == "1"
        engine = pathlib.Path(f"/proc/{first}/task/{first}/children").read_text().split()[0]
        vtrunkd = re.search(r"^vtrunkd:x:(\d+):", (image.root / "etc/passwd").read_text(), re.MULTILINE)[1]
        assert status_of(engine, "Uid") == [vtrunkd] * 4
        assert status_of(engine, "CapEff") == ["0" * 16]

        run(*container.crun(), "kill", "vtrunkd", "TERM")

        assert container.process.wait(5) == 0
        assert not pair.client_node.has_interface("tun0")
        assert "stopping: SIGTERM" in container.process.output()
