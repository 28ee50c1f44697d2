# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""wireguard-go out of Debian 13, the peer that vtrunkd is compared with.

Debian 12's own has none of the kernel offloads and would flatter us. apt fetches and verifies
the package in a root of its own within the user's cache; the system and its package lists stay
as they are. Debian 12's is what there is without a network, and then the result says so.
"""
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

PACKAGE = "wireguard-go"
SUITE = "trixie"
MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# All of apt's paths: with this file as APT_CONFIG, it reads nothing else of the system's set-up.
APT_CONF = """
Dir::Etc "{root}/etc";
Dir::Etc::main "-";
Dir::Etc::parts "-";
Dir::Etc::sourcelist "{root}/etc/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferencesparts "preferences.d";
Dir::State "{root}/state";
Dir::State::status "{root}/state/status";
Dir::Cache "{root}/cache";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "20";
APT::Update::Error-Mode "any";
{proxy}
"""


class Program:
    """A file to run, its version, and what there is to say against it."""

    def __init__(self, path, version, note=None):
        self.path, self.version, self.note = path, version, note


def _output(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=300, check=False, **options)
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if not line.startswith("W:")]
        raise OSError(f"{command[0]}: {' '.join(errors)}")
    return done.stdout.strip()


def cache_directory():
    """The user's own: nobody else may write to what root is going to run."""
    home = pwd.getpwuid(os.geteuid()).pw_dir
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or f"{home}/.cache") / "vtrunkd-bench"


def _make_root(root, proxy):
    for directory in ("etc/preferences.d", "state/lists/partial", "cache/archives/partial"):
        (root / directory).mkdir(parents=True)
    (root / "state/status").touch()
    (root / "etc/sources.list").write_text(f"deb [signed-by={KEYRING}] {MIRROR} {SUITE} main\n")
    config = root / "apt.conf"
    config.write_text(APT_CONF.format(root=root, proxy=proxy))
    return {**os.environ, "APT_CONFIG": str(config)}


def _download(root):
    """Unpacks the package into root/files; returns its version."""
    environment = _make_root(root, _output("apt-config", "dump", "Acquire::http::Proxy"))
    _output("apt-get", "-qq", "update", env=environment)
    _output("apt-get", "-qq", "download", PACKAGE, env=environment, cwd=root)
    package = next(root.glob("*.deb"))
    _output("dpkg-deb", "-x", package, root / "files")
    return _output("dpkg-deb", "-f", package, "Version")


def _fetch(cache):
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="fetch-") as directory:
        root = pathlib.Path(directory)
        version = _download(root)
        target = cache / f"{PACKAGE}_{version}"
        if not target.exists():
            (root / "files").rename(target)


def _cached(cache):
    for path in sorted(cache.glob(f"{PACKAGE}_*/usr/bin/wireguard-go"), reverse=True):
        return Program(path, f"{path.parents[2].name.split('_')[1]} (Debian 13)")
    return None


def find_wireguard_go():
    """A Program; None if there is no wireguard-go at all."""
    cache = cache_directory()
    try:
        if not _cached(cache):
            _fetch(cache)
        return _cached(cache)
    except (OSError, subprocess.TimeoutExpired) as failure:
        path = shutil.which("wireguard-go")
        if not path:
            return None
        version = _output("dpkg-query", "-W", "-f", "${Version}", PACKAGE)
        return Program(path, f"{version} (installed)",
                       "wireguard-go is NOT the fair peer: Debian 13's could not be had, so this is the installed "
                       f"one, whose older versions have no offloads ({failure})")
