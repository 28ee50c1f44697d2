#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""
Reads the #include lines of src/ and checks the layers: a file includes only from folders of
lower rank or its own. Also: the SPDX head and #pragma once, and liburcu behind util/rcu.h.

    check_layers.py SOURCE_ROOT        prints what is wrong; exit status 1 if anything is
    check_layers.py --self-test        shows that each rule catches its bad example
"""
import pathlib
import re
import sys
import tempfile

RANKS = {
    "util": 0,
    "wire": 1,
    "crypto": 2, "tun": 2, "netlink": 2, "sandbox": 2,
    "peers": 3, "links": 3,
    "broker": 4,
    "dataplane": 5,
    "control": 6, "supervisor": 6,
    "core": 7, "vtrunkctl": 7,
}
HEAD = ("/* SPDX-License-Identifier: Apache-2.0 */\n"
        "/* Copyright (c) The vtrunkd authors */\n")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def check_include(folder, name, bracket, target):
    if target.startswith("urcu"):
        return None if name == "util/rcu.h" else f"only util/rcu.h includes <{target}>"
    to = target.split("/")[0]
    if bracket == "<":
        return f'"{target}" is ours and goes in quotes' if to in RANKS and "/" in target else None
    if "/" not in target or to not in RANKS:
        return f'"{target}" is not a full path from src/'
    if to == folder or RANKS[to] < RANKS[folder]:
        return None
    return f'"{target}": {folder} (rank {RANKS[folder]}) may not include {to} (rank {RANKS[to]})'


def check_file(name, text):
    folder = name.split("/")[0]
    if folder not in RANKS or "/" not in name:
        yield f"{name}: not in a folder that has a rank"
        return
    if not text.startswith(HEAD):
        yield f"{name}: does not begin with the SPDX head"
    if ".h" in pathlib.Path(name).suffixes and not re.search(r"^#pragma once$", text, re.MULTILINE):
        yield f"{name}: has no #pragma once"
    for match in INCLUDE.finditer(text):
        wrong = check_include(folder, name, match[1], match[2])
        if wrong:
            yield f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {wrong}"


def check_tree(src):
    files = sorted(p for p in src.rglob("*") if p.name.endswith((".c", ".h", ".c.in", ".h.in")))
    if not files:
        return [f"{src}: no C files found"]
    return [wrong for p in files
            for wrong in check_file(p.relative_to(src).as_posix(), p.read_text())]


def self_test():
    h = HEAD + "#pragma once\n"
    good = {
        "util/rcu.h": h + "#include <urcu/urcu-memb.h>\n",
        "links/link.c": HEAD + '#include "links/link.h"\n#include "util/addr.h"\n#include <net/if.h>\n',
        "core/main.c": HEAD + '#include "control/server.h"\n',
        "core/paths.h.in": h,
    }
    bad = {
        "upward": ("util/addr.c", HEAD + '#include "wire/wg.h"\n'),
        "sideways": ("links/link.c", HEAD + '#include "peers/peer.h"\n'),
        "sideways, spaced": ("tun/tun.c", HEAD + ' #  include "crypto/aead.h"\n'),
        "upward in brackets": ("util/addr.c", HEAD + "#include <wire/wg.h>\n"),
        "core from a tool": ("vtrunkctl/main.c", HEAD + '#include "core/config.h"\n'),
        "core from below": ("dataplane/tx.c", HEAD + '#include "core/config.h"\n'),
        "no full path": ("links/link.c", HEAD + '#include "link.h"\n'),
        "liburcu elsewhere": ("peers/peer.c", HEAD + "#include <urcu/rculist.h>\n"),
        "liburcu, top header": ("peers/peer.c", HEAD + "#include <urcu.h>\n"),
        "no pragma": ("util/addr.h", HEAD),
        "no pragma in a template": ("core/paths.h.in", HEAD),
        "no head": ("util/addr.c", "int x;\n"),
        "unknown folder": ("misc/x.c", HEAD),
    }
    for label, (name, text) in [(None, item) for item in good.items()] + list(bad.items()):
        with tempfile.TemporaryDirectory() as root:
            path = pathlib.Path(root, name)
            path.parent.mkdir(parents=True)
            path.write_text(text)
            found = check_tree(pathlib.Path(root))
            if bool(found) != (label is not None):
                return [f"self-test: {label or 'good ' + name}: found {found}"]
    return []


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--self-test":
        wrong = self_test()
    else:
        wrong = check_tree(pathlib.Path(sys.argv[1], "src"))
    print(*wrong, sep="\n", end="\n" if wrong else "")
    sys.exit(1 if wrong else 0)


main()
