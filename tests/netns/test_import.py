# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""A file of wg-quick, imported, connects to a stock peer; drawn in stock.py, with one link."""
import pytest

from bond import CLIENT_IP, PORT, SERVER_IP, VTRUNKD, Daemon, Keys, endpoint, new_psk
from stock import GoPeer, address_of
from traffic import ping_lost, wait_for_ping


def sections_of(text):
    """What bond.ini() writes, of a file in which lists go on in several lines."""
    sections = {}
    for line in text.splitlines():
        if line.startswith("["):
            keys = sections[line.strip("[]")] = {}
        elif " = " in line and not line.startswith("#"):
            key, value = line.split(" = ", 1)
            keys[key] = f"{keys[key]}, {value}" if key in keys else value
    return sections


def imported(node, keys, peer_keys, psk, remote):
    directory = node.lab.file("wg-quick")
    directory.mkdir()
    source, made = directory / "wg7.conf", directory / "vtrunkd.conf"
    source.write_text("\n".join([
        "[Interface]", f"PrivateKey = {keys.private}", f"ListenPort = {PORT}", f"Address = {CLIENT_IP}/24",
        "MTU = 1400",
        "PostUp = true", "[Peer]", f"PublicKey = {peer_keys.public}", f"PresharedKey = {psk}",
        f"AllowedIPs = {SERVER_IP}/32, 10.78.0.0/24", f"Endpoint = {remote}" if remote else "", ""]))
    said = node.run(VTRUNKD, "import", source, "-o", made).stderr
    assert f"{source}:6: PostUp: " in said
    assert made.stat().st_mode & 0o777 == 0o600
    node.run(VTRUNKD, "check", "-c", made)
    return sections_of(made.read_text())


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("initiates", [True, False], ids=["initiator", "responder"])
def test_an_imported_file_connects_to_a_stock_peer(lab, initiates, family):
    client, server = lab.node("vtrunkd"), lab.node("stock")
    cable = lab.cable(client, server, "wan1")
    keys, stock_keys, psk = Keys(), Keys(), new_psk()
    stock = GoPeer(server)
    stock.configure(stock_keys, keys, psk, None if initiates else endpoint(address_of(cable, client, family)))
    remote = endpoint(address_of(cable, server, family)) if initiates else None

    Daemon(client, imported(client, keys, stock_keys, psk, remote))

    near, far, address = (client, server, SERVER_IP) if initiates else (server, client, CLIENT_IP)
    wait_for_ping(near, address)
    assert ping_lost(far, CLIENT_IP if initiates else SERVER_IP) == 0
    assert "mtu 1400" in client.run("ip", "link", "show", "wg7").stdout
    assert "10.78.0.0/24 dev wg7" in client.run("ip", "route").stdout
