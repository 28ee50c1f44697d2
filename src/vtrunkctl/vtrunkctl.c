/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "vtrunkctl/vtrunkctl.h"

#include <stdio.h>
#include <stdlib.h>

#include "vtrunkctl/options.h"

int vtrunkctl_run(int argc, char **argv)
{
	struct options o;

	switch (options_parse(&o, argc, argv)) {
	case OPTIONS_DONE:
		return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
	case OPTIONS_WRONG:
		return EXIT_USAGE;
	default:
		return o.command->run(&o);
	}
}
