# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Many peers; many.py draws the topology."""
import pytest

from bond import SERVER_IP
from many import Many, peer_sections
from test_service import IS_SANITIZED

# Of wg(8) 1.7 KB stay; of the configuration, whose text is kept, 2.5 KB, and for the first seconds 2.9.
BYTES_PER_PEER = {"configuration": 3200, "wg": 2200}


def test_a_thousand_peers_shake_hands_and_each_is_answered(lab):
    many = Many(lab, 1000)

    assert many.play("ping", many.n, SERVER_IP) == [many.n]

    totals = many.daemon.network()["totals"]
    assert (totals["peers"], totals["peers_active"]) == (many.n, many.n)
    assert many.daemon.dropped("rx_source_not_allowed") == 0


@pytest.mark.parametrize("way", BYTES_PER_PEER)
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
        many.daemon.start()
    assert many.daemon.network()["totals"]["peers"] == n

    if not IS_SANITIZED:
        assert (many.anonymous_bytes() - before) / n < BYTES_PER_PEER[way]
