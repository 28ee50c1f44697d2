/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The configuration file, checked and with its defaults filled in: docs/man/vtrunkd.conf.5
 * says what it may hold. It is read as a whole or refused as a whole.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "core/config_errors.h"
#include "core/config_ini.h"
#include "core/config_value.h"
#include "dataplane/settings.h"
#include "sandbox/cgroup.h"
#include "sandbox/sandbox.h"
#include "util/hook_kind.h"

#define CONFIG_DNS_MAX 256

struct daemon_settings {
	char control_socket[CONFIG_PATH_MAX];
	char control_group[SANDBOX_USER_MAX]; /* "": the control socket is its owner's alone */
	char pid_file[CONFIG_PATH_MAX];	      /* "": none */
	char state_dir[CONFIG_PATH_MAX];
	char metrics_socket[CONFIG_PATH_MAX]; /* "": none */
	struct addr metrics_listen;	      /* AF_UNSPEC: nowhere */
	char lock_file[CONFIG_PATH_MAX];      /* "": beside the control socket */
	char user[SANDBOX_USER_MAX];	      /* "": sandbox_find_user() chooses */
	struct cgroup_settings cgroup;	      /* nothing in it: no group */
	bool is_sandboxed;
	bool fails_on_warnings;
	bool restarts;
	uint32_t restart_limit;
	int log_level;	  /* a syslog priority */
	const char *aead; /* AEAD_AUTO or the name of a back-end; a constant */
	bool is_small;	  /* the profile: little memory rather than speed */
};

/* What of a network is the supervisor's. */
struct network_hooks {
	char paths[HOOK_KIND_COUNT][CONFIG_PATH_MAX]; /* "": none */
	char dns[CONFIG_DNS_MAX];		      /* for their environment: "1.1.1.1 9.9.9.9" */
	char key_file[CONFIG_PATH_MAX];		      /* of the private key; "": it is inline */
};

struct config {
	struct network_settings *networks;
	struct network_hooks *hooks; /* those of networks[i] */
	size_t n_networks;
	struct daemon_settings daemon;
	struct config_ini ini; /* what it was read from, the keys of key files in it */
};

/*
 * Reads and checks a file. 0; -EINVAL, with everything that is wrong in `errors`; or another
 * -errno where the file could not be read, `errors` saying so too. Messages name `path`, which
 * must live as long as `errors`.
 */
int config_read(struct config *ret, const char *path, struct config_errors *errors);

/*
 * Writes a file as config_show() does, if there is nothing wrong with it; the same errors. What
 * cannot be written is left to ferror().
 */
int config_print(FILE *out, const char *path, struct config_errors *errors);

/* The same for `len` bytes of text, which are cut up; there must be room for a zero behind. */
int config_parse(struct config *ret, char *text, size_t len, struct config_errors *errors);

/*
 * The same for sections that are there already; errors name their lines. They are the
 * configuration's from now on, or freed if it fails.
 */
int config_from_ini(struct config *ret, struct config_ini *ini, struct config_errors *errors);

/* NULL where there is none of that name. */
const struct network_settings *config_find_network(const struct config *c, const char *name);

/* Frees all it holds, and wipes its keys. */
void config_deinit(struct config *c);
