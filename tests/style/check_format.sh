#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
#
# Is every tracked C file as clang-format would write it? check_format.sh SOURCE_ROOT
# With --self-test instead: does it catch a file that is not?
set -euo pipefail

fail()
{
	echo "check_format: $*" >&2
	exit 1
}

command -v clang-format >/dev/null || fail "clang-format is missing: run scripts/setup test"

# check ROOT FILE...: by the .clang-format at ROOT
check()
{
	local root=$1
	shift
	(cd "$root" && clang-format --style=file --dry-run -Werror -- "$@")
}

if [ "$1" = --self-test ]; then
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	cp "$(dirname "$0")/../../.clang-format" "$dir"
	printf 'int good(void)\n{\n\treturn 0;\n}\n' >"$dir/good.c"
	printf 'int bad( void ) {\n    return 0;\n}\n' >"$dir/bad.c"
	check "$dir" good.c || fail "self-test: a good file was refused"
	if check "$dir" good.c bad.c 2>/dev/null; then
		fail "self-test: a bad file passed"
	fi
	exit 0
fi

# A checkout lists what is tracked (and still there); a source archive has nothing else.
cd "$1"
if [ -e .git ]; then
	git -c safe.directory="$PWD" ls-files -z -- '*.c' '*.h' >/dev/null || fail "git cannot list the files"
	mapfile -d '' -t files < <(git -c safe.directory="$PWD" ls-files -z -- '*.c' '*.h')
else
	mapfile -d '' -t files < <(find src tests -name '*.[ch]' -print0)
fi
existing=()
for file in "${files[@]}"; do
	[ ! -f "$file" ] || existing+=("$file")
done
[ ${#existing[@]} -gt 0 ] || fail "no C files found in $1"
check . "${existing[@]}"
