/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Any text is imported or refused with a reason; what is written is a good configuration. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/import.h"
#include "fuzz.h"

static void read_again(const struct import *m)
{
	struct config_errors errors = {0};
	struct config config;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return;
	import_write(f, m);
	fclose(f);
	if (config_parse(&config, text, len, &errors) < 0 || config_errors_any(&errors))
		abort();
	config_deinit(&config);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_errors errors = {.file = "wg0.conf"};
	struct import import;
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	if (import_parse(&import, text, size, NULL, &errors) == 0) {
		if (config_errors_any(&errors))
			abort();
		read_again(&import);
		import_deinit(&import);
	} else if (!config_errors_any(&errors)) {
		abort();
	}
	config_errors_deinit(&errors);
	free(text);
	return 0;
}
