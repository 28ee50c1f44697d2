/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The internet checksum (RFC 1071). Sums are of 16-bit words as they lie in memory, so that a
 * result is stored without a byte swap on any machine. Pure; any thread.
 */
#pragma once

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/ip.h"

/*
 * Adds up to 64 KB of bytes to an unfolded sum. What is added in turn must begin at even
 * offsets of the checksummed data; the last byte of an odd length counts as padded with zero.
 */
uint64_t csum_add(uint64_t sum, const void *data, size_t len);

/* Folds a sum to 16 bits, not inverted. */
static inline uint16_t csum_fold(uint64_t sum)
{
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	return (uint16_t)sum;
}

/* A 16-bit value of host order as a word of the sum. */
static inline uint64_t csum_word(size_t value)
{
	return htons((uint16_t)value);
}

static inline struct be16 csum_field(uint16_t folded)
{
	struct be16 field;

	memcpy(field.b, &folded, sizeof(folded));
	return field;
}

/* The pseudo-header of a TCP or UDP packet without options or extension headers, unfolded. */
uint64_t csum_pseudo_header(const uint8_t *packet, uint8_t protocol, size_t transport_len);

/* Writes the header's checksum; its length has been checked. */
void csum_set_ipv4(struct ipv4_header *ip);
