# shellcheck shell=sh disable=SC2034
# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
#
# What the init script and uci2ini.sh use of OpenWrt: /lib/functions.sh, which reads UCI and calls
# back, and procd. UCI_FILE is the configuration; what procd is asked for goes to PROCD_LOG.

reset_cb()
{
	config_cb() { :; }
	option_cb() { :; }
	list_cb() { :; }
}
reset_cb

# Sections without a name get one, as UCI does; at the end config_cb is called without any.
config_load()
{
	_n=0
	_section=
	while read -r _word _first _rest; do
		_first=${_first#\'}
		_first=${_first%\'}
		_rest=${_rest#\'}
		_rest=${_rest%\'}
		case "$_word" in
		config)
			_n=$((_n + 1))
			_section=${_rest:-cfg0${_n}4a3f}
			config_cb "$_first" "$_section"
			;;
		option)
			eval "CONFIG_${_section}_$_first=\$_rest"
			option_cb "$_first" "$_rest"
			;;
		list) list_cb "$_first" "$_rest" ;;
		esac
	done <"$UCI_FILE"
	config_cb
}

# config_get_bool VARIABLE SECTION OPTION DEFAULT
config_get_bool()
{
	eval "$1=\${CONFIG_${2}_$3:-$4}"
}

procd_open_instance() { echo open >>"$PROCD_LOG"; }
procd_close_instance() { echo close >>"$PROCD_LOG"; }
procd_set_param() { echo "$*" >>"$PROCD_LOG"; }
procd_send_signal() { echo "signal $*" >>"$PROCD_LOG"; }
procd_add_reload_trigger() { echo "trigger $*" >>"$PROCD_LOG"; }
procd_running() { false; }
start() { echo start >>"$PROCD_LOG"; }
stop() { echo stop >>"$PROCD_LOG"; }
