/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Who may read and write the configuration and the files of its keys. The file is not read as
 * vtrunkd does it: `vtrunkd check` is for that. Lines that name keys are enough here.
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vtrunkctl/doctor_report.h"

#define KEY_MODE_MOST 0600
/* With a key in it; without one it may be shown around, but not written. */
#define CONFIG_MODE_MOST 0640
#define PLAIN_MODE_MOST 0755

struct files {
	struct doctor *doctor;
	unsigned n_keys; /* files of keys */
	bool has_inline_key;
	bool is_bad;
	char directory[PATH_MAX]; /* the last that was looked at; "": none */
};

static void blame(struct files *f, const char *path, const char *what, const char *remedy)
{
	char text[PATH_MAX + 64];

	snprintf(text, sizeof(text), "%s %s", remedy, path);
	f->is_bad = true;
	doctor_find(f->doctor, RESULT_BAD, "files", text, "%s: %s", path, what);
}

static void check_owner_and_mode(struct files *f, const char *path, const struct stat *st,
				 mode_t most)
{
	char what[64], remedy[32];
	mode_t mode = st->st_mode & 0777;

	if (st->st_uid != 0 && st->st_uid != geteuid())
		blame(f, path, "belongs neither to root nor to who runs this", "chown root");
	snprintf(what, sizeof(what), "mode 0%03o, where 0%03o is the most", mode, most);
	snprintf(remedy, sizeof(remedy), "chmod 0%03o", mode & most);
	if (mode & ~most)
		blame(f, path, what, remedy);
}

/* Who may write there may put another file in the place of this one. */
static void check_directory(struct files *f, const char *path)
{
	char copy[PATH_MAX];
	const char *directory;
	struct stat st;

	snprintf(copy, sizeof(copy), "%s", path);
	directory = dirname(copy);
	if (!strcmp(directory, f->directory) || stat(directory, &st) < 0)
		return;
	snprintf(f->directory, sizeof(f->directory), "%s", directory);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		blame(f, directory, "belongs neither to root nor to who runs this", "chown root");
	if (st.st_mode & (S_IWGRP | S_IWOTH) && !(st.st_mode & S_ISVTX))
		blame(f, directory, "others may put files there", "chmod go-w");
}

static void check_key_file(struct files *f, const char *path)
{
	struct stat st;

	f->n_keys++;
	if (stat(path, &st) < 0)
		blame(f, path, strerror(errno), "vtrunkd genkey >");
	else if (!S_ISREG(st.st_mode))
		blame(f, path, "no regular file", "ls -l");
	else
		check_owner_and_mode(f, path, &st, KEY_MODE_MOST);
	check_directory(f, path);
}

/* Cuts the blanks at both ends off. */
static char *trim(char *text)
{
	size_t len;

	text += strspn(text, " \t\r\n");
	for (len = strlen(text); len && strchr(" \t\r\n", text[len - 1]);)
		text[--len] = '\0';
	return text;
}

static void check_line(struct files *f, char *line)
{
	static const char *const keys[] = {"private_key", "preshared_key"};
	static const char *const file_keys[] = {"private_key_file", "private_key_path",
						"preshared_key_file"};
	char *equals = strchr(line, '=');
	char *key, *value;

	if (!equals)
		return;
	*equals = '\0';
	key = trim(line);
	value = trim(equals + 1);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		f->has_inline_key |= !strcasecmp(key, keys[i]);
	for (size_t i = 0; i < sizeof(file_keys) / sizeof(*file_keys); i++)
		if (!strcasecmp(key, file_keys[i]))
			check_key_file(f, value);
}

static void check_config(struct files *f, const char *config, FILE *in)
{
	char line[1024];
	struct stat st;

	while (fgets(line, sizeof(line), in))
		check_line(f, line);
	if (fstat(fileno(in), &st) == 0)
		check_owner_and_mode(f, config, &st,
				     f->has_inline_key ? CONFIG_MODE_MOST : PLAIN_MODE_MOST);
	check_directory(f, config);
	explicit_bzero(line, sizeof(line));
}

void doctor_check_files(struct doctor *d, const char *config)
{
	struct files f = {.doctor = d};
	const char *path = config ? config : DEFAULT_CONFIG;
	FILE *in = fopen(path, "re");

	/* It may well be elsewhere. */
	if (!in && errno == ENOENT && !config)
		return;
	if (!in) {
		doctor_find(d, config && errno == ENOENT ? RESULT_BAD : RESULT_NOTE, "files",
			    "run this as root, and name the file that vtrunkd is given by -c",
			    "%s: %s", path, strerror(errno));
		return;
	}
	check_config(&f, path, in);
	fclose(in);
	if (!f.is_bad)
		doctor_find(d, RESULT_OK, "files", "",
			    "%s and %u files of keys are closed to others", path, f.n_keys);
}
