/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "util/journal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ENTRY_MAX 4096
#define IDENTIFIER "vtrunkd"

bool journal_reads(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(fd, &st) == 0 &&
	       st.st_dev == device && st.st_ino == inode;
}

int journal_open(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;
	int r;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

/* Our field `rtt_ms` is the journal's RTT_MS. Lines end at a newline, so values have none. */
static size_t put_field(char *entry, size_t len, const char *key, const char *value)
{
	if (len + strlen(key) + strlen(value) + 2 > ENTRY_MAX)
		return len;
	for (; *key; key++)
		entry[len++] = (char)toupper((unsigned char)*key);
	entry[len++] = '=';
	for (; *value; value++)
		entry[len++] = *value == '\n' ? ' ' : *value;
	entry[len++] = '\n';
	return len;
}

void journal_send(int fd, int level, const char *message, const struct record *record)
{
	char entry[ENTRY_MAX];
	char priority[4];
	struct record_field f;
	size_t len;

	snprintf(priority, sizeof(priority), "%d", level);
	len = put_field(entry, 0, "MESSAGE", message);
	len = put_field(entry, len, "PRIORITY", priority);
	len = put_field(entry, len, "SYSLOG_IDENTIFIER", IDENTIFIER);
	if (record)
		len = put_field(entry, len, "EVENT", record->name);
	for (size_t pos = 0; record && record_next(record, &pos, &f);)
		len = put_field(entry, len, f.key, f.value);
	if (send(fd, entry, len, MSG_NOSIGNAL) < 0)
		return; /* nobody is left to tell */
}
