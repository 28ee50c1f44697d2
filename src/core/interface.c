/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/interface.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/paths.h"
#include "crypto/keys.h"
#include "util/log.h"

/* The file that the user would write; its keys are of no use and go again. */
static const char form[] = "[daemon]\n"
			   "control_socket = " RUN_DIR "/%s.sock\n"
			   "restart = off\n"
			   "[network]\n"
			   "interface = %s\n"
			   "[wireguard]\n"
			   "private_key = %s\n"
			   "[link link-0]\n"
			   "[peer none]\n"
			   "public_key = %s\n"
			   "allowed_ips = 192.0.2.1/32\n";

static int level_of(const char *level, int as_configured)
{
	if (!level)
		return as_configured;
	if (!strcmp(level, "verbose") || !strcmp(level, "debug"))
		return LOG_DEBUG;
	return strcmp(level, "info") ? LOG_ERR : LOG_INFO;
}

int interface_config(struct config *ret, const char *interface)
{
	char private_text[KEY_BASE64_LEN + 1];
	char public_text[KEY_BASE64_LEN + 1];
	uint8_t key[KEY_LEN];
	char text[sizeof(form) + 4 * KEY_BASE64_LEN + 512];
	struct config_errors errors = {.file = interface};
	int len;
	int r;

	keys_generate(key);
	keys_to_base64(private_text, key);
	keys_generate(key);
	keys_public(key, key);
	keys_to_base64(public_text, key);
	len = snprintf(text, sizeof(text), form, interface, interface, private_text, public_text);
	r = len < (int)sizeof(text) ? config_parse(ret, text, (size_t)len, &errors) : -EINVAL;
	if (r < 0) {
		config_errors_print(&errors, stderr);
		config_errors_deinit(&errors);
		return r;
	}
	config_errors_deinit(&errors);
	memset(ret->networks->private_key, 0, sizeof(ret->networks->private_key));
	free(ret->networks->peers[0].allowed_ips);
	ret->networks->n_peers = 0;
	ret->daemon.log_level = level_of(getenv("LOG_LEVEL"), ret->daemon.log_level);
	return 0;
}
