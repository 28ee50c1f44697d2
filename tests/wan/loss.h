/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Loss as Gilbert and Elliott have it: in the good state packets are lost at random, in the
 * bad one, which comes and goes by chance with each packet, at a rate of its own. Pure.
 */
#pragma once

#include <stdbool.h>

#include "chance.h"
#include "settings.h"

struct loss {
	bool is_burst; /* the bad state */
};

/* Is the next packet lost? */
bool loss_takes(struct loss *l, const struct settings *s, struct chance *chance);
