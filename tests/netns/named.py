# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""A Pair whose client has the server's endpoint by name, with files of its own to look it up in.

    client 10.10.0.2                       server 10.10.0.1
      wan1 10.0.1.1 ------ 10.0.1.0/24 ------ 10.0.1.2 wan1
                fd00:1::/64
"""
from bond import PORT, Pair
from lab import wait_until

NAME = "server.test"
OWN_FILES = "mount --bind {hosts} /etc/hosts && mount --bind {servers} /etc/resolv.conf && exec \"$@\""


class NamedPair(Pair):
    def __init__(self, lab, *addresses, server_of_names="127.0.0.1", links=None, **client):
        super().__init__(lab, rates=[None], client=client, start=False)
        self.hosts, self.servers = lab.file("hosts"), lab.file("resolv.conf")
        self.servers.write_text(f"nameserver {server_of_names}\n")
        self.client.sections["link wan1"]["endpoint"] = f"{NAME}:{PORT}"
        self.client.sections.update(links or {})
        self.name(*addresses)
        self.server.start()

    def start_client(self):
        files = OWN_FILES.format(hosts=self.hosts, servers=self.servers)
        self.client.launch("unshare", "-m", "sh", "-c", files, "sh")
        wait_until(self.client.answers, 10, "the client answers")
        self.client.is_expected = True

    def name(self, *addresses):
        self.hosts.write_text("".join(f"{a} {NAME}\n" for a in addresses))

    def remote(self):
        return (self.client.path("wan1") or {}).get("remote") or ""

    def server_moves(self, address):
        """To another address at the same cable; the name goes along."""
        self.server_node.ip(f"addr add {address}/24 dev wan1")
        self.name(address)
