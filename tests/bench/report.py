# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Results: kept while they come in, written as JSON and as Markdown, compared with earlier ones."""
import statistics

# Of each metric: how it reads, and with how many digits.
METRICS = {
    "gbps": ("Gbit/s", 2),
    "kpps": ("k packets/s", 1),
    "handshakes_per_core": ("a second and core of the responder", 0),
    "handshakes": ("a second", 0),
    "flooded_gbps": ("Gbit/s, flooded", 2),
    "kept_percent": ("Gbit/s kept, %", 0),
    "cpu_s_per_gb": ("CPU s/GB, daemons", 2),
    "machine_s_per_gb": ("CPU s/GB, machine", 2),
    "cpu_us_per_packet": ("CPU µs/packet, daemons", 2),
    "machine_us_per_packet": ("CPU µs/packet, machine", 2),
    "retransmits": ("segments resent", 0),
    "lost_percent": ("lost, %", 2),
    "average_us": ("average, µs", 0),
    "median_us": ("median, µs", 0),
    "p99_us": ("p99, µs", 0),
    "added_us": ("added to the link's median, µs", 0),
    "flooded_median_us": ("median, µs, flooded", 0),
    "flooded_p99_us": ("p99, µs, flooded", 0),
    "steady_median_us": ("median at 500 Mbit/s, µs", 0),
    "steady_p99_us": ("p99 at 500 Mbit/s, µs", 0),
    "flooded_steady_mbps": ("of 500 Mbit/s, flooded", 0),
    "flooded_steady_median_us": ("median at 500 Mbit/s, µs, flooded", 0),
    "flooded_steady_p99_us": ("p99 at 500 Mbit/s, µs, flooded", 0),
    "flood_kpps": ("flood, k packets/s", 0),
    "average_ms": ("average, ms", 2),
    "median_ms": ("median, ms", 2),
    "p99_ms": ("p99, ms", 2),
    "wakes": ("wake-ups/s", 1),
    "idle_cpu": ("CPU, % of a core", 2),
    "idle_mb": ("idle, MB", 1),
    "loaded_mb": ("after load, MB", 1),
    "peak_mb": ("peak under load, MB", 1),
}
WITHOUT_RATIO = {"retransmits", "lost_percent", "kept_percent", "flood_kpps"}
MODES = {
    "whole": "Whole: the veth carries a burst of datagrams in one piece",
    "cut": "Cut: each datagram crosses the veth alone",
    "many": "Many: the server has a thousand peers more, or somebody who floods it",
}


class Results:
    """values[mode][load][metric][subject] is a list, one number for each repetition."""

    def __init__(self, reference, titles, subjects, values=None):
        self.reference = reference  # to whom most are compared
        self.titles = titles  # of the loads, by name
        self.subjects = subjects  # by name: {"version": text, "compared_to": another's name or None}
        self.values = values if values is not None else {}

    @classmethod
    def from_json(cls, document):
        return cls(document["reference"], document["titles"], document["subjects"], document["results"])

    def to_json(self):
        return {"reference": self.reference, "titles": self.titles, "subjects": self.subjects,
                "results": self.values}

    def add(self, mode, load, subject, metrics):
        for metric, value in metrics.items():
            if value is not None:
                of_load = self.values.setdefault(mode, {}).setdefault(load, {})
                of_load.setdefault(metric, {}).setdefault(subject, []).append(round(value, 6))

    def add_what_tunnels_add(self, load, bare):
        """To the round trip of the link without one, of the same repetition."""
        for loads in self.values.values():
            medians = loads.get(load, {}).get("median_us", {})
            added = {name: [own - link for own, link in zip(values, medians[bare])]
                     for name, values in medians.items() if bare in medians and name != bare}
            if added:
                loads[load]["added_us"] = added

    def median(self, mode, load, metric, subject):
        """None where it was not measured."""
        found = self.values.get(mode, {}).get(load, {}).get(metric, {}).get(subject)
        return statistics.median(found) if found else None

    def ratio(self, mode, load, metric, subject):
        """To whom it is compared to; None where there is nothing to compare."""
        own = self.median(mode, load, metric, subject)
        other = self.median(mode, load, metric, self.subjects[subject]["compared_to"])
        if metric in WITHOUT_RATIO or own is None or not other:
            return None
        return own / other

    def rows(self):
        """(mode, load, metric, values of the subjects), in the order of METRICS within a load."""
        for mode, loads in self.values.items():
            for load, metrics in loads.items():
                for metric in METRICS:
                    if metric in metrics:
                        yield mode, load, metric, metrics[metric]

    def label(self, load, metric):
        return f"{self.titles[load]}: {METRICS[metric][0]}"

    def cell(self, mode, load, metric, subject, reference):
        """"median (range) ratio", the last if it is one to `reference`."""
        values = self.values[mode][load][metric].get(subject)
        if not values:
            return "-"
        text = format_value(metric, statistics.median(values))
        if len(values) > 1:
            text += f" ({format_value(metric, min(values))}-{format_value(metric, max(values))})"
        is_compared = self.subjects[subject]["compared_to"] == reference
        ratio = self.ratio(mode, load, metric, subject) if is_compared else None
        return f"{text} **x{ratio:.2f}**" if ratio is not None else text


def format_value(metric, value):
    return f"{value:.{METRICS[metric][1]}f}"


def table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def markdown(document):
    results = Results.from_json(document)
    settings = document["settings"]
    lines = ["# Benchmark of vtrunkd", ""]
    lines += [f"- {key}: {value}" for key, value in document["environment"].items()]
    lines += [f"- {name}: {subject['version']}" for name, subject in results.subjects.items()]
    lines += [f"- **{note}**" for note in document["notes"]]
    lines += ["", f"Medians of {settings['repeat']} runs of {settings['seconds']} s (range). GB are 10^9 bytes, "
                  "MB 10^6.", ""]
    for mode, title in MODES.items():
        if mode in results.values:
            lines += [f"## {title}", "", *mode_tables(results, mode)]
    return "\n".join(lines)


def mode_tables(results, mode):
    """One for each subject that others are compared to, with those beside it."""
    beside = {name: subject["compared_to"] or results.reference for name, subject in results.subjects.items()}
    for reference in dict.fromkeys(beside.values()):
        yield from subject_table(results, mode, reference,
                                 [name for name in beside if reference in (name, beside[name])])


def subject_table(results, mode, reference, names):
    rows = [row for row in results.rows() if row[0] == mode]
    names = [name for name in names if any(name in found for *_, found in rows)]
    others = set(names) - {reference}
    rows = [[results.label(load, metric), *(results.cell(mode, load, metric, name, reference) for name in names)]
            for _, load, metric, found in rows if others & set(found)]
    if not rows:
        return
    yield f"**x** is the ratio to {reference}."
    yield ""
    yield from table(["", *names], rows)
    yield ""


def comparison(old_document, new_document):
    """As Markdown. The ratios are what counts: both sides of them saw the same machine and hour."""
    old, new = Results.from_json(old_document), Results.from_json(new_document)
    rows = [comparison_row(old, new, mode, load, metric, name)
            for mode, load, metric, found in new.rows() for name in found
            if old.median(mode, load, metric, name) is not None]
    lines = [f"## Against {old_document['environment']['date']}, commit {old_document['environment']['commit']}", ""]
    for name in {subject["compared_to"] for subject in new.subjects.values()} & set(old.subjects):
        before, after = (results.subjects[name]["version"] for results in (old, new))
        if before != after:
            lines += [f"{name} was {before} then and is {after} now.", ""]
    lines += table(["", "", "then", "now", "change", "ratio then", "ratio now"], rows)
    return "\n".join(lines) + "\n"


def comparison_row(old, new, mode, load, metric, name):
    before, after = (results.median(mode, load, metric, name) for results in (old, new))
    ratios = [results.ratio(mode, load, metric, name) for results in (old, new)]
    return [f"{mode}: {new.label(load, metric)}", name, format_value(metric, before), format_value(metric, after),
            f"{100 * (after / before - 1):+.0f} %" if before else "-",
            *("-" if ratio is None else f"{ratio:.2f}" for ratio in ratios)]
