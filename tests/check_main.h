/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The main() that every Check program shares: one suite, exit status 1 if a test failed. */
#pragma once

#include <check.h>
#include <stdlib.h>

/* Each test file defines it: a suite with its cases added. */
static Suite *make_suite(void);

int main(void)
{
	SRunner *runner = srunner_create(make_suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
