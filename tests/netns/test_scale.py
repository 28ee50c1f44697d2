# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Many peers; many.py draws the topology."""
import pytest

from bond import SERVER_IP
from lab import wait_until
from many import Many, peer_sections
from test_service import IS_SANITIZED

# By the configuration, whose text is kept, it is 1.8 KB, by wg(8) 1.5 KB.
BYTES_PER_PEER = 2048


def test_a_thousand_peers_shake_hands_and_each_is_answered(lab):
    many = Many(lab, 1000)

    assert many.play("ping", many.n, SERVER_IP) == [many.n]

    totals = many.daemon.network()["totals"]
    assert (totals["peers"], totals["peers_active"]) == (many.n, many.n)
    assert many.daemon.dropped("rx_source_not_allowed") == 0


@pytest.mark.parametrize("way", ["configuration", "wg"])
def test_idle_peers_take_little_memory(lab, way):
    """10,000 of them, as against one; without sessions, and with an address each."""
    n = 10000
    many = Many(lab, 1)
    before = many.anonymous_bytes()
    if way == "wg":
        many.add_by_wg(n)
    else:
        many.daemon.stop()
        many.daemon.sections.update(peer_sections(n))
        many.daemon.start(60)  # 3 s of a core with sanitizers
    assert many.daemon.network()["totals"]["peers"] == n

    if not IS_SANITIZED:
        # Reading the configuration takes a little more, which is given back 10 s after the start.
        wait_until(lambda: many.anonymous_bytes() - before < n * BYTES_PER_PEER, 30, "an idle peer takes 2 KB")
