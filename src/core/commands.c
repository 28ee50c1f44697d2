/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/config.h"
#include "core/config_file.h"
#include "core/import.h"
#include "core/paths.h"
#include "crypto/aead.h"
#include "crypto/keys.h"

/* Room for a key and some white space around it. */
#define INPUT_MAX 256

/* Standard output may be a full disk or a closed pipe: a key not written is no success. */
static int finish_output(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_SUCCESS;
	fprintf(stderr, "vtrunkd: cannot write: %s\n", strerror(errno));
	return EXIT_FAILURE;
}

static int report_written(const char *path, int error)
{
	if (error == -EEXIST)
		fprintf(stderr, "vtrunkd: %s: exists already (--force overwrites it)\n", path);
	else if (error < 0)
		fprintf(stderr, "vtrunkd: %s: cannot be written: %s\n", path, strerror(-error));
	return error < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_config(const struct cli *cli)
{
	return report_written(cli->output, starter_write(cli->output, cli->is_forced));
}

static int run_genpair(const struct cli *cli)
{
	int r = pair_write(cli->operand, &cli->pair, cli->is_forced);

	if (r == -EINVAL) {
		fprintf(stderr,
			"vtrunkd: --endpoint: found '%s', allowed: a host name or address "
			"(the port is given by --port)\n",
			cli->pair.endpoint);
		return EXIT_USAGE;
	}
	if (r == -EEXIST) {
		fprintf(stderr,
			"vtrunkd: %s: has a client.conf or server.conf already "
			"(--force overwrites them)\n",
			cli->operand);
		return EXIT_FAILURE;
	}
	return report_written(cli->operand, r);
}

static int run_import(const struct cli *cli)
{
	struct config_errors errors = {0};
	struct import import;
	int status;

	if (import_read(&import, cli->operand, &errors) < 0) {
		config_errors_print(&errors, stderr);
		config_errors_deinit(&errors);
		return EXIT_FAILURE;
	}
	if (cli->output) {
		status = report_written(cli->output, config_file_write(cli->output, import_write,
								       &import, cli->is_forced));
	} else {
		import_write(stdout, &import);
		status = finish_output();
	}
	if (status == EXIT_SUCCESS)
		config_errors_print(&import.notes, stderr);
	import_deinit(&import);
	return status;
}

static void print_count(const char *before, size_t n, const char *what)
{
	printf("%s%zu %s%s", before, n, what, n == 1 ? "" : "s");
}

static void print_summary(const char *path, const struct config *c)
{
	size_t n_links = 0;
	size_t n_peers = 0;

	for (size_t i = 0; i < c->n_networks; i++) {
		n_links += c->networks[i].n_links;
		n_peers += c->networks[i].n_peers;
	}
	printf("%s: ok (", path);
	print_count("", c->n_networks, "network");
	print_count(", ", n_links, "link");
	print_count(", ", n_peers, "peer");
	printf(")\n");
}

static int check(const struct cli *cli, struct config_errors *errors)
{
	struct config config;
	int r = config_read(&config, cli->config, errors);

	if (r < 0)
		return r;
	print_summary(cli->config, &config);
	config_deinit(&config);
	return 0;
}

static int run_check(const struct cli *cli)
{
	struct config_errors errors = {0};
	int r = cli->is_shown ? config_print(stdout, cli->config, &errors) : check(cli, &errors);

	if (r == 0)
		return finish_output();
	config_errors_print(&errors, stderr);
	config_errors_deinit(&errors);
	return EXIT_FAILURE;
}

static int print_key(const uint8_t key[KEY_LEN])
{
	char text[KEY_BASE64_LEN + 1];

	keys_to_base64(text, key);
	puts(text);
	keys_wipe(text, sizeof(text));
	return finish_output();
}

static int run_genkey(void)
{
	uint8_t key[KEY_LEN];
	int status;

	keys_generate(key);
	status = print_key(key);
	keys_wipe(key, sizeof(key));
	return status;
}

static int run_genpsk(void)
{
	uint8_t key[KEY_LEN];
	int status;

	keys_random(key, sizeof(key));
	status = print_key(key);
	keys_wipe(key, sizeof(key));
	return status;
}

/* All of standard input, without the white space at its end. 0 or -EINVAL. */
static int read_input(char ret[INPUT_MAX])
{
	size_t len = 0;
	ssize_t n;

	while (len < INPUT_MAX - 1 && (n = read(STDIN_FILENO, ret + len, INPUT_MAX - 1 - len)) > 0)
		len += (size_t)n;
	while (len && strchr(" \t\r\n", ret[len - 1]))
		len--;
	ret[len] = '\0';
	return len < INPUT_MAX - 1 ? 0 : -EINVAL;
}

static int run_pubkey(void)
{
	char text[INPUT_MAX];
	uint8_t private_key[KEY_LEN] = {0};
	uint8_t public_key[KEY_LEN];
	int status = EXIT_FAILURE;

	if (read_input(text) < 0 || keys_from_base64(private_key, text, NULL) < 0) {
		fprintf(stderr, "vtrunkd: standard input is not a key (32 bytes in base64)\n");
	} else {
		keys_public(public_key, private_key);
		status = print_key(public_key);
	}
	keys_wipe(text, sizeof(text));
	keys_wipe(private_key, sizeof(private_key));
	return status;
}

static int run_version(void)
{
	const char *const *names = aead_backends();

	puts("vtrunkd " VERSION);
	printf("aead:");
	while (*names)
		printf(" %s", *names++);
	putchar('\n');
	return finish_output();
}

int command_run(const struct cli *cli)
{
	switch (cli->command) {
	case COMMAND_CONFIG:
		return run_config(cli);
	case COMMAND_CHECK:
		return run_check(cli);
	case COMMAND_GENKEY:
		return run_genkey();
	case COMMAND_PUBKEY:
		return run_pubkey();
	case COMMAND_GENPSK:
		return run_genpsk();
	case COMMAND_GENPAIR:
		return run_genpair(cli);
	case COMMAND_IMPORT:
		return run_import(cli);
	case COMMAND_HELP:
		fputs(cli_help(), stdout);
		return finish_output();
	case COMMAND_VERSION:
		return run_version();
	case COMMAND_DAEMON:
		break;
	}
	return EXIT_USAGE;
}
