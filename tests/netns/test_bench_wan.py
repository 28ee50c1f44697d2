# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""That scripts/bench wan measures, reports, and leaves nothing behind. Not what it measures."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import xml.dom.minidom

from bond import VTRUNKD
from lab import wait_until
from test_bench import left_by

BENCH = pathlib.Path(__file__).parents[1] / "bench" / "bench.py"


def wan_command(output, *options):
    return [sys.executable, "-B", BENCH, "wan", "--seconds", "1", "--output", output, *options]


def test_it_measures_and_writes_what_it_found(tmp_path):
    output = tmp_path / "result"
    bench = subprocess.Popen(wan_command(output, "--only", "S5", "--peer", "mptcp"),
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    text, _ = bench.communicate(timeout=120)

    assert bench.returncode == 0, text
    results = json.loads((output / "wan.json").read_text())["scenarios"]["S5"]["results"]
    assert set(results["tcp1"]) == {"vtrunkd", "best link alone", "mptcp"}
    assert set(results["probe"]) == {"vtrunkd", "best link alone"}
    ours = results["tcp1"]["vtrunkd"][0]
    assert ours["metrics"]["mbps"] > 0
    assert ours["metrics"]["rtt_idle_ms"] >= 20, "the emulator's delay"
    assert len(ours["series"]["mbps"]) == len(ours["series"]["rtt_ms"]) == 10
    assert "| S5 |" in (output / "wan.md").read_text()
    assert xml.dom.minidom.parse(str(output / "S5-tcp1.svg")).getElementsByTagName("path")
    assert not left_by(bench.pid)


def test_other_tunnels_are_measured_beside_it(tmp_path):
    output = tmp_path / "result"
    other = pathlib.Path(__file__).with_name("other_tunnel.sh")
    done = subprocess.run(
        wan_command(output, "--only", "S2", "--loads", "tcp1", "--no-alone", "--peer", "wireguard-go",
                    "--peer", f"other={other}"),
        env={**os.environ, "VTRUNKD": str(VTRUNKD)}, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((output / "wan.json").read_text())["scenarios"]["S2"]["results"]["tcp1"]
    assert set(results) == {"vtrunkd", "wireguard-go", "other"}
    for [result] in results.values():
        assert result["metrics"]["mbps"] > 0
        assert result["metrics"]["cpu_percent"] > 0


def test_a_tunnel_that_fails_is_told_and_the_others_are_measured(tmp_path):
    output = tmp_path / "result"
    done = subprocess.run(wan_command(output, "--only", "S5", "--loads", "probe", "--no-alone", "--peer", "broken=false"),
                          capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    document = json.loads((output / "wan.json").read_text())
    assert any("S5, broken" in note for note in document["notes"])
    assert "vtrunkd" in document["scenarios"]["S5"]["results"]["probe"]


def test_an_interrupted_one_cleans_up_and_writes_what_it_has(tmp_path):
    output, log = tmp_path / "result", tmp_path / "log"
    with open(log, "w") as text:
        bench = subprocess.Popen(wan_command(output, "--only", "S1,S2"), stdout=text, stderr=text)
        wait_until(lambda: "tcp1" in log.read_text(), 60, "it has measured something")
        assert left_by(bench.pid)
        bench.send_signal(signal.SIGINT)

        assert bench.wait(timeout=20) == 130, log.read_text()
    assert not left_by(bench.pid)
    document = json.loads((output / "wan.json").read_text())
    assert not document["complete"]
    assert set(document["scenarios"]) == {"S1"}
    assert "vtrunkd" in document["scenarios"]["S1"]["results"]["tcp1"]
    assert "not complete" in (output / "wan.md").read_text()
    assert (output / "S1-tcp1.svg").exists()
