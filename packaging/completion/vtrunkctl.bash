# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
# Completion of vtrunkctl for bash: vtrunkctl itself knows its words, and asks the daemon for names.

_vtrunkctl()
{
	local IFS=$'\n' words=("${COMP_WORDS[@]:1:COMP_CWORD}")
	mapfile -t COMPREPLY < <(vtrunkctl complete -- "${words[@]}" 2>/dev/null)
	# "weight=" goes on.
	[[ ${#COMPREPLY[@]} -ne 1 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace
}

complete -o default -F _vtrunkctl vtrunkctl
