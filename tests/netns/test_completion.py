# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Completion of vtrunkctl in bash and zsh, with the names of a running daemon."""
import pathlib

import pytest

from bond import VTRUNKCTL, Pair

COMPLETION = pathlib.Path(__file__).parents[2] / "packaging/completion"

BASH = """source {file}; vtrunkctl() {{ {program} "$@"; }}
COMP_WORDS=(vtrunkctl {words}); COMP_CWORD={n}; compopt() {{ :; }}
_vtrunkctl; printf '%s\\n' "${{COMPREPLY[@]}}"
"""
ZSH = """vtrunkctl() {{ {program} "$@" }}; compadd() {{ print -rl -- "${{(@)@[(r)--,-1]}}" }}
words=(vtrunkctl {words}); CURRENT={n}+1; source {file}
"""


@pytest.mark.parametrize("shell, script, file", [("bash", BASH, "vtrunkctl.bash"), ("zsh", ZSH, "_vtrunkctl")])
def test_shells_complete_words_keys_and_names(lab, shell, script, file):
    pair = Pair(lab)

    def complete(*words):
        quoted = " ".join(f"'{word}'" for word in ("-s", pair.client.control, *words))
        text = script.format(file=COMPLETION / file, program=VTRUNKCTL, words=quoted, n=len(words) + 2)
        lines = pair.client_node.run(shell, "-c", text).stdout.split("\n")
        return sorted(line for line in lines if line and line != "--")

    assert complete("li") == ["link"]
    assert complete("link", "d") == ["disable"]
    assert complete("link", "disable", "") == ["wan1", "wan2"]
    assert complete("link", "set", "wan1", "wei") == ["weight="]
    assert complete("mode", "set", "f") == ["failover"]
    assert complete("keys", "") == ["commit", "prepare", "rotate"]
    assert complete("connect", "") == ["default"]
