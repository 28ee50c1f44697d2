# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Where the log goes: syslog from the background, systemd's journal where it reads standard error.

Both are sockets of ours, in a mount namespace of the daemon's own.
"""
import os
import signal
import socket

from bond import PORT, VTRUNKD, Daemon, Keys, network_section
from lab import wait_until

# A /dev with what the daemon needs, and with our socket in the place of syslog's.
OWN_DEV = """
old=$(mktemp -d) && mount --rbind /dev $old && mount -t tmpfs none /dev && mkdir -p /dev/net && cd /dev
for node in null zero full random urandom net/tun; do : >$node; mount --bind $old/$node $node; done
umount -l $old; rmdir $old; ln -s {socket} log; cd /; exec "$@"
"""
OWN_JOURNAL = """
mount -t tmpfs none /run && mkdir -p /run/systemd/journal && ln -s {socket} /run/systemd/journal/socket
exec env JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) "$@"
"""


class Sink:
    """A socket that keeps what it is told."""

    def __init__(self, lab):
        self.path = lab.file("sink")
        self.socket = lab.stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self.socket.bind(str(self.path))
        self.path.chmod(0o666)
        self.entries = []
        self.heard = lab.heard

    def read(self):
        while True:
            try:
                entry = self.socket.recv(65536, socket.MSG_DONTWAIT).decode()
            except BlockingIOError:
                return self.entries
            self.entries.append(entry)
            self.heard.append(([VTRUNKD], entry))

    def wait(self, *parts):
        return wait_until(lambda: next((e for e in self.read() if all(p in e for p in parts)), None), 10,
                          f"an entry with {parts}")


def lone_daemon(lab):
    return Daemon(lab.node("server"), {
        "network": network_section("10.10.0.1"),
        "wireguard": {"private_key": Keys().private, "peer_public_key": Keys().public},
        "link wan": {"bind": f"0.0.0.0:{PORT}"}}, start=False)


def in_mounts(script, sink):
    return ["unshare", "--mount", "sh", "-ec", script.format(socket=sink.path), "sh"]


def test_in_the_background_the_log_goes_to_syslog(lab):
    daemon, sink = lone_daemon(lab), Sink(lab)
    pid_file = lab.file("pid")
    daemon.sections["daemon"] = {"pid_file": pid_file}
    daemon.write_config()

    daemon.node.run(*in_mounts(OWN_DEV, sink), VTRUNKD, "--config", daemon.config)
    pid = int(pid_file.read_text().split()[0])
    try:
        # What its parts log by themselves, too; LOG_DAEMON is 3 << 3.
        sink.wait(f"vtrunkd[{pid}]: ready", "<29>")
        daemon.ctl("disconnect")
        sink.wait("network=default", "state=stopped")
    finally:
        os.kill(pid, signal.SIGTERM)
    sink.wait("stopping: SIGTERM")
    wait_until(lambda: not pid_file.exists(), 10, "it has ended")


def test_the_journal_gets_fields(lab):
    daemon, sink = lone_daemon(lab), Sink(lab)

    daemon.launch(*in_mounts(OWN_JOURNAL, sink))
    daemon.is_expected = True

    sink.wait("MESSAGE=ready\n", "PRIORITY=5\n", "SYSLOG_IDENTIFIER=vtrunkd\n", "EVENT=setup_finished\n")
    daemon.ctl("disconnect")
    sink.wait("EVENT=network_state\n", "NETWORK=default\n", "STATE=stopped\n")
    assert daemon.stop() == 0
    sink.wait("EVENT=exited\n", "CODE=0\n", "CAUSE=")
    assert daemon.process.output() == "", "standard error would be a second copy"
