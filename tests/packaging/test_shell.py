# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Shell scripts that users run are free of what shellcheck knows."""
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SCRIPTS = ["packaging/init.d/vtrunkd", "packaging/openwrt/files/uci2ini.sh", "packaging/openwrt/files/vtrunkd.init",
           "packaging/openwrt/files/netifd-hook",
           "packaging/debian/vtrunkd.postinst", "packaging/debian/vtrunkd.postrm",
           "scripts/setup", "scripts/demo", "scripts/bench", "scripts/test"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_shellcheck_finds_no_fault(script):
    path = ROOT / script
    shell = "bash" if path.read_text().startswith("#!/bin/bash") else "dash"

    done = subprocess.run(["shellcheck", "-x", "-s", shell, path.name], cwd=path.parent,
                          capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
