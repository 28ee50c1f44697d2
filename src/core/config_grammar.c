/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/config_grammar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_rule.h"
#include "core/config_secret.h"
#include "links/socket.h"

#define ADDRESSES_MAX 64
#define DEFAULT_NETWORK "default"
#define DEFAULT_INTERFACE "tun0"
#define BUFFER_SIZE_MAX 65536
#define REPAIR_BUFFER_MAX (1 << 30)
#define WEIGHT_MAX 1000000
#define WORKERS_MAX 16
/* Below it a burst of 64 KB would not fit. */
#define SOCKET_BUFFER_MIN 131072
#define RESTART_LIMIT_MAX 1000000
/* Of the control group: an engine needs more than the least of each. */
#define MEMORY_MIN (UINT64_C(1) << 20)
#define MEMORY_MAX (UINT64_C(1) << 50)
#define CPU_PERCENT_MAX 1000000
#define PIDS_MAX 1000000

/* The resequencer waits no longer than this, in any case. */
#define MAX_SPREAD_MS 400

/* An hour: health settings beyond it are slips of the pen. */
#define DURATION_MAX_SECONDS 3600
#define DURATION_MAX_MS (DURATION_MAX_SECONDS * 1000)
/* Of pings, or answers, in a row: no more are remembered. */
#define HEALTH_COUNT_MAX 30

static int add_dns(struct value *v, const void *item, void *list)
{
	char *dns = list;
	const struct prefix *address = item;
	char text[PREFIX_TEXT_MAX];
	size_t len = strlen(dns);

	prefix_format(address, text);
	text[strcspn(text, "/")] = '\0';
	if (len + 1 + strlen(text) >= CONFIG_DNS_MAX)
		return value_expected(v, "fewer addresses");
	snprintf(dns + len, CONFIG_DNS_MAX - len, "%s%s", len ? " " : "", text);
	return 0;
}

/* field: char[CONFIG_DNS_MAX] */
int grammar_dns(struct value *v, void *field)
{
	struct prefix item;

	return value_list(v, value_ip, &item, add_dns, field);
}

static int add_address(struct value *v, const void *item, void *list)
{
	struct network_draft *draft = list;
	struct network_settings *n = &draft->settings;
	const struct prefix *prefix = item;
	struct interface_address *grown;

	for (size_t i = 0; i < n->n_addresses; i++)
		if (!memcmp(n->addresses[i].prefix.bytes, prefix->bytes, sizeof(prefix->bytes)) &&
		    n->addresses[i].prefix.family == prefix->family)
			return value_expected(v, "each address once");
	if (n->n_addresses == ADDRESSES_MAX)
		return value_expected(v, "at most %d addresses", ADDRESSES_MAX);
	grown = reallocarray(n->addresses, n->n_addresses + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	n->addresses = grown;
	if (prefix->family == AF_INET && !strchr(v->text, '/')) {
		draft->n_plain_ipv4++;
		draft->plain_ipv4 = n->n_addresses;
	}
	n->addresses[n->n_addresses++] = (struct interface_address){.prefix = *prefix};
	return 0;
}

/* field: struct network_draft */
int grammar_addresses(struct value *v, void *field)
{
	struct prefix item;

	return value_list(v, value_host_prefix, &item, add_address, field);
}

static int add_allowed_ip(struct value *v, const void *item, void *list)
{
	struct peer_settings *peer = list;
	struct prefix *grown;

	(void)v;
	grown = reallocarray(peer->allowed_ips, peer->n_allowed_ips + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	peer->allowed_ips = grown;
	memcpy(&grown[peer->n_allowed_ips++], item, sizeof(*grown));
	return 0;
}

/* field: struct peer_settings */
int grammar_allowed_ips(struct value *v, void *field)
{
	struct prefix item;

	return value_list(v, value_prefix, &item, add_allowed_ip, field);
}

/* field: struct endpoint_name *, which few of many peers have */
int grammar_peer_endpoint(struct value *v, void *field)
{
	struct endpoint_name **endpoint = field;
	struct endpoint_name e;
	int r = value_endpoint(v, &e);

	if (r < 0)
		return r;
	*endpoint = malloc(sizeof(e));
	if (!*endpoint)
		return -ENOMEM;
	**endpoint = e;
	return 0;
}

/* field: struct network_draft */
int grammar_mtu(struct value *v, void *field)
{
	struct network_draft *draft = field;

	draft->settings.is_mtu_auto = !strcmp(v->text, "auto");
	if (draft->settings.is_mtu_auto)
		return 0;
	return value_u32(v, &draft->settings.mtu);
}

/* field: uint32_t; 0: by the machine's cores */
int grammar_queues(struct value *v, void *field)
{
	return strcmp(v->text, "auto") ? value_u32(v, field) : 0;
}

/* field: uint32_t, of which 0 means that nothing is given; so little as 1 byte keeps nothing too */
int grammar_repair_buffer(struct value *v, void *field)
{
	uint32_t *bytes = field;
	int r = value_u32(v, bytes);

	if (r == 0 && !*bytes)
		*bytes = 1;
	return r;
}

/* field: struct network_draft. The supervisor writes the file when the key changes. */
int grammar_private_key_file(struct value *v, void *field)
{
	struct network_draft *draft = field;
	int r = value_key_file(v, draft->settings.private_key);

	return r < 0 ? r : value_path(v, draft->hooks.key_file);
}

static const struct choice modes[] = {
	{"aggregate", BOND_AGGREGATE},
	{"bonding", BOND_AGGREGATE},
	{"bonded", BOND_AGGREGATE},
	{"redundant", BOND_REDUNDANT},
	{"failover", BOND_FAILOVER},
	{"auto", BOND_AUTO},
	{NULL, 0},
};

static const struct choice schedulers[] = {
	{"adaptive", SCHEDULER_ADAPTIVE},
	{"weight", SCHEDULER_WEIGHT},
	{NULL, 0},
};

static const struct choice offloads[] = {
	{"auto", OFFLOAD_AUTO},
	{"on", OFFLOAD_ON},
	{"off", OFFLOAD_OFF},
	{NULL, 0},
};

static const struct choice roles[] = {
	{"primary", LINK_PRIMARY},
	{"backup", LINK_BACKUP},
	{NULL, 0},
};

static const struct choice multilinks[] = {
	{"auto", MULTILINK_AUTO},
	{"yes", MULTILINK_YES},
	{"no", MULTILINK_NO},
	{NULL, 0},
};

static const struct choice profiles[] = {{"normal", 0}, {"small", 1}, {NULL, 0}};
static const struct choice carriers[] = {{"always", 0}, {"follow", 1}, {NULL, 0}};
static const struct choice collisions[] = {{"refuse", 0}, {"next", 1}, {NULL, 0}};
static const struct choice fallbacks[] = {{"any", 0}, {"drop", 1}, {NULL, 0}};

#define KEY(name_, parse_, type_, member_)                                                         \
	.name = name_, .parse = parse_, .offset = offsetof(struct type_, member_)

static const struct config_key daemon_keys[] = {
	{KEY("control_socket", value_socket_path, daemon_settings, control_socket)},
	{KEY("control_group", value_group, daemon_settings, control_group)},
	{KEY("pid_file", value_path, daemon_settings, pid_file)},
	{KEY("state_dir", value_path, daemon_settings, state_dir)},
	{KEY("log_level", value_choice, daemon_settings, log_level), .choices = log_levels},
	{KEY("lock_file", value_path, daemon_settings, lock_file)},
	{KEY("sandbox", value_bool, daemon_settings, is_sandboxed)},
	{KEY("user", value_user, daemon_settings, user)},
	{KEY("fail_on_init_warnings", value_bool, daemon_settings, fails_on_warnings)},
	{KEY("restart", value_bool, daemon_settings, restarts)},
	{KEY("restart_limit", value_u32, daemon_settings, restart_limit), .min = 1,
	 .max = RESTART_LIMIT_MAX},
	{KEY("aead", value_aead, daemon_settings, aead)},
	{KEY("profile", value_bool, daemon_settings, is_small), .choices = profiles},
	{KEY("cgroup", value_cgroup, daemon_settings, cgroup.name)},
	{KEY("memory_max", value_bytes, daemon_settings, cgroup.memory_bytes), .min = MEMORY_MIN,
	 .max = MEMORY_MAX},
	{KEY("cpu_max", value_percent, daemon_settings, cgroup.cpu_percent), .min = 1,
	 .max = CPU_PERCENT_MAX},
	{KEY("pids_max", value_u32, daemon_settings, cgroup.pids), .min = 1, .max = PIDS_MAX},
	{KEY("metrics_socket", value_socket_path, daemon_settings, metrics_socket)},
	{KEY("metrics_listen", value_loopback, daemon_settings, metrics_listen)},
	{NULL},
};

static const struct config_key network_keys[] = {
	{KEY("enabled", value_bool, network_draft, settings.is_enabled),
	 .alias = "enable_wireguard"},
	{KEY("interface", value_interface, network_draft, settings.interface)},
	{.name = "address", .parse = grammar_addresses, .is_list = true},
	{KEY("address_collision", value_bool, network_draft, settings.takes_next_address),
	 .choices = collisions},
	{KEY("netmask", value_netmask, network_draft, netmask_len)},
	{KEY("destination", value_ip, network_draft, destination)},
	{.name = "mtu", .parse = grammar_mtu, .min = MTU_MIN, .max = MTU_MAX},
	{KEY("mss_clamp", value_bool, network_draft, settings.mss_clamp)},
	{KEY("uapi", value_bool, network_draft, settings.has_uapi)},
	{KEY("carrier", value_bool, network_draft, settings.follows_carrier), .choices = carriers},
	{KEY("table", value_table, network_draft, settings.route_table)},
	{KEY("metric", value_u32, network_draft, settings.route_metric), .max = UINT32_MAX},
	{KEY("buffer_size", value_u32, network_draft, settings.buffer_size), .min = MTU_MIN,
	 .max = BUFFER_SIZE_MAX},
	{KEY("queues", grammar_queues, network_draft, settings.queues), .min = 1,
	 .max = QUEUES_MAX},
	{KEY("tso", value_choice, network_draft, settings.tso), .choices = offloads},
	{KEY("uso", value_choice, network_draft, settings.uso), .choices = offloads},
	{KEY("buffers", value_u32, network_draft, settings.sizes.buffers), .min = 16, .max = 4096},
	{KEY("queue_buffers", value_u32, network_draft, settings.sizes.queue_buffers), .min = 4,
	 .max = 4096},
	{KEY("receive_batch", value_u32, network_draft, settings.sizes.link.receive_batch),
	 .min = 1, .max = UDP_BATCH},
	{KEY("link_queue", value_power_of_two, network_draft, settings.sizes.link.queue), .min = 16,
	 .max = 256},
	{KEY("reorder_packets", value_u32, network_draft, settings.sizes.reorder_packets),
	 .min = 64, .max = 65536},
	{KEY("repair_buffer", grammar_repair_buffer, network_draft, settings.sizes.repair_buffer),
	 .max = REPAIR_BUFFER_MAX},
	{KEY("handshake_queue", value_power_of_two, network_draft, settings.sizes.handshake_queue),
	 .min = 16, .max = 65536},
	{KEY("event_queue", value_power_of_two, network_draft, settings.sizes.event_queue),
	 .min = 32, .max = 65536},
	{KEY("dns", grammar_dns, network_draft, hooks.dns), .is_list = true},
#define X(key, event) {KEY(#key, value_path, network_draft, hooks.paths[HOOK_##key])},
	HOOK_KINDS(X)
#undef X
		{NULL},
};

static const struct config_key wireguard_keys[] = {
	{KEY("private_key", value_key, network_draft, settings.private_key)},
	{.name = "private_key_file",
	 .parse = grammar_private_key_file,
	 .alias = "private_key_path"},
	{KEY("bonding_mode", value_choice, network_draft, settings.mode), .choices = modes},
	{KEY("scheduler", value_choice, network_draft, settings.scheduler), .choices = schedulers},
	{KEY("max_spread_ms", value_milliseconds, network_draft, settings.max_spread), .min = 1,
	 .max = MAX_SPREAD_MS},
	{KEY("error_backoff_secs", value_seconds, network_draft, settings.health.error_backoff),
	 .min = 1, .max = DURATION_MAX_SECONDS},
	{KEY("resolve_interval_secs", value_resolve_interval, network_draft,
	     settings.health.resolve_interval)},
	{KEY("health_check_interval_ms", value_milliseconds, network_draft,
	     settings.health.interval),
	 .min = 1, .max = DURATION_MAX_MS},
	{KEY("health_check_backup_interval_ms", value_milliseconds, network_draft,
	     settings.health.backup_interval),
	 .min = 1, .max = DURATION_MAX_MS},
	{KEY("health_check_timeout_ms", value_milliseconds, network_draft, settings.health.timeout),
	 .min = 1, .max = DURATION_MAX_MS},
	{KEY("health_check_down", value_u32, network_draft, settings.health.down), .min = 1,
	 .max = HEALTH_COUNT_MAX},
	{KEY("health_check_up", value_u32, network_draft, settings.health.up), .min = 1,
	 .max = HEALTH_COUNT_MAX},
	{KEY("failure_loss", value_u32, network_draft, settings.health.failure_loss), .max = 100},
	{KEY("recovery_loss", value_u32, network_draft, settings.health.recovery_loss), .max = 100},
	{KEY("failure_latency_ms", value_milliseconds, network_draft,
	     settings.health.failure_latency),
	 .max = DURATION_MAX_MS},
	{KEY("recovery_latency_ms", value_milliseconds, network_draft,
	     settings.health.recovery_latency),
	 .max = DURATION_MAX_MS},
	{KEY("flap_hold_max_secs", value_seconds, network_draft, settings.health.flap_hold_max),
	 .max = DURATION_MAX_SECONDS},
	{KEY("peer_public_key", value_key, network_draft, peer.public_key)},
	{KEY("preshared_key", value_key, network_draft, peer.preshared_key)},
	{KEY("preshared_key_file", value_key_file, network_draft, peer.preshared_key)},
	{KEY("allowed_ips", grammar_allowed_ips, network_draft, peer), .is_list = true},
	{KEY("persistent_keepalive", value_keepalive, network_draft, peer.persistent_keepalive),
	 .alias = "persistent_keepalive_secs"},
	{KEY("multilink", value_choice, network_draft, peer.multilink), .choices = multilinks},
	{NULL},
};

static const struct config_key link_keys[] = {
	{KEY("network", value_network, link_draft, network_name)},
	{KEY("enabled", value_bool, link_draft, is_enabled)},
	{KEY("bind", value_bind, link_draft, settings.bind)},
	{KEY("device", value_interface, link_draft, settings.device)},
	{KEY("port", value_port, link_draft, settings.port)},
	{KEY("endpoint", value_endpoint, link_draft, settings.endpoint)},
	{KEY("weight", value_u32, link_draft, settings.weight), .min = 1, .max = WEIGHT_MAX},
	{KEY("workers", value_u32, link_draft, settings.workers), .min = 1, .max = WORKERS_MAX},
	{KEY("fwmark", value_mark, link_draft, settings.fwmark)},
	{KEY("role", value_choice, link_draft, settings.role), .choices = roles},
	{KEY("rate", value_rate, link_draft, settings.rate)},
	{KEY("gso", value_choice, link_draft, settings.gso), .choices = offloads},
	{KEY("gro", value_choice, link_draft, settings.gro), .choices = offloads},
	{KEY("receive_buffer", value_u32, link_draft, settings.receive_buffer),
	 .min = SOCKET_BUFFER_MIN, .max = LINK_SOCKET_BUFFER_MAX},
	{KEY("send_buffer", value_u32, link_draft, settings.send_buffer), .min = SOCKET_BUFFER_MIN,
	 .max = LINK_SOCKET_BUFFER_MAX},
	{NULL},
};

static const struct config_key peer_keys[] = {
	{KEY("network", value_network, peer_draft, network_name)},
	{KEY("public_key", value_key, peer_draft, settings.public_key)},
	{KEY("preshared_key", value_key, peer_draft, settings.preshared_key)},
	{KEY("preshared_key_file", value_key_file, peer_draft, settings.preshared_key)},
	{KEY("allowed_ips", grammar_allowed_ips, peer_draft, settings), .is_list = true},
	{KEY("endpoint", grammar_peer_endpoint, peer_draft, settings.endpoint)},
	{KEY("persistent_keepalive", value_keepalive, peer_draft, settings.persistent_keepalive),
	 .alias = "persistent_keepalive_secs"},
	{KEY("multilink", value_choice, peer_draft, settings.multilink), .choices = multilinks},
	{NULL},
};

static const struct config_key rule_keys[] = {
	{KEY("network", value_network, rule_draft, network_name)},
	{KEY("dscp", value_rule_dscps, rule_draft, settings), .is_list = true},
	{KEY("protocol", value_rule_protocols, rule_draft, settings), .is_list = true},
	{KEY("source", value_rule_sources, rule_draft, settings), .is_list = true},
	{KEY("destination", value_rule_destinations, rule_draft, settings), .is_list = true},
	{KEY("port", value_rule_ports, rule_draft, settings), .is_list = true},
	{KEY("source_port", value_rule_source_ports, rule_draft, settings), .is_list = true},
	{KEY("destination_port", value_rule_destination_ports, rule_draft, settings),
	 .is_list = true},
	{KEY("links", value_rule_links, rule_draft, settings), .is_list = true},
	{KEY("peer_links", value_rule_peer_links, rule_draft, settings), .is_list = true},
	{KEY("fallback", value_rule_switch, rule_draft, settings.is_strict), .choices = fallbacks},
	{KEY("redundant", value_rule_switch, rule_draft, settings.is_redundant)},
	{NULL},
};

const char *section_network_name(const struct config_section *s)
{
	return *s->name ? s->name : DEFAULT_NETWORK;
}

bool section_is_of_network(const struct config_section *s)
{
	return !strcmp(s->kind, "network") || !strcmp(s->kind, "wireguard");
}

int section_compare(const struct config_section *a, const struct config_section *b)
{
	int r = strcmp(a->kind, b->kind);

	if (r)
		return r;
	if (section_is_of_network(a))
		return strcmp(section_network_name(a), section_network_name(b));
	return strcmp(a->name, b->name);
}

static int compare_for_search(const void *left, const void *right)
{
	struct config_section *const *a = left;
	struct config_section *const *b = right;

	return section_compare(*a, *b);
}

static int compare_for_sort(const void *left, const void *right)
{
	struct config_section *const *a = left;
	struct config_section *const *b = right;
	int r = section_compare(*a, *b);

	return r ? r : (*a > *b) - (*a < *b);
}

struct config_section **sections_sort(const struct config_ini *ini)
{
	struct config_section **sorted = calloc(ini->n_sections + 1, sizeof(*sorted));

	for (size_t i = 0; sorted && i < ini->n_sections; i++)
		sorted[i] = &ini->sections[i];
	if (sorted)
		qsort(sorted, ini->n_sections, sizeof(*sorted), compare_for_sort);
	return sorted;
}

struct config_section *sections_find(struct config_section **sorted, size_t n,
				     const struct config_section *like)
{
	struct config_section **found =
		bsearch(&like, sorted, n, sizeof(*sorted), compare_for_search);

	return found ? *found : NULL;
}

static void *open_daemon(struct config_draft *d, const struct config_section *s)
{
	(void)s;
	return &d->daemon;
}

static struct network_draft *find_network(struct config_draft *d, const char *name)
{
	for (size_t i = 0; i < d->n_networks; i++)
		if (!strcmp(d->networks[i].settings.name, name))
			return &d->networks[i];
	return NULL;
}

/* [network X] and [wireguard X] fill in the same network, whichever comes first. */
static struct network_draft *find_or_add_network(struct config_draft *d, const char *name)
{
	struct network_draft *n = find_network(d, name);

	if (n)
		return n;
	n = &d->networks[d->n_networks++];
	*n = (struct network_draft){
		.settings =
			{
				.is_enabled = true,
				.has_uapi = true,
				.interface = DEFAULT_INTERFACE,
				.mtu = MTU_DEFAULT,
				.is_mtu_auto = true,
				.mss_clamp = true,
				.buffer_size = BUFFER_SIZE_DEFAULT,
				.mode = BOND_AGGREGATE,
				.max_spread = 100 * NSEC_PER_MSEC,
				.health = {.interval = NSEC_PER_SEC,
					   .timeout = 5 * NSEC_PER_SEC,
					   .error_backoff = 5 * NSEC_PER_SEC,
					   .resolve_interval = 120 * NSEC_PER_SEC,
					   .down = 1,
					   .up = 3,
					   .flap_hold_max = 60 * NSEC_PER_SEC},
			},
		.peer = {.name = "peer", .multilink = MULTILINK_AUTO},
	};
	strcpy(n->settings.name, name);
	return n;
}

static void *open_network(struct config_draft *d, const struct config_section *s)
{
	struct network_draft *n = find_or_add_network(d, section_network_name(s));

	n->network = s;
	return n;
}

static void *open_wireguard(struct config_draft *d, const struct config_section *s)
{
	struct network_draft *n = find_or_add_network(d, section_network_name(s));

	n->wireguard = s;
	return n;
}

static void *open_link(struct config_draft *d, const struct config_section *s)
{
	struct link_draft *l = &d->links[d->n_links++];

	*l = (struct link_draft){
		.section = s, .is_enabled = true, .settings = {.weight = 1, .workers = 1}};
	strcpy(l->settings.name, s->name);
	return l;
}

static void *open_peer(struct config_draft *d, const struct config_section *s)
{
	struct peer_draft *p = &d->peers[d->n_peers++];

	*p = (struct peer_draft){.section = s, .settings = {.multilink = MULTILINK_AUTO}};
	strcpy(p->settings.name, s->name);
	return p;
}

static void *open_rule(struct config_draft *d, const struct config_section *s)
{
	struct rule_draft *r = &d->rules[d->n_rules++];

	*r = (struct rule_draft){.section = s};
	strcpy(r->settings.name, s->name);
	return r;
}

const struct section_kind section_kinds[] = {
	{"daemon", NAME_REFUSED, 0, daemon_keys, open_daemon},
	{"network", NAME_NETWORK, NETWORK_NAME_MAX, network_keys, open_network},
	{"wireguard", NAME_NETWORK, NETWORK_NAME_MAX, wireguard_keys, open_wireguard},
	{"link", NAME_REQUIRED, LINK_NAME_MAX, link_keys, open_link},
	{"peer", NAME_REQUIRED, PEER_NAME_MAX, peer_keys, open_peer},
	{"rule", NAME_REQUIRED, RULE_NAME_MAX, rule_keys, open_rule},
	{NULL},
};
