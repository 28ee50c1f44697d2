#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Counts what a test run left: tally.py EXIT_STATUS FILE...

Reads meson's testlog.json and pytest's junit XML, those of the files that exist, and prints
"PASSED FAILED SKIPPED". A run that failed without a failed test counts as one failure.
"""
import json
import os
import re
import sys
import xml.etree.ElementTree as xml

CHECK_SUMMARY = re.compile(r"\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)")


def count_meson(path):
    passed = failed = skipped = 0
    with open(path, encoding="utf-8") as log:
        for test in map(json.loads, log):
            summary = CHECK_SUMMARY.search(test.get("stdout") or "")
            if summary:
                checks, failures, errors = map(int, summary.groups())
                passed += checks - failures - errors
                failed += failures + errors
                # All checks fine, and yet failed: a leak report at exit, for one.
                failed += test["result"] != "OK" and failures + errors == 0
            elif test["result"] == "SKIP":
                skipped += 1
            elif test["result"] == "OK":
                passed += 1
            else:
                failed += 1
    return passed, failed, skipped


def count_junit(path):
    suite = xml.parse(path).getroot().find("testsuite")
    total, failed, errors, skipped = (
        int(suite.get(key)) for key in ("tests", "failures", "errors", "skipped"))
    return total - failed - errors - skipped, failed + errors, skipped


def main():
    status, paths = int(sys.argv[1]), sys.argv[2:]
    total = [0, 0, 0]
    for path in filter(os.path.exists, paths):
        counts = count_junit(path) if path.endswith(".xml") else count_meson(path)
        total = [a + b for a, b in zip(total, counts)]
    if status != 0 and total[1] == 0:
        total[1] = 1
    print(*total)


if __name__ == "__main__":
    main()
