# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Nothing to do: how often a daemon wakes, over all its threads.

    client 10.10.0.2 ==== tunnel ==== 10.10.0.1 server
      wan1, wan2 10.0.1.1, 10.0.2.1 ---- 10.0.1.2, 10.0.2.2
"""
import sys
import time

from bond import HEALTH, Pair
from lab import wait_until

sys.path.insert(0, str(__file__).rsplit("/", 2)[0] + "/bench")
from tunnels import wake_ups  # noqa: E402

SECONDS = 3
# A second, as the health checks are by default: each link's own ping and its answer, and the peer's, wake two threads.
BOUND = 12
DEFAULTS = {key: None for key in HEALTH}


def wakes_a_second(daemon):
    pids = daemon.processes()
    before, begin = wake_ups(pids), time.monotonic()
    time.sleep(SECONDS)  # what is counted happens by itself
    return (wake_ups(pids) - before) / (time.monotonic() - begin)


def test_idle_daemon_hardly_wakes(lab):
    pair = Pair(lab, client=DEFAULTS, server=DEFAULTS)

    # It takes some seconds until all is found out about the paths.
    wait_until(lambda: wakes_a_second(pair.client) < BOUND, 60, "the client is quiet")
    pair.server.stop()
    wait_until(lambda: wakes_a_second(pair.client) < BOUND, 60, "it is also without the server")
