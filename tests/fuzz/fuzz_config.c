/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Any text is a configuration or is refused with a reason, and nothing of it is left behind. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_errors errors = {.file = "fuzz"};
	struct config config;
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	if (config_parse(&config, text, size, &errors) == 0) {
		if (config_errors_any(&errors) || !config.n_networks)
			abort();
		config_deinit(&config);
	} else if (!config_errors_any(&errors)) {
		abort();
	}
	config_errors_deinit(&errors);
	free(text);
	return 0;
}
