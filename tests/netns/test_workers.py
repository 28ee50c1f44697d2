# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""All that test_modes.py asks for, with several workers for each link; and what is about these."""
import pathlib

import pytest

import bond
from bond import SERVER_IP, Pair
from test_modes import *  # noqa: F401,F403
from traffic import iperf, transfer


@pytest.fixture(autouse=True)
def several_workers(monkeypatch):
    monkeypatch.setattr(bond, "WORKERS", "3")


def threads(daemon):
    """The names of its children's threads, by their ids."""
    pids = daemon.node.run("pgrep", "-P", str(daemon.process.pid)).stdout.split()
    return {int(comm.parent.name): comm.read_text().strip()
            for pid in pids for comm in pathlib.Path(f"/proc/{pid}/task").glob("*/comm")}


def thread_names(daemon):
    return list(threads(daemon).values())


def assert_order_is_kept(pair, streams):
    """To a peer by one path nothing is put in order behind the link: what came in disorder would stay so."""
    iperf(pair.client_node, pair.server_node, SERVER_IP, 2, "-P", str(streams))
    transfer(pair.client_node, pair.server_node, SERVER_IP, 8 << 20)
    reseq = pair.server.peer()["reseq"]
    assert reseq["in_order"] > 1000
    # Not none: a keepalive, which has a counter of the line, may be overtaken by data at the sender.
    assert reseq["held"] + reseq["released_late"] < 20, reseq


def test_workers_keep_the_order_of_a_flow(lab):
    pair = Pair(lab, rates=(None,))
    assert {"vt-link-0", "vt-link-0.1", "vt-link-0.2"} <= set(thread_names(pair.server))
    assert_order_is_kept(pair, 4)


def test_a_running_link_keeps_its_workers(lab):
    pair = Pair(lab, rates=(None,))
    pair.client.sections["link wan1"]["workers"] = 2
    done = pair.client.reload()
    assert done.returncode == 1 and "[link wan1] workers" in done.stderr and "restart" in done.stderr
