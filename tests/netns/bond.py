# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""vtrunkd in a Lab: configurations, daemons and what they say of themselves."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess

import secret
from lab import wait_until
from traffic import wait_for_ping

BUILD = pathlib.Path(os.environ.get("VTRUNKD_BUILD", pathlib.Path(__file__).parents[2] / "build"))
VTRUNKD = BUILD / "vtrunkd"
VTRUNKCTL = BUILD / "vtrunkctl"

PORT = 51820
CLIENT_IP, SERVER_IP = "10.10.0.2", "10.10.0.1"
CLIENT_IP6, SERVER_IP6 = "fd10::2", "fd10::1"

# Threads of each link, to run all tests with several; unset: as the configuration says.
WORKERS = os.environ.get("VTRUNKD_TEST_WORKERS")
# Queues of each interface, likewise.
QUEUES = os.environ.get("VTRUNKD_TEST_QUEUES")

# So fast that a test need not wait, so slow that a busy machine does not fail it.
HEALTH = {"health_check_interval_ms": 100, "health_check_timeout_ms": 600, "error_backoff_secs": 1}


def _vtrunkd(*arguments, text=None):
    return subprocess.run([VTRUNKD, *arguments], input=text, capture_output=True, text=True, check=True).stdout.strip()


class Keys:
    def __init__(self):
        self.private = _vtrunkd("genkey")
        self.public = _vtrunkd("pubkey", text=self.private)
        secret.know(self.private, "a private key")


def new_psk():
    key = _vtrunkd("genpsk")
    secret.know(key, "a preshared key")
    return key


def ini(sections):
    """Text of {"link wan1": {"weight": 1}, ...}; a value of None leaves its key out."""
    lines = []
    for head, keys in sections.items():
        lines.append(f"[{head}]")
        lines += [f"{key} = {value}" for key, value in keys.items() if value is not None]
    return "\n".join(lines) + "\n"


class Daemon:
    """One vtrunkd, in the foreground. Its configuration is `sections`; change it and start() again."""

    def __init__(self, node, sections, start=True):
        self.node = node
        self.sections = sections
        self.config = node.lab.file(f"{node.name}.conf")
        self.control = node.lab.file(f"{node.name}.sock")
        self.state = node.lab.file(f"{node.name}-state")
        self.state.mkdir()
        self.process = None
        self.is_expected = False  # to be running when the test ends
        node.lab.daemons.append(self)
        if start:
            self.start()

    def write_config(self):
        daemon = {"control_socket": self.control, "state_dir": self.state, "log_level": "debug",
                  **self.sections.get("daemon", {})}
        links = {head: {"workers": WORKERS, **keys} for head, keys in self.sections.items() if head.startswith("link ")}
        networks = {head: {"queues": QUEUES, **keys} for head, keys in self.sections.items()
                    if head.split()[0] == "network"}
        self.config.write_text(ini({**self.sections, **networks, **links, "daemon": daemon}))
        self.config.chmod(0o600)

    def launch(self, *wrapper):
        """Starts it, through `wrapper` if given, and returns its process without waiting."""
        self.write_config()
        environment = {"VTRUNKD_UAPI_DIR": str(self.node.lab.file(f"{self.node.name}-wg"))}
        self.process = self.node.spawn(*wrapper, VTRUNKD, "--foreground", "--config", self.config, env=environment)
        return self.process

    def start(self, seconds=10):
        self.launch()
        self.is_expected = True
        wait_until(lambda: self.answers() or not self.process.is_running(), seconds, "the daemon answers")
        assert self.process.is_running(), f"the daemon ended: {self.process.output()[-2000:]}"

    def fails_to_start(self, *wrapper, seconds=2):
        """What it says on stderr. It must end by itself in time, with a status that is not 0."""
        status = self.launch(*wrapper).wait(seconds)
        assert status != 0, "it claims success"
        return self.process.output()

    def stop(self, number=signal.SIGTERM):
        self.is_expected = False
        return self.process.stop(number)

    def kill(self):
        """As a power cut would."""
        self.is_expected = False
        self.process.kill()

    @contextlib.contextmanager
    def held(self):
        """Within its block the engine stands still, and what comes waits in the sockets."""
        children = self.processes()[1:]
        for pid in children:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in children:
                os.kill(pid, signal.SIGCONT)

    def problem(self):
        """At the end of a test: what is wrong with a daemon that should have been running, or None."""
        if not self.is_expected:
            return None
        has_ended = not self.process.is_running()
        status = self.stop()
        if status == 0 and not has_ended:
            return None
        how = "ended by itself" if has_ended else "was stopped"
        return f"{self.node.name}: vtrunkd {how}, status {status}:\n{self.process.output()[-4000:]}"

    def processes(self):
        """Their numbers: the supervisor's, then those of its children, of which one is the engine."""
        pid = self.process.pid
        return [pid, *map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def wg_socket(self):
        path, = self.node.lab.directory.glob(f"*{self.node.name}-wg/*.sock")
        return path

    def ctl(self, *arguments, check=True):
        return self.node.run(VTRUNKCTL, "--socket", self.control, *arguments, check=check)

    def reload(self):
        """Reads the configuration again as it is in `sections`; it may be refused."""
        self.write_config()
        return self.ctl("reload", check=False)

    def control_answer(self):
        return self.node.run(VTRUNKCTL, "--socket", self.control, "--json", "status", check=False)

    def answers(self):
        return self.control_answer().returncode == 0

    def network(self, name=None):
        """The status of its network; the first if not named."""
        networks = json.loads(self.control_answer().stdout)["networks"]
        return next(n for n in networks if name in (None, n["name"]))

    def peer(self, name=None):
        return next(p for p in self.network()["peers"] if name in (None, p["name"]))

    def paths(self):
        return self.peer()["paths"]

    def path(self, link):
        """The path over a link of ours; None while there is none."""
        return next((p for p in self.paths() if p["link"] == link), None)

    def path_to(self, address):
        """The path to a remote address, of whatever link."""
        return next((p for p in self.paths() if _host(p["remote"]) == address), None)

    def dropped(self, reason):
        """How often, counting the network and all its links."""
        network = self.network()
        return network["drops"][reason] + sum(link["drops"][reason] for link in network["links"])

    def all_drops(self):
        network = self.network()
        return sum(sum(o["drops"].values()) for o in [network, *network["links"]])

    def wait_path(self, link, state, seconds=10):
        wait_until(lambda: (self.path(link) or {}).get("state") == state, seconds,
                   f"{self.node.name}: path {link} is {state}")

    def wait_log(self, text, seconds=10):
        wait_until(lambda: text in self.process.output(), seconds, f"{self.node.name} logs '{text}'")


def engine_of(daemon):
    """The pid of the process that carries the packets; None while there is none."""
    for child in daemon.processes()[1:]:
        try:
            name = pathlib.Path(f"/proc/{child}/comm").read_text().strip()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        if name == "vtrunkd":
            return child
    return None


def assert_daemons_are_well(lab):
    """At the end of a test: no daemon has ended by itself, and all stop without an error."""
    problems = [problem for daemon in lab.daemons if (problem := daemon.problem())]
    assert not problems, "; ".join(problems)


def _outputs(lab):
    """(title, bytes) of what our programs have said, to a terminal, a file or over a socket."""
    for process in lab.processes:
        if {str(VTRUNKD), str(VTRUNKCTL)} & set(process.arguments):
            yield " ".join(process.arguments[-4:]), process.log.read_bytes()
    for arguments, output in lab.heard:
        if {str(VTRUNKD), str(VTRUNKCTL)} & {str(argument) for argument in arguments}:
            yield " ".join(map(str, arguments)), output.encode()
    for path in lab.directory.rglob("*"):  # what hooks were given, and what is kept over a restart
        if path.is_file() and (path.suffix in (".txt", ".timestamp", ".lock") or "-state" in path.parent.name):
            yield path.name, path.read_bytes()


def assert_no_key_was_told(lab):
    told = {title: keys for title, output in _outputs(lab) if (keys := secret.found_in(output))}
    assert not told, f"keys in the output of {told}"


def _host(remote):
    return remote.rsplit(":", 1)[0].strip("[]") if remote else None


def endpoint(address, port=PORT):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Pair:
    """A client and a server with one cable for each element of `rates` (None: unlimited).

    The client has a link per cable, of the cable's name; the server one passive link for each
    of the underlay's families, "wan4" and "wan6".
    """

    def __init__(self, lab, mode="aggregate", rates=(None, None), families=None, weights=None,
                 client=None, server=None, start=True):
        self.client_node, self.server_node = lab.node("client"), lab.node("server")
        self.cables = [self.make_cable(lab, f"wan{n}", rate) for n, rate in enumerate(rates, 1)]
        self.client_keys, self.server_keys = Keys(), Keys()
        families = families or [4] * len(rates)
        weights = weights or [1] * len(rates)
        links = {
            f"link {cable.name}": {"endpoint": endpoint(self.server_address(cable, family)), "weight": weight}
            for cable, family, weight in zip(self.cables, families, weights)}
        wildcards = {f"link wan{family}": {"bind": endpoint({4: "0.0.0.0", 6: "::"}[family])}
                     for family in sorted(set(families) or {4})}
        self.client = Daemon(self.client_node, {
            "network": network_section(CLIENT_IP, CLIENT_IP6),
            "wireguard": {**HEALTH, "private_key": self.client_keys.private,
                          "peer_public_key": self.server_keys.public,
                          "bonding_mode": mode, **(client or {})},
            **links}, start=False)
        self.server = Daemon(self.server_node, {
            "network": network_section(SERVER_IP, SERVER_IP6),
            "wireguard": {**HEALTH, "private_key": self.server_keys.private,
                          "peer_public_key": self.client_keys.public,
                          "bonding_mode": mode, **(server or {})},
            **wildcards}, start=False)
        if start:
            self.start()

    def make_cable(self, lab, name, rate):
        return lab.cable(self.client_node, self.server_node, name, rate=rate)

    def start(self):
        self.server.start()
        self.client.start()
        wait_for_ping(self.client_node, SERVER_IP)
        for cable in self.cables:
            self.client.wait_path(cable.name, "up")

    def server_address(self, cable, family=4):
        return cable.v6(self.server_node) if family == 6 else cable.v4(self.server_node)

    def client_address(self, cable, family=4):
        return cable.v6(self.client_node) if family == 6 else cable.v4(self.client_node)

    def client_path(self, cable):
        return self.client.path(cable.name)

    def sent(self, cable):
        """Bytes that the client has sent on a cable, as the kernel counts them."""
        return self.client_node.counters(cable.name)["tx"]["bytes"]


def network_section(*addresses, interface="tun0", **keys):
    prefixes = [f"{a}/{64 if ':' in a else 24}" for a in addresses]
    return {"interface": interface, "address": ", ".join(prefixes), **keys}
