/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The action rotate_keys: a network's next private key is made by the supervisor, in a file beside
 * the present one's, told by its public key, and taken: first by the network, then by the file.
 */
#pragma once

#include "core/actions.h"

/* Adds it to the table. */
void rotate_init(struct actions *a);
