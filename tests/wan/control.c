/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096

int control_open(struct control *ret, const char *path)
{
	struct control c = {.address.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(c.address.sun_path))
		return -ENAMETOOLONG;
	strcpy(c.address.sun_path, path);
	c.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c.fd < 0)
		return -errno;
	unlink(path);
	if (bind(c.fd, (struct sockaddr *)&c.address, sizeof(c.address)) < 0) {
		int r = -errno;

		close(c.fd);
		return r;
	}
	*ret = c;
	return 0;
}

void control_close(struct control *c)
{
	if (c->fd < 0)
		return;
	close(c->fd);
	unlink(c->address.sun_path);
	c->fd = -1;
}

static void answer(struct control *c, const char *line, const struct sockaddr_un *to,
		   socklen_t to_len, control_handler handle, void *context)
{
	char *text = NULL;
	size_t len = 0;
	FILE *stream = open_memstream(&text, &len);

	if (!stream)
		return;
	handle(context, line, stream);
	fclose(stream);
	if (to_len > sizeof(sa_family_t))
		(void)!sendto(c->fd, text, len, MSG_DONTWAIT, (const struct sockaddr *)to, to_len);
	free(text);
}

void control_serve(struct control *c, control_handler handle, void *context)
{
	char line[LINE_MAX_BYTES];
	ssize_t len;

	for (;;) {
		struct sockaddr_un from;
		socklen_t from_len = sizeof(from);

		len = recvfrom(c->fd, line, sizeof(line) - 1, 0, (struct sockaddr *)&from,
			       &from_len);
		if (len < 0)
			return;
		line[len] = '\0';
		answer(c, line, &from, from_len, handle, context);
	}
}
