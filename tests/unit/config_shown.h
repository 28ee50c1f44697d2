/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* That a configuration which is shown with its defaults is the same when it is read again. */
#pragma once

#include <fcntl.h>
#include <stdlib.h>

#include "config_text.h"
#include "core/config_secret.h"

/* The section that a line of what is shown belongs to. */
struct shown_place {
	const struct config *was;
	const struct network_settings *network;
	const struct peer_settings *peer; /* NULL: that of [wireguard] */
};

static inline void enter_section(struct shown_place *p, const char *label)
{
	char name[64] = "";

	if (sscanf(label, "[wireguard %63[^]]]", name) == 1 || !strcmp(label, "[wireguard]")) {
		p->network = config_find_network(p->was, *name ? name : "default");
		p->peer = NULL;
	} else if (sscanf(label, "[peer %63[^]]]", name) == 1) {
		for (size_t i = 0; i < p->network->n_peers; i++)
			if (!strcmp(p->network->peers[i].name, name))
				p->peer = &p->network->peers[i];
	}
}

/* What is hidden is put in again. */
static inline void add_line(FILE *out, const struct shown_place *p, const char *text)
{
	const struct peer_settings *peer = p->peer	? p->peer
					   : p->network ? p->network->peers
							: NULL;
	char key[KEY_BASE64_LEN + 1];

	ck_assert_ptr_null(strstr(text, ALICE));
	ck_assert_ptr_null(strstr(text, PRESHARED));
	if (!strcmp(text, "private_key = " KEY_PLACEHOLDER)) {
		keys_to_base64(key, p->network->private_key);
		fprintf(out, "private_key = %s\n", key);
	} else if (!strcmp(text, "preshared_key = " KEY_PLACEHOLDER)) {
		keys_to_base64(key, peer->preshared_key);
		fprintf(out, "preshared_key = %s\n", key);
	} else {
		ck_assert_msg(!strstr(text, KEY_PLACEHOLDER), "%s", text);
		fprintf(out, "%s\n", text);
	}
}

static inline void assert_same_network(const struct network_settings *a,
				       const struct network_settings *b)
{
	ck_assert_str_eq(a->name, b->name);
	ck_assert_mem_eq(a->private_key, b->private_key, KEY_LEN);
	ck_assert_uint_eq(a->n_links, b->n_links);
	ck_assert_uint_eq(a->n_addresses, b->n_addresses);
	ck_assert_uint_eq(a->n_rules, b->n_rules);
	ck_assert_uint_eq(a->n_peers, b->n_peers);
	for (size_t i = 0; i < a->n_peers; i++) {
		ck_assert_mem_eq(a->peers[i].public_key, b->peers[i].public_key, KEY_LEN);
		ck_assert_mem_eq(a->peers[i].preshared_key, b->peers[i].preshared_key, KEY_LEN);
		ck_assert_uint_eq(a->peers[i].n_allowed_ips, b->peers[i].n_allowed_ips);
	}
}

static inline char *print_config(const char *text)
{
	char *shown = NULL;
	size_t len;
	FILE *out = open_memstream(&shown, &len);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	ck_assert_msg(config_print(out, path, &errors) == 0, "%s", errors.items[0].text);
	fclose(out);
	return shown;
}

/* The caller frees it. */
static inline char *show_with_keys(const char *text, const struct config *was)
{
	char *shown = print_config(text);
	char *rest = shown;
	char *whole = NULL;
	size_t len;
	FILE *out = open_memstream(&whole, &len);
	struct shown_place place = {.was = was};

	for (char *l; (l = strsep(&rest, "\n"));) {
		if (*l == '[')
			enter_section(&place, l);
		add_line(out, &place, l);
	}
	fclose(out);
	free(shown);
	return whole;
}

/* `text` has been read into `config`. What is shown of both tells all the values. */
static inline void assert_same_when_shown(const char *text)
{
	struct config again = {0};
	char *whole = show_with_keys(text, &config);
	char *once = print_config(text);
	char *twice = print_config(whole);
	int r = config_parse(&again, whole, strlen(whole), &errors);

	ck_assert_str_eq(once, twice);

	ck_assert_msg(r == 0, "refused: %s", errors.n_items ? errors.items[0].text : "");
	ck_assert_uint_eq(again.n_networks, config.n_networks);
	for (size_t i = 0; i < again.n_networks; i++)
		assert_same_network(&again.networks[i], &config.networks[i]);
	config_deinit(&again);
	free(once);
	free(twice);
	free(whole);
}
