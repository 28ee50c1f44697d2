# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""That scripts/bench measures, reports, and leaves nothing behind. Not what it measures."""
import json
import pathlib
import signal
import subprocess
import sys

import pytest

from lab import wait_until

BENCH = pathlib.Path(__file__).parents[1] / "bench" / "bench.py"


def bench_command(output, *options):
    # The installed wireguard-go as a peer, so that nothing is downloaded.
    return [sys.executable, "-B", BENCH, "--skip", "wireguard-go", "--peer", "stock=wireguard-go IFACE",
            "--seconds", "1", "--repeat", "1", "--output", output, *options]


def left_by(pid):
    namespaces = [path for path in pathlib.Path("/run/netns").glob(f"vt{pid}-*")]
    sockets = [path for path in pathlib.Path("/run/wireguard").glob(f"vb{pid}-*")]
    daemons = [path for path in pathlib.Path("/proc").glob("[0-9]*/cmdline") if f"vb{pid}-".encode() in read(path)]
    return namespaces + sockets + daemons


def read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_it_measures_and_writes_what_it_found(tmp_path):
    output = tmp_path / "bench.json"
    bench = subprocess.Popen(bench_command(output, "--only", "tcp1-cubic,udp64,ping"),
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    text, _ = bench.communicate(timeout=90)

    assert bench.returncode == 0, text
    document = json.loads(output.read_text())
    assert document["complete"]
    results = document["results"]
    assert set(results) == {"whole", "cut"}
    assert {"stock", "raw"} <= set(results["whole"]["tcp1-cubic"]["gbps"])
    assert any(name.startswith("vtrunkd") for name in results["cut"]["udp64"]["kpps"])
    added = results["cut"]["ping"]["added_us"]
    assert added["stock"][0] == pytest.approx(difference_of_medians(results["cut"]["ping"], "stock"))
    assert "UDP 64 B" in output.with_suffix(".md").read_text()
    assert not left_by(bench.pid)


def test_it_measures_handshakes_and_floods(tmp_path):
    output = tmp_path / "bench.json"
    done = subprocess.run(bench_command(output, "--only", "handshakes,flood-bad", "--skip", "vtrunkd/openssl"),
                          capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stdout + done.stderr
    many = json.loads(output.read_text())["results"]["many"]
    for name in ("vtrunkd/ipsec-mb", "stock"):
        assert many["handshakes"]["handshakes_per_core"][name][0] > 0
        assert name in many["flood-bad"]["flooded_gbps"]
    assert "wireguard-go" not in many["handshakes"]["handshakes"]
    assert many["flood-bad"]["flooded_gbps"]["vtrunkd/ipsec-mb"][0] > 0


def difference_of_medians(figures, name):
    return figures["median_us"][name][0] - figures["median_us"]["raw"][0]


def test_an_interrupted_one_cleans_up_and_writes_what_it_has(tmp_path):
    output, log = tmp_path / "bench.json", tmp_path / "log"
    with open(log, "w") as text:
        bench = subprocess.Popen(bench_command(output, "--only", "ping"), stdout=text, stderr=text)
        # The second begins when the first is over.
        wait_until(lambda: log.read_text().count("Ping, idle") >= 2, 60, "it measures")
        assert left_by(bench.pid)
        bench.send_signal(signal.SIGINT)

        assert bench.wait(timeout=20) == 130, log.read_text()
    assert not left_by(bench.pid)
    document = json.loads(output.read_text())
    assert not document["complete"]
    assert document["results"]["whole"]["ping"]["median_us"]["raw"]
    assert "cut" not in document["results"]
    assert "not complete" in output.with_suffix(".md").read_text()


def test_one_interrupted_before_its_first_result_writes_nothing(tmp_path):
    output, log = tmp_path / "bench.json", tmp_path / "log"
    with open(log, "w") as text:
        bench = subprocess.Popen(bench_command(output, "--only", "idle"), stdout=text, stderr=text)
        wait_until(lambda: "repetition" in log.read_text(), 30, "it begins")
        bench.send_signal(signal.SIGINT)

        assert bench.wait(timeout=20) == 130, log.read_text()
    assert not left_by(bench.pid)
    assert not output.exists()


def test_a_result_can_be_compared_with_an_earlier_one(tmp_path):
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    options = ["--only", "ping", "--modes", "whole"]
    subprocess.run(bench_command(first, *options), check=True, capture_output=True, timeout=60)
    subprocess.run(bench_command(second, *options, "--compare", first), check=True, capture_output=True, timeout=60)

    assert "ratio then" in second.with_suffix(".md").read_text()
