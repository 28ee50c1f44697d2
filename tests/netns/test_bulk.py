# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""While a link carries bulk, threads let others finish their turns (docs/design/dataplane.md)."""
import os

from bond import SERVER_IP, Pair
from lab import wait_until
from test_service import IS_SANITIZED
from test_workers import threads
from traffic import PingTrain, begin_iperf, wait_for_ping

THREADS = ("vt-link-0", "vt-tun")


def policies(daemon):
    """Of the threads of the data path."""
    return {name: os.sched_getscheduler(tid) for tid, name in threads(daemon).items() if name in THREADS}


def wait_for(pair, link, tun):
    wanted = {"vt-link-0": link, "vt-tun": tun}
    for daemon in (pair.client, pair.server):
        wait_until(lambda: policies(daemon) == wanted, 20, f"policies {wanted} in {daemon.node.name}")


# With sanitizers no link carries that much.
if not IS_SANITIZED:
    def test_threads_are_patient_while_a_link_carries_bulk(lab):
        pair = Pair(lab, rates=(None,))
        wait_for(pair, os.SCHED_OTHER, os.SCHED_OTHER)

        flow, _ = begin_iperf(pair.client_node, pair.server_node, SERVER_IP, 60)
        wait_for(pair, os.SCHED_BATCH, os.SCHED_BATCH)
        with PingTrain(pair.client_node, SERVER_IP):
            wait_for(pair, os.SCHED_BATCH, os.SCHED_OTHER)
        wait_for(pair, os.SCHED_BATCH, os.SCHED_BATCH)

        flow.kill()
        wait_for_ping(pair.client_node, SERVER_IP)
        with PingTrain(pair.client_node, SERVER_IP):
            wait_for(pair, os.SCHED_OTHER, os.SCHED_OTHER)
