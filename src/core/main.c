/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/cli.h"
#include "core/commands.h"
#include "core/daemon.h"

int main(int argc, char **argv)
{
	struct cli cli;

	if (cli_parse(argc, argv, &cli) < 0)
		return EXIT_USAGE;
	if (cli.command == COMMAND_DAEMON)
		return daemon_run(&cli);
	return command_run(&cli);
}
