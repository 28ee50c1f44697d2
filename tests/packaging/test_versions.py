# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Wherever the version stands, it is that of meson.build."""
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PLACES = {
    "packaging/debian/changelog": r"^vtrunkd \((.*?)\)",
    "packaging/openwrt/Makefile": r"^PKG_VERSION:=(.*)$",
    "CHANGELOG.md": r"^## (\S+)",
}


def version(path, pattern):
    return re.search(pattern, (ROOT / path).read_text(), re.MULTILINE).group(1)


@pytest.mark.parametrize("path", PLACES)
def test_the_version_is_the_same(path):
    assert version(path, PLACES[path]) == version("meson.build", r"^  version: '(.*)',")
