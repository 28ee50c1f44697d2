# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""An endpoint by name; drawn in named.py. That a name is looked up again when nothing answers is in test_slow.py."""
from bond import PORT, SERVER_IP
from lab import wait_until
from named import NamedPair
from traffic import PingTrain, wait_for_ping


def test_an_address_that_is_not_answered_is_left_for_the_next(lab):
    pair = NamedPair(lab, "10.0.1.3", "10.0.1.2")
    pair.start_client()
    wait_for_ping(pair.client_node, SERVER_IP, 20)
    assert pair.remote() == f"10.0.1.2:{PORT}"


def test_a_name_that_leads_elsewhere_is_followed(lab):
    pair = NamedPair(lab, "10.0.1.2", resolve_interval_secs=10)
    pair.start_client()
    pair.client.wait_path("wan1", "up")
    handshakes = pair.client.peer()["handshakes"]
    pair.server_moves("10.0.1.3")
    wait_until(lambda: pair.remote() == f"10.0.1.3:{PORT}", 20, "the path is at the new address")
    wait_for_ping(pair.client_node, SERVER_IP)
    assert pair.client.peer()["handshakes"] - handshakes <= 1


def test_a_link_that_may_use_the_other_family_looks_the_name_up_at_once(lab):
    pair = NamedPair(lab, "10.0.1.2")
    link = pair.client.sections["link wan1"]
    link["bind"] = f"[::]:{PORT}"
    pair.start_client()
    assert not pair.remote()
    link["bind"] = None
    assert pair.client.reload().returncode == 0
    wait_until(lambda: pair.remote() == f"10.0.1.2:{PORT}", 15, "the name is looked up")


def test_a_look_up_that_hangs_holds_nothing_up(lab):
    pair = NamedPair(lab, "10.0.1.2", server_of_names="10.0.1.2",
                     links={"link mute": {"endpoint": f"nobody.test:{PORT}"}})
    pair.server_node.nft("""
        table inet names {
            counter asked { }
            chain in {
                type filter hook input priority 0
                udp dport 53 counter name "asked" drop
            }
        }""")

    def asked():
        counter = pair.server_node.run("nft", "list", "counter", "inet", "names", "asked").stdout
        return int(counter.split("packets ")[1].split()[0])

    pair.start_client()
    pair.client.wait_path("wan1", "up")
    wait_until(asked, 10, "the name's server is asked")
    with PingTrain(pair.client_node, SERVER_IP) as train:
        before = asked()
        wait_until(lambda: asked() > before, 20, "it is asked again, as it does not answer")
        assert pair.client.answers()
    assert train.lost == 0
    assert not pair.client.path("mute")["remote"]
