# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""An endpoint by name; /etc/hosts of the client's own is what it is looked up in.

    client 10.10.0.2                       server 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
                fd00:1::/64
"""
from bond import PORT, SERVER_IP, Pair
from lab import wait_until
from traffic import wait_for_ping

NAME = "server.test"
OWN_HOSTS = "mount --bind {} /etc/hosts && exec \"$@\""


class NamedPair(Pair):
    def __init__(self, lab, *addresses, **client):
        super().__init__(lab, rates=[None], client=client, start=False)
        self.hosts = lab.file("hosts")
        self.client.sections["link wan1"]["endpoint"] = f"{NAME}:{PORT}"
        self.name(*addresses)
        self.server.start()
        self.client.launch("unshare", "-m", "sh", "-c", OWN_HOSTS.format(self.hosts), "sh")
        wait_until(self.client.answers, 10, "the client answers")
        self.client.is_expected = True

    def name(self, *addresses):
        self.hosts.write_text("".join(f"{a} {NAME}\n" for a in addresses))

    def remote(self):
        return (self.client.path("wan1") or {}).get("remote") or ""


def test_an_address_that_is_not_answered_is_left_for_the_next(lab):
    pair = NamedPair(lab, "10.0.1.3", "10.0.1.2")
    wait_for_ping(pair.client_node, SERVER_IP, 20)
    assert pair.remote() == f"10.0.1.2:{PORT}"


def test_a_name_that_leads_elsewhere_is_followed(lab):
    pair = NamedPair(lab, "10.0.1.2", resolve_interval_secs=10)
    pair.client.wait_path("wan1", "up")
    handshakes = pair.client.peer()["handshakes"]
    pair.server_node.ip("addr add 10.0.1.3/24 dev wan1")
    pair.name("10.0.1.3")
    wait_until(lambda: pair.remote() == f"10.0.1.3:{PORT}", 20, "the path is at the new address")
    wait_for_ping(pair.client_node, SERVER_IP)
    assert pair.client.peer()["handshakes"] - handshakes <= 1
