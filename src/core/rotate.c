/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/rotate.h"

#include <errno.h>
#include <string.h>

#include "broker/broker.h"
#include "core/steer.h"
#include "crypto/keys.h"
#include "util/log.h"

/* What a request asks for. */
enum stage {
	STAGE_PREPARE, /* make the next key */
	STAGE_COMMIT,  /* take the one that was made */
	STAGE_BOTH,
};

static enum control_error read_stage(const struct control_request *request,
				     struct control_reply *reply, enum stage *ret)
{
	struct json_object *wanted;
	const char *text;

	*ret = STAGE_BOTH;
	if (!json_object_object_get_ex(request->whole, "stage", &wanted))
		return CONTROL_OK;
	text = json_object_is_type(wanted, json_type_string) ? json_object_get_string(wanted) : "";
	if (!strcmp(text, "prepare"))
		*ret = STAGE_PREPARE;
	else if (!strcmp(text, "commit"))
		*ret = STAGE_COMMIT;
	else
		return control_fail(reply, CONTROL_parse_error,
				    "\"stage\" is neither \"prepare\" nor \"commit\"");
	return CONTROL_OK;
}

static enum control_error fail_key(struct control_reply *reply, const char *network, int r)
{
	switch (r) {
	case -ENODATA:
		return control_fail(reply, CONTROL_invalid_state,
				    "the private key of network %s is not in a file of its own: "
				    "put it into one (private_key_file), or make a new one by "
				    "vtrunkd genkey, write it into the configuration, and reload",
				    network);
	case -ENOKEY:
		return control_fail(reply, CONTROL_invalid_state,
				    "there is no next key of network %s: prepare comes first",
				    network);
	default:
		return control_fail(reply, CONTROL_platform_error,
				    "the next key of network %s cannot be written or read: %s",
				    network, strerror(-r));
	}
}

/* First the network, which may refuse it; then the file, which a crash must not leave behind. */
static enum control_error take(struct actions *a, const struct network_slot *slot,
			       const uint8_t key[KEY_LEN], struct control_reply *reply)
{
	uint8_t before[KEY_LEN];
	uint8_t taken[KEY_LEN];
	enum control_error error;
	int r;

	memcpy(before, slot->settings->private_key, KEY_LEN);
	error = steer_set_private_key(a, slot, key, reply);
	if (!error) {
		json_object_put(reply->data);
		reply->data = NULL;
		r = broker_next_key(a->broker, slot->settings->name, BROKER_KEY_TAKE, taken);
		if (r < 0) {
			steer_set_private_key(a, slot, before, reply);
			json_object_put(reply->data);
			reply->data = NULL;
			error = fail_key(reply, slot->settings->name, r);
		}
	}
	keys_wipe(before, sizeof(before));
	keys_wipe(taken, sizeof(taken));
	return error;
}

static void tell(struct control_reply *reply, const struct network_slot *slot,
		 const uint8_t key[KEY_LEN], enum stage stage)
{
	uint8_t public_key[KEY_LEN];
	char text[KEY_BASE64_LEN + 1];

	keys_public(public_key, key);
	keys_to_base64(text, public_key);
	reply->data = json_object_new_object();
	json_object_object_add(reply->data, "network",
			       json_object_new_string(slot->settings->name));
	json_object_object_add(reply->data, "public_key", json_object_new_string(text));
	json_object_object_add(reply->data, "in_force",
			       json_object_new_boolean(stage != STAGE_PREPARE));
	if (stage != STAGE_PREPARE)
		log_notice("network %s: has a new private key; its public key is %s",
			   slot->settings->name, text);
}

static enum control_error handle_rotate_keys(void *ctx, const struct control_request *request,
					     struct control_reply *reply)
{
	struct actions *a = ctx;
	const struct network_slot *slot = actions_find_network(a, request);
	uint8_t key[KEY_LEN];
	enum stage stage;
	enum control_error error = read_stage(request, reply, &stage);
	int r;

	if (error)
		return error;
	if (!slot)
		return actions_fail_find(reply, request);
	r = broker_next_key(a->broker, slot->settings->name,
			    stage == STAGE_COMMIT ? BROKER_KEY_LOOK : BROKER_KEY_MAKE, key);
	if (r < 0)
		return fail_key(reply, slot->settings->name, r);
	if (stage != STAGE_PREPARE)
		error = take(a, slot, key, reply);
	if (!error)
		tell(reply, slot, key, stage);
	keys_wipe(key, sizeof(key));
	return error;
}

void rotate_init(struct actions *a)
{
	actions_add(a, "rotate_keys", handle_rotate_keys, "stage");
}
