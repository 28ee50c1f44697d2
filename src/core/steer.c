/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/steer.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "broker/broker.h"
#include "control/buffer.h"
#include "core/config_edit.h"
#include "core/config_grammar.h"
#include "core/reload.h"
#include "crypto/keys.h"

#define READ_BYTES 4096

/* A text with keys in it. */
static void wipe(struct buffer *text)
{
	if (text->data)
		keys_wipe(text->data, text->room);
	buffer_deinit(text);
}

static int read_all(int fd, struct buffer *ret)
{
	char data[READ_BYTES];
	ssize_t n;
	int r = 0;

	while (!r && (n = read(fd, data, sizeof(data))) > 0)
		r = buffer_append(ret, data, (size_t)n);
	keys_wipe(data, sizeof(data));
	return r ? r : n < 0 ? -errno : 0;
}

static enum control_error fail_errors(struct control_reply *reply, struct config_errors *errors)
{
	enum control_error error =
		control_fail(reply, CONTROL_config_error, "%s",
			     errors->n_items ? errors->items[0].text : "refused");

	config_errors_deinit(errors);
	return error;
}

/* Puts the configuration of that text in force. */
static enum control_error apply(struct actions *a, char *text, size_t len,
				struct control_reply *reply)
{
	struct config_errors errors = {0};
	struct config next;
	enum control_error error;

	if (config_parse(&next, text, len, &errors) < 0)
		return fail_errors(reply, &errors);
	config_errors_deinit(&errors);
	error = reload_apply(a->networks, a->exporters, a->config, &next, reply);
	config_deinit(&next);
	return error;
}

/* The parser needs room for a zero behind. */
static enum control_error apply_buffer(struct actions *a, struct buffer *text, size_t skip,
				       struct control_reply *reply)
{
	if (buffer_append(text, "", 1) < 0)
		return control_fail(reply, CONTROL_internal_error, "%s", strerror(ENOMEM));
	return apply(a, text->data + skip, text->len - 1 - skip, reply);
}

enum control_error steer_reload(struct actions *a, struct control_reply *reply)
{
	struct buffer text = {0};
	enum control_error error;
	int fd;
	int r = broker_read_config(a->broker, &fd);

	if (r == 0) {
		r = read_all(fd, &text);
		close(fd);
	}
	if (r == 0 && text.len < 1)
		r = -EBADMSG;
	if (r < 0)
		error = control_fail(reply, CONTROL_platform_error,
				     "cannot read the configuration: %s", strerror(-r));
	else if (*text.data == 'C')
		error = apply_buffer(a, &text, 1, reply);
	else
		error = control_fail(reply, CONTROL_config_error, "%.*s", (int)text.len - 1,
				     text.data + 1);
	wipe(&text);
	if (!error)
		broker_keep_config(a->broker);
	broker_ready(a->broker);
	return error;
}

static enum control_error handle_reload(void *ctx, const struct control_request *request,
					struct control_reply *reply)
{
	(void)request;
	return steer_reload(ctx, reply);
}

/* An edit of the configuration's sections. */
struct edit {
	struct config_ini ini;
	const char *kind; /* "link" or "peer" */
	const char *name;
	const struct control_request *request;
	struct control_reply *reply;
};

typedef enum control_error (*edit_fn)(struct edit *e);

static enum control_error fail_edit(struct edit *e, int r, const char *what)
{
	switch (r) {
	case 0:
		return CONTROL_OK;
	case -EEXIST:
		return control_fail(e->reply, CONTROL_invalid_state, "there is a %s \"%s\" already",
				    e->kind, e->name);
	case -EINVAL:
		return control_fail(e->reply, CONTROL_config_error,
				    "\"%s\" cannot be written in a "
				    "configuration",
				    what);
	default:
		return control_fail(e->reply, CONTROL_internal_error, "%s", strerror(-r));
	}
}

static enum control_error find_section(struct edit *e, struct config_section **ret)
{
	*ret = config_edit_find(&e->ini, e->kind, e->name);
	return *ret ? CONTROL_OK
		    : control_fail(e->reply, CONTROL_invalid_state, "there is no %s \"%s\"",
				   e->kind, e->name);
}

/* Each of the request's settings. */
static enum control_error set_all(struct edit *e, struct config_section *s)
{
	struct json_object *settings = json_object_object_get(e->request->whole, "settings");
	enum control_error error = CONTROL_OK;

	if (settings && !json_object_is_type(settings, json_type_object))
		return control_fail(e->reply, CONTROL_parse_error, "\"settings\" is no object");
	if (!settings)
		return CONTROL_OK;
	json_object_object_foreach(settings, key, value)
	{
		const char *text = value ? json_object_get_string(value) : "";

		if (!error)
			error = fail_edit(e, config_edit_set(s, key, text), key);
	}
	return error;
}

static enum control_error edit_add(struct edit *e)
{
	struct config_section *s;
	int r = config_edit_add(&e->ini, e->kind, e->name, &s);

	if (r == 0 && e->request->network)
		r = config_edit_set(s, "network", e->request->network);
	return r < 0 ? fail_edit(e, r, e->name) : set_all(e, s);
}

static enum control_error edit_remove(struct edit *e)
{
	struct config_section *s;
	enum control_error error = find_section(e, &s);

	if (!error)
		config_edit_remove(&e->ini, s);
	return error;
}

static enum control_error edit_set(struct edit *e)
{
	struct config_section *s;
	enum control_error error = find_section(e, &s);

	return error ? error : set_all(e, s);
}

static enum control_error set_enabled(struct edit *e, const char *value)
{
	struct config_section *s;
	enum control_error error = find_section(e, &s);

	return error ? error : fail_edit(e, config_edit_set(s, "enabled", value), value);
}

static enum control_error edit_enable(struct edit *e)
{
	return set_enabled(e, "yes");
}

static enum control_error edit_disable(struct edit *e)
{
	return set_enabled(e, "no");
}

/* A key of the section [wireguard] of the network that is named, or of the first. */
static enum control_error edit_wireguard(struct edit *e, const char *key)
{
	const char *network = e->request->network;
	struct config_section *s = NULL;

	for (size_t i = 0; i < e->ini.n_sections && !s; i++) {
		struct config_section *other = &e->ini.sections[i];

		if (!strcmp(other->kind, "wireguard") &&
		    (!network || !strcmp(section_network_name(other), network)))
			s = other;
	}
	if (!s)
		return control_fail(e->reply, CONTROL_network_not_found, "no network named \"%s\"",
				    network ? network : CONTROL_NETWORK_DEFAULT);
	return fail_edit(e, config_edit_set(s, key, e->name), e->name);
}

static enum control_error edit_mode(struct edit *e)
{
	return edit_wireguard(e, "bonding_mode");
}

static enum control_error edit_private_key(struct edit *e)
{
	return edit_wireguard(e, "private_key");
}

/* Reads what is in force into e->ini, has it edited, and puts it in force. */
static enum control_error run_edit(struct actions *a, struct edit *e, edit_fn edit)
{
	struct config_errors errors = {0};
	struct buffer text = {0};
	enum control_error error = CONTROL_internal_error;
	int r = config_edit_write(&a->config->ini, &text);

	if (r == 0)
		r = buffer_append(&text, "", 1);
	if (r == 0)
		r = config_ini_parse(&e->ini, text.data, text.len - 1, &errors);
	wipe(&text);
	config_errors_deinit(&errors);
	if (r < 0)
		return control_fail(e->reply, error, "%s", strerror(-r));
	error = edit(e);
	if (!error && config_edit_write(&e->ini, &text) < 0)
		error = control_fail(e->reply, CONTROL_internal_error, "%s", strerror(ENOMEM));
	config_ini_deinit(&e->ini);
	if (!error)
		error = apply_buffer(a, &text, 0, e->reply);
	wipe(&text);
	return error;
}

static enum control_error change(void *ctx, const struct control_request *request,
				 struct control_reply *reply, const char *kind,
				 const char *name_key, edit_fn edit)
{
	struct json_object *name = json_object_object_get(request->whole, name_key);
	struct edit e = {.kind = kind, .request = request, .reply = reply};

	if (!json_object_is_type(name, json_type_string))
		return control_fail(reply, CONTROL_parse_error, "\"%s\" is missing or not a string",
				    name_key);
	e.name = json_object_get_string(name);
	return run_edit(ctx, &e, edit);
}

enum control_error steer_set_private_key(struct actions *a, const struct network_slot *slot,
					 const uint8_t key[32], struct control_reply *reply)
{
	const struct control_request request = {.network = slot->settings->name};
	char text[KEY_BASE64_LEN + 1];
	struct edit e = {.kind = "wireguard", .name = text, .request = &request, .reply = reply};
	enum control_error error;

	keys_to_base64(text, key);
	error = run_edit(a, &e, edit_private_key);
	keys_wipe(text, sizeof(text));
	return error;
}

#define HANDLER(handler, kind, name_key, edit)                                                     \
	static enum control_error handler(void *ctx, const struct control_request *request,        \
					  struct control_reply *reply)                             \
	{                                                                                          \
		return change(ctx, request, reply, kind, name_key, edit);                          \
	}

HANDLER(handle_link_add, "link", "name", edit_add)
HANDLER(handle_link_remove, "link", "name", edit_remove)
HANDLER(handle_link_set, "link", "name", edit_set)
HANDLER(handle_link_enable, "link", "name", edit_enable)
HANDLER(handle_link_disable, "link", "name", edit_disable)
HANDLER(handle_peer_add, "peer", "name", edit_add)
HANDLER(handle_peer_remove, "peer", "name", edit_remove)
HANDLER(handle_peer_set, "peer", "name", edit_set)
HANDLER(handle_mode_set, "wireguard", "mode", edit_mode)

void steer_init(struct actions *a)
{
	actions_add(a, "reload", handle_reload, NULL);
	actions_add(a, "link_add", handle_link_add, "name settings");
	actions_add(a, "link_remove", handle_link_remove, "name");
	actions_add(a, "link_set", handle_link_set, "name settings");
	actions_add(a, "link_enable", handle_link_enable, "name");
	actions_add(a, "link_disable", handle_link_disable, "name");
	actions_add(a, "peer_add", handle_peer_add, "name settings");
	actions_add(a, "peer_remove", handle_peer_remove, "name");
	actions_add(a, "peer_set", handle_peer_set, "name settings");
	actions_add(a, "mode_set", handle_mode_set, "mode");
}
