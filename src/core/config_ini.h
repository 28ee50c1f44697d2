/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The text of an INI file as sections and entries with their line numbers. What the sections
 * and keys mean is not known here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/config_errors.h"

#define CONFIG_SECTIONS_MAX 65536
/* "[", the longest kind and name that make sense, "]" and a zero. */
#define CONFIG_LABEL_MAX 128

struct config_entry {
	char *key;
	char *value; /* wiped when freed: it may be a secret */
	int line;
	/* Filled in by core/config_draft.c: */
	const char *known_as; /* the key's proper name; NULL: there is no such key */
	bool is_valid;	      /* the value is a good one */
};

struct config_section {
	char *kind;  /* "link" of [link wifi] */
	char *name;  /* "wifi"; "" where there is none */
	char *label; /* both, for messages */
	int line;
	int repeats; /* the line of an earlier one of the same name, -1: none; by config_draft.c */
	struct config_entry *entries;
	size_t n_entries;
};

struct config_ini {
	struct config_section *sections;
	size_t n_sections;
};

/*
 * Reads `len` bytes of text, which are cut up in the course of it; there must be room for a
 * zero behind them. Lines that make no sense are added to `errors` and left out. 0 or -ENOMEM.
 */
int config_ini_parse(struct config_ini *ret, char *text, size_t len, struct config_errors *errors);
void config_ini_deinit(struct config_ini *ini);

/* Behind all others; pointers to sections end. 0 or -ENOMEM. */
int config_ini_add_section(struct config_ini *ini, const char *kind, const char *name,
			   struct config_section **ret);
int config_ini_add_entry(struct config_section *s, const char *key, const char *value);
void config_section_deinit(struct config_section *s);
/* 0, or -ENOMEM and nothing has changed. */
int config_entry_replace(struct config_entry *e, const char *key, const char *value);
void config_entry_deinit(struct config_entry *e);

/* Cuts off the blanks at both ends. */
char *config_strip(char *text);

/* The first entry known as `key`, or NULL; `section` may be NULL. */
const struct config_entry *config_section_find(const struct config_section *section,
					       const char *key);
/* Is the key given, but with a value that was refused? */
bool config_section_is_bad(const struct config_section *section, const char *key);
bool config_section_has(const struct config_section *section, const char *key);
/* The line of the key, or that of the section where the key is not given. */
int config_section_line(const struct config_section *section, const char *key);
