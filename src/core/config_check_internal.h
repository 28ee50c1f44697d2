/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What the checks of a configuration share. */
#pragma once

#include "core/config_draft.h"
#include "core/config_errors.h"

struct config_check {
	struct config_draft *d;
	struct config_errors *errors;
	bool has_stray_links, has_stray_peers; /* of an unknown network: none may be missing then */
};

/* An error about a key of a section, at the key's line if it is given there. */
#define config_report(errors, section, key, format, ...)                                           \
	config_errors_add(errors, config_section_line(section, key), "%s %s: " format,             \
			  (section)->label, key, ##__VA_ARGS__)

/* A key that can be given inline or as the path of a file. */
void config_check_secret(struct config_check *c, const struct config_section *s, const char *key,
			 const char *file_key, bool is_required);
/* What is on in any case must fit the buffers. */
void config_check_buffers(struct config_check *c, const struct network_settings *set,
			  const struct config_section *s, const char *key, enum offload wanted);
/* One network with its [wireguard], once it is known which links and peers it has. 0 or -ENOMEM. */
int config_check_network(struct config_check *c, const struct network_draft *n);
