/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "vtrunkctl/vtrunkctl.h"

int main(int argc, char **argv)
{
	return vtrunkctl_run(argc, argv);
}
