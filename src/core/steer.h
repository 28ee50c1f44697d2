/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The actions that change the configuration: reload takes it from the file, the others edit what is
 * in force, as one would edit the file. All go through reload_apply().
 */
#pragma once

#include "core/actions.h"

/* Adds them to the table. */
void steer_init(struct actions *a);

/* What a client's request, and SIGHUP, do. */
enum control_error steer_reload(struct actions *a, struct control_reply *reply);

/* The network has another private key from now on, in this process alone. */
enum control_error steer_set_private_key(struct actions *a, const struct network_slot *slot,
					 const uint8_t key[32], struct control_reply *reply);
