# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""The OpenWrt files, in a shell that has what they use of OpenWrt's libraries (openwrt_stub.sh)."""
import json
import pathlib
import subprocess

import pytest

from bond import VTRUNKD, Keys, ini

HERE = pathlib.Path(__file__).parent
FILES = HERE.parents[1] / "packaging" / "openwrt" / "files"

UCI = """
config vtrunkd 'global'
	option enabled '1'

config network
	option interface 'tun0'
	list address '10.10.0.2/24'
	list address 'fd00::2/64'

config wireguard
	option private_key '{private}'
	option peer_public_key '{public}'

config link 'wan'
	option device 'eth1'
	option endpoint 'vpn.example.com:51820'

config link
	option device 'wwan0'
	option name 'lte/5g'
	option endpoint 'vpn.example.com:51820'
"""


class Router:
    """A directory with a UCI configuration, and a shell with the init script in it."""

    def __init__(self, directory, uci):
        self.directory = directory
        self.uci = directory / "vtrunkd"
        self.uci.write_text(uci)
        self.ini = directory / "run" / "vtrunkd.conf"
        self.said = directory / "procd"

    def run(self, script):
        """The script, after the init script has been read. What it asks procd for goes to `said`."""
        self.said.write_text("")
        return subprocess.run(
            ["sh", "-c", f". {HERE}/openwrt_stub.sh; . {FILES}/vtrunkd.init; {script}"],
            capture_output=True, text=True, check=False,
            env={"PATH": "/usr/bin:/bin", "UCI_FILE": str(self.uci), "PROCD_LOG": str(self.said),
                 "VTRUNKD": str(VTRUNKD), "VTRUNKD_LIB": str(FILES),
                 "VTRUNKD_RUN_DIR": str(self.directory / "run")})


@pytest.fixture(name="keys")
def make_keys():
    return Keys()


@pytest.fixture(name="router")
def make_router(tmp_path, keys):
    return Router(tmp_path, UCI.format(private=keys.private, public=Keys().public))


def test_sections_options_and_lists_become_an_ini_file_that_is_right(router, keys):
    done = router.run("uci2ini")

    lines = [line for line in done.stdout.splitlines() if line and not line.startswith("#")]
    public = next(line for line in lines if line.startswith("peer_public_key"))
    assert "\n".join(lines) + "\n" == ini({
        "network": {"interface": "tun0", "address": "10.10.0.2/24, fd00::2/64"},
        "wireguard": {"private_key": keys.private, "peer_public_key": public.split(" = ")[1]},
        "link wan": {"device": "eth1", "endpoint": "vpn.example.com:51820"},
        "link lte/5g": {"device": "wwan0", "endpoint": "vpn.example.com:51820"}})
    assert router.run("check").returncode == 0


def test_starting_writes_a_private_file_and_hands_the_daemon_to_procd(router):
    done = router.run("start_service")

    assert done.returncode == 0, done.stderr
    assert router.ini.stat().st_mode & 0o777 == 0o600
    assert f"command {VTRUNKD} --foreground --config {router.ini}" in router.said.read_text()


def test_a_wrong_configuration_is_named_and_does_not_replace_the_one_in_use(router):
    router.run("start_service")
    good = router.ini.read_text()
    router.uci.write_text(router.uci.read_text().replace("'eth1'", "'eth1'\n\toption wight '3'"))

    done = router.run("procd_running() { true; }; reload_service")

    assert done.returncode != 0
    assert "wight" in done.stderr
    assert router.ini.read_text() == good
    assert "signal" not in router.said.read_text()


def test_a_changed_configuration_is_written_and_the_daemon_told(router):
    router.run("start_service")
    router.uci.write_text(router.uci.read_text().replace("'eth1'", "'eth7'"))

    done = router.run("procd_running() { true; }; reload_service")

    assert done.returncode == 0, done.stderr
    assert "device = eth7" in router.ini.read_text()
    assert "signal vtrunkd" in router.said.read_text()


def test_what_is_not_enabled_is_not_started(router):
    router.uci.write_text(router.uci.read_text().replace("enabled '1'", "enabled '0'"))

    assert router.run("start_service").returncode == 0
    assert router.said.read_text() == ""


def test_netifd_is_told_of_the_interface_and_its_name_servers(tmp_path):
    ubus, told = tmp_path / "ubus", tmp_path / "told"
    ubus.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >{told}\n")
    ubus.chmod(0o755)

    def run_hook(**environment):
        subprocess.run([FILES / "netifd-hook", "network_state"], check=True, env={
            "PATH": f"{tmp_path}:/usr/bin:/bin", "VTRUNKD_EVENT": "network_state", "VTRUNKD_NETWORK": "default",
            "VTRUNKD_INTERFACE": "tun0", **environment})
        return told.read_text().splitlines()

    *call, settings = run_hook(VTRUNKD_STATE="active", VTRUNKD_DNS="10.10.0.1 fd10::1")
    assert call == ["call", "network", "add_dynamic"]
    assert json.loads(settings) == {"name": "tun0", "proto": "none", "device": "tun0", "ifname": "tun0",
                                    "dns": ["10.10.0.1", "fd10::1"]}
    assert json.loads(run_hook(VTRUNKD_STATE="active")[-1])["dns"] == []
    assert run_hook(VTRUNKD_STATE="stopped") == ["call", "network.interface.tun0", "remove"]


def test_the_example_is_right_but_for_its_keys(router, keys):
    example = (FILES / "vtrunkd.config").read_text()
    assert "option enabled '0'" in example
    router.uci.write_text(example.replace("REPLACE_ME", keys.private, 1).replace("REPLACE_ME", Keys().public))

    done = router.run("check")

    assert done.returncode == 0, done.stderr
