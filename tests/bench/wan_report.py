# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Results of scripts/bench wan: verdicts, Markdown and plots."""
import statistics

from report import table
from svg import Panel, chart
from wan_loads import STEP

BOND, ALONE = "vtrunkd", "best link alone"
# How much worse than the best link alone still counts as equal: what two runs of the same differ by.
TOLERANCE_SHARE, TOLERANCE_MS = 0.03, 5
# Of each metric: its column, and its digits. Of those below, larger is better only for mbps.
COLUMNS = {
    "mbps": ("Mbit/s", 1), "rtt_idle_ms": ("RTT idle, ms", 1), "rtt_added_ms": ("added by load, median", 1),
    "rtt_added_p99_ms": ("added, p99", 1), "lost": ("probes lost", 0), "lost_percent": ("%", 3),
    "duplicates": ("twice", 0), "gap_ms": ("longest gap, ms", 0), "start_s": ("80 % after, s", 1),
    "back_s": ("back after a failure, s", 1), "again_s": ("used again after, s", 1),
    "retransmits": ("TCP segments resent", 0), "cpu_percent": ("CPU of both daemons, % of a core", 0),
}
LOADS = {"tcp1": "1 TCP flow", "tcp4": "4 TCP flows", "probe": "probe alone"}


def median(runs, metric):
    """Of the repetitions; None if it was not measured, or not reached, in any of them."""
    values = [run["metrics"].get(metric) for run in runs]
    return None if not values or None in values else statistics.median(values)


def cell(runs, metric):
    if not any(metric in run["metrics"] for run in runs):
        return "-"
    values = [run["metrics"].get(metric) for run in runs]
    if None in values:
        return "never"
    digits = COLUMNS[metric][1]
    text = f"{statistics.median(values):.{digits}f}"
    if len(values) > 1 and metric == "mbps":
        text += f" ({min(values):.{digits}f}-{max(values):.{digits}f})"
    return text


def worse_than_alone(results):
    """What about a scenario is worse than over its best link alone: texts. `results[load][subject]`."""
    for load, subjects in results.items():
        if BOND not in subjects or ALONE not in subjects:
            continue
        ours, alone = (median(subjects[name], "mbps") for name in (BOND, ALONE))
        if ours is not None and alone is not None and ours < alone * (1 - TOLERANCE_SHARE):
            yield f"{LOADS[load]}: {ours:.1f} < {alone:.1f} Mbit/s"
        ours, alone = (median(subjects[name], "rtt_ms") for name in (BOND, ALONE))
        if ours is not None and alone is not None and ours > alone + TOLERANCE_MS:
            yield f"{LOADS[load]}: loaded RTT {ours:.1f} > {alone:.1f} ms"
        ours, alone = (median(subjects[name], "lost_percent") for name in (BOND, ALONE))
        if ours is not None and alone is not None and ours > alone + 0.05:
            yield f"{LOADS[load]}: {ours:.2f} > {alone:.2f} % of the probes lost"


def missed_goals(goals, results):
    for load, limits in goals.items():
        for metric, limit in limits.items():
            runs = results.get(load, {}).get(BOND)
            if not runs:
                continue
            value = median(runs, metric)
            if value is None or (value < limit if metric == "mbps" else value > limit):
                sign = ">=" if metric == "mbps" else "<="
                yield f"{LOADS[load]}: {COLUMNS[metric][0]} {cell(runs, metric)}, aim {sign} {limit:g}"


def markdown(document):
    settings = document["settings"]
    lines = ["# vtrunkd over emulated WAN links", ""]
    lines += [f"- {key}: {value}" for key, value in document["environment"].items()]
    lines += [f"- **{note}**" for note in document["notes"]]
    lines += ["", f"Medians of {settings['repeat']} runs, TCP with {settings['control']}. *achievable*: what WireGuard's "
                  "overhead leaves of the links.", "", "## Verdicts", ""]
    lines += table(["", "", "achievable 1 / 4", "vtrunkd", "best link alone", "never worse than it?", "aims missed"],
                   (verdict_row(name, scenario) for name, scenario in document["scenarios"].items()))
    lines += ["", "## Figures", ""]
    for name, scenario in document["scenarios"].items():
        lines += [f"**{name}**: {scenario['title']}", "", *figures(scenario["results"]), ""]
    return "\n".join(lines)


def verdict_row(name, scenario):
    results = scenario["results"]
    worse, missed = list(worse_than_alone(results)), list(missed_goals(scenario["goals"], results))
    bulk = [load for load in ("tcp1", "tcp4") if load in results]

    def rates(subject):
        return " / ".join(cell(results[load].get(subject, []), "mbps") for load in bulk)

    is_compared = any(ALONE in subjects for subjects in results.values())
    return [name, scenario["title"], " / ".join(f"{scenario['achievable'][load]:.0f}" for load in bulk),
            rates(BOND), rates(ALONE), "**no**: " + "; ".join(worse) if worse else "yes" if is_compared else "-",
            "; ".join(missed) or ("none" if scenario["goals"] else "-")]


def figures(results):
    rows = [(f"{LOADS[load]}, {subject}", runs) for load, subjects in results.items()
            for subject, runs in subjects.items()]
    shown = [metric for metric in COLUMNS if any(metric in run["metrics"] for _, runs in rows for run in runs)]
    yield from table(["", *(COLUMNS[metric][0] for metric in shown)],
                     [[title, *(cell(runs, metric) for metric in shown)] for title, runs in rows])


def plots(document):
    """(file name, SVG) of the last run of each load."""
    for name, scenario in document["scenarios"].items():
        for load, subjects in scenario["results"].items():
            series = {subject: runs[-1]["series"] for subject, runs in subjects.items()}
            panels = [Panel("goodput, Mbit/s", {subject: found["mbps"] for subject, found in series.items()
                                                if "mbps" in found}, scenario["changes"]),
                      Panel("round-trip time of the probe, ms, the longest in 100 ms",
                            {subject: found["rtt_ms"] for subject, found in series.items()}, scenario["changes"])]
            if BOND in series:
                panels.append(Panel("vtrunkd's links, Mbit/s of IP packets", {
                    f"link {n}": values for n, values in enumerate(series[BOND]["links"], 1)}, scenario["changes"]))
            title = f"{name}: {scenario['title']}; {LOADS[load]}"
            yield f"{name.replace(':', '-')}-{load}.svg", chart(title, [p for p in panels if p.lines], STEP)
