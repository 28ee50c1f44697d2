# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
#
# Turns the UCI configuration of vtrunkd into its INI file: a section of a type becomes a section
# of that kind, an option a key, a list a comma list. "option name" says what a section is called
# where UCI has no such names ("lte/5g"). Nothing is known of single keys here, so there is nothing
# to keep in step: what is wrong, `vtrunkd check` says. A section of type vtrunkd is left out.
#
# Source /lib/functions.sh before this.

_uci2ini_end_key()
{
	[ -z "$_key" ] || _body="$_body$_key = $_values
"
	_key=
}

_uci2ini_section()
{
	_uci2ini_end_key
	case "$_type" in
	'' | vtrunkd) ;;
	*) printf '\n[%s%s]\n%s' "$_type" "${_name:+ $_name}" "$_body" ;;
	esac
	_type=$1
	_name=$2
	_body=
	# What UCI calls a section without a name.
	case "$_name" in cfg[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]) _name= ;; esac
}

_uci2ini_option()
{
	if [ "$1" = name ]; then
		_name=$2
		return
	fi
	_uci2ini_end_key
	_key=$1
	_values=$2
}

_uci2ini_item()
{
	if [ "$_key" = "$1" ]; then
		_values="$_values, $2"
	else
		_uci2ini_option "$1" "$2"
	fi
}

# Unless a section 'global' says "option enabled '0'".
uci2ini_is_enabled()
{
	config_load vtrunkd
	config_get_bool _enabled global enabled 1
	# shellcheck disable=SC2154
	[ "$_enabled" -eq 1 ]
}

# Prints the INI file.
# shellcheck disable=SC2317
uci2ini()
{
	echo "# Made from /etc/config/vtrunkd; changes here are lost."
	_key=
	_type=
	config_cb()
	{
		_uci2ini_section "$1" "$2"
	}
	option_cb()
	{
		_uci2ini_option "$1" "$2"
	}
	list_cb()
	{
		_uci2ini_item "$1" "$2"
	}
	config_load vtrunkd
	reset_cb
	_uci2ini_section '' ''
}
