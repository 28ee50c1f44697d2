#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
# What scripts/bench wan --peer 'NAME=COMMAND' runs at each end, with what a tunnel needs in the environment:
# another vtrunkd, VTRUNKD, over all links by their weights. The server's end makes the keys of both.
set -eu
umask 077
cd "$DIRECTORY"
if [ "$ROLE" = server ]; then
	for end in server client; do
		"$VTRUNKD" genkey >other-$end.key
	done
	other=client
else
	other=server
fi

{
	echo "[daemon]"
	echo "control_socket = $DIRECTORY/other-$ROLE.sock"
	echo "state_dir = $DIRECTORY"
	echo "[network]"
	echo "interface = $INTERFACE"
	echo "uapi = no"
	echo "[wireguard]"
	echo "private_key = $(cat "other-$ROLE.key")"
	echo "peer_public_key = $("$VTRUNKD" pubkey <"other-$other.key")"
	echo "scheduler = weight"
	n=1
	while [ "$n" -le "$LINKS" ]; do
		eval "local=\$LOCAL_$n remote=\$REMOTE_$n device=\$DEVICE_$n rate=\$RATE_$n"
		echo "[link $device]"
		echo "weight = $rate"
		if [ "$ROLE" = server ]; then
			echo "bind = $local:51820"
		else
			echo "endpoint = $remote:51820"
		fi
		n=$((n + 1))
	done
} >"other-$ROLE.conf"
exec "$VTRUNKD" --foreground --config "other-$ROLE.conf"
