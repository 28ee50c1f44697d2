# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
import os
import signal

import pytest

from bond import VTRUNKD, assert_daemons_are_well, assert_no_key_was_told
from lab import Lab


def pytest_configure(config):
    # A stopped run cleans up as an interrupted one does.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


def pytest_sessionstart(session):
    if os.geteuid() != 0:
        pytest.exit("the netns tests need root", returncode=1)
    if not VTRUNKD.exists():
        pytest.exit(f"{VTRUNKD} is missing: build first, or set VTRUNKD_BUILD", returncode=1)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed and call.when != "teardown":
        labs = [made for made in getattr(item, "funcargs", {}).values() if isinstance(made, Lab)]
        report.sections += [(title, text[-8000:]) for lab in labs for title, text in lab.logs()]


@pytest.fixture
def lab():
    """A fresh Lab. A daemon that ends by itself, stops with an error, or tells a key, fails the test."""
    with Lab() as made:
        yield made
        assert_daemons_are_well(made)
        assert_no_key_was_told(made)
