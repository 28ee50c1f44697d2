/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * MSS clamping: a TCP SYN (RFC 9293, section 3.7.1) is made to ask for segments that fit the
 * tunnel's MTU, for the sake of hosts that get no ICMP. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * `packet` is a whole IP packet with complete checksums. Changes the MSS of a SYN, and its
 * checksum, if it is larger than what fits `mtu`; leaves all else as it is, malformed ones too.
 */
void mss_clamp(uint8_t *packet, size_t len, uint32_t mtu);
