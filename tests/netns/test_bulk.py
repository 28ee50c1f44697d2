# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""While a link carries bulk, threads let others finish their turns (docs/design/dataplane.md)."""
import os
import pathlib

from bond import SERVER_IP, Pair
from lab import wait_until
from test_service import IS_SANITIZED
from traffic import PingTrain, is_listening, wait_for_ping

PORT = 5201
THREADS = ("vt-link-0", "vt-tun")


def policies(daemon):
    """Of the threads of the data path."""
    children = daemon.node.run("pgrep", "-P", str(daemon.process.pid)).stdout.split()
    tasks = [task for pid in children for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]
    names = {int(task.name): (task / "comm").read_text().strip() for task in tasks}
    return {name: os.sched_getscheduler(tid) for tid, name in names.items() if name in THREADS}


def wait_for(pair, link, tun):
    wanted = {"vt-link-0": link, "vt-tun": tun}
    for daemon in (pair.client, pair.server):
        wait_until(lambda: policies(daemon) == wanted, 20, f"policies {wanted} in {daemon.node.name}")


# With sanitizers no link carries that much.
if not IS_SANITIZED:
    def test_threads_are_patient_while_a_link_carries_bulk(lab):
        pair = Pair(lab, rates=(None,))
        wait_for(pair, os.SCHED_OTHER, os.SCHED_OTHER)

        pair.server_node.spawn("iperf3", "-s", "-1", "-p", PORT)
        wait_until(lambda: is_listening(pair.server_node, PORT), 10, "iperf3 listens")
        flow = pair.client_node.spawn("iperf3", "-c", SERVER_IP, "-p", PORT, "-t", 60)
        wait_for(pair, os.SCHED_BATCH, os.SCHED_BATCH)
        with PingTrain(pair.client_node, SERVER_IP):
            wait_for(pair, os.SCHED_BATCH, os.SCHED_OTHER)
        wait_for(pair, os.SCHED_BATCH, os.SCHED_BATCH)

        flow.kill()
        wait_for_ping(pair.client_node, SERVER_IP)
        with PingTrain(pair.client_node, SERVER_IP):
            wait_for(pair, os.SCHED_OTHER, os.SCHED_OTHER)
