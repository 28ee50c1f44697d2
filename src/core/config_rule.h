/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Sections [rule NAME]: their values, and what these must be to each other and to the links. */
#pragma once

#include "core/config_draft.h"
#include "core/config_errors.h"

/* field: struct rule_settings; lists that may go on */
value_parse value_rule_dscps;
value_parse value_rule_protocols;
value_parse value_rule_sources;
value_parse value_rule_destinations;
value_parse value_rule_source_ports;
value_parse value_rule_destination_ports;
value_parse value_rule_ports;
value_parse value_rule_links;
value_parse value_rule_peer_links;
value_parse value_rule_switch; /* field: bool; as value_bool, but out of place without links */

/* The network of the rule is known. */
void config_check_rule(const struct config_draft *d, const struct rule_draft *r,
		       struct config_errors *errors);
