/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What passes for an IP packet has its addresses and its length within the bytes given. */
#include "fuzz.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "wire/inner.h"

static void check_inside(const uint8_t *field, size_t len, const uint8_t *data, size_t size)
{
	if (field < data || field + len > data + size)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct inner_key key;
	struct inner inner;
	size_t address_len;

	if (inner_parse(&inner, data, size) < 0)
		return 0;
	if (inner.family != AF_INET && inner.family != AF_INET6)
		abort();
	address_len = inner.family == AF_INET ? 4 : 16;
	if (inner.len > size)
		abort();
	check_inside(inner.source, address_len, data, inner.len);
	check_inside(inner.destination, address_len, data, inner.len);
	inner_read_key(&key, data, size);
	inner_flow(data, size, 0);
	inner_is_urgent(data, size);
	return 0;
}
