/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* One line at a time, good and bad, put into a file that is right without it. */
#include "config_shown.h"
#include "core/config_show.h"

/* The lines of the base files; a test puts one line more behind a header, or instead of one. */
static const char *const single_form[] = {
	"[network]",
	"address = 10.10.0.2/24",
	"[wireguard]",
	"private_key = " ALICE,
	"peer_public_key = " BOB_PUBLIC,
	"[link wifi]",
	"endpoint = 192.0.2.1:51820",
	NULL,
};

static const char *const multi_form[] = {
	"[network]",
	"address = 10.10.0.1/24",
	"[wireguard]",
	"private_key = " ALICE,
	"[link wan]",
	"bind = 0.0.0.0:51820",
	"[peer home]",
	"public_key = " BOB_PUBLIC,
	"allowed_ips = 10.10.0.2/32",
	"[daemon]",
	NULL,
};

static bool has_same_key(const char *a, const char *b)
{
	size_t len = strcspn(a, " =");

	return len == strcspn(b, " =") && !strncmp(a, b, len);
}

/*
 * A base file with `added` (several lines are allowed) behind the header `section`, a line of the
 * same key there being left out. Returns the number of the first line of `added`.
 */
static int compose(char *ret, const char *const *base, const char *section, const char *added)
{
	bool is_inside = false;
	int line = 0;
	int at = 0;

	*ret = '\0';
	for (; *base; base++) {
		if (**base == '[')
			is_inside = !strcmp(*base, section);
		else if (is_inside && has_same_key(*base, added))
			continue;
		strcat(strcat(ret, *base), "\n");
		line++;
		if (**base == '[' && is_inside) {
			strcat(strcat(ret, added), "\n");
			at = ++line;
		}
	}
	ck_assert_msg(at, "no section %s in the base", section);
	return at;
}

struct good_case {
	const char *const *base;
	const char *section;
	const char *line;
};

static const struct good_case good_cases[] = {
	{single_form, "[network]", "mtu = 576\nbuffer_size=576"},
	{single_form, "[network]", "mtu = 65535"},
	{single_form, "[network]", "table = main\nmetric = 4294967295"},
	{single_form, "[network]", "table = off\ncarrier = follow"},
	{single_form, "[network]", "table = auto"},
	{single_form, "[network]", "carrier = always"},
	{multi_form, "[network]", "table = 51820\nmetric = 0"},
	{multi_form, "[daemon]", "lock_file = /run/x.lock\nsandbox = off\nuser = _vpn-1"},
	{multi_form, "[daemon]",
	 "cgroup = vpn/bond.1\nmemory_max = 64M\ncpu_max = 150%\npids_max = 40"},
	{multi_form, "[daemon]", "memory_max = 1048576\ncpu_max = 1%\npids_max = 1"},
	{multi_form, "[daemon]", "restart = off\nrestart_limit = 1\nfail_on_init_warnings = on"},
	{single_form, "[network]", "\tmtu\t=\t1500\t; a comment\r"},
	{single_form, "[network]", "# a comment\n; another\n\n  interface = a_b.c-d"},
	{single_form, "[network]", "interface = abcdefghijklmno"},
	{single_form, "[network]", "buffer_size = 65536"},
	{single_form, "[network]", "buffer_size = 1420"},
	{single_form, "[network]", "repair_buffer = 0"},
	{single_form, "[network]", "buffers = 16\nreorder_packets = 64\nreceive_batch = 1"},
	{single_form, "[network]", "buffers = 4096\nqueue_buffers = 3072\nreceive_batch = 32"},
	{single_form, "[link wifi]",
	 "workers = 16\n[link b]\nworkers = 16\n[link c]\nworkers = 16\n[link d]\nworkers = 12"},
	{single_form, "[network]", "link_queue = 16\nhandshake_queue = 16\nevent_queue = 32"},
	{single_form, "[network]", "link_queue = 256\nhandshake_queue = 65536"},
	{single_form, "[link wifi]", "receive_buffer = 131072\nsend_buffer = 67108864"},
	{multi_form, "[daemon]", "profile = small"},
	{multi_form, "[daemon]", "profile = normal"},
	{single_form, "[network]", "enabled = no"},
	{single_form, "[network]", "enable_wireguard = on"},
	{single_form, "[network]", "address = 10.0.0.1\nnetmask = 255.255.255.255"},
	{single_form, "[network]", "address = 10.0.0.1\ndestination = 10.0.0.2"},
	{single_form, "[network]", "address = fd00::1/64\ndestination = fd00::2"},
	{single_form, "[wireguard]", "preshared_key = " PRESHARED},
	{single_form, "[wireguard]", "bonding_mode = failover"},
	{single_form, "[wireguard]", "scheduler = adaptive"},
	{single_form, "[wireguard]", "scheduler = weight"},
	{single_form, "[wireguard]", "max_spread_ms = 1"},
	{single_form, "[wireguard]", "max_spread_ms = 400"},
	{single_form, "[wireguard]", "error_backoff_secs = 1"},
	{single_form, "[wireguard]", "resolve_interval_secs = 0"},
	{single_form, "[wireguard]", "error_backoff_secs = 3600"},
	{single_form, "[wireguard]", "health_check_timeout_ms = 1001"},
	{single_form, "[wireguard]", "health_check_interval_ms = 4999"},
	{single_form, "[wireguard]", "persistent_keepalive_secs = 65535"},
	{single_form, "[wireguard]", "allowed_ips = 0.0.0.0/0 , ::/0,10.0.0.0/8"},
	{single_form, "[link wifi]", "endpoint = [2001:db8::1]:51820\nbind = [::]:0"},
	{single_form, "[link wifi]", "endpoint = [fe80::1%wan7]:1"},
	{single_form, "[link wifi]", "endpoint = vps-1.example.com:65535\nbind = ::1"},
	{single_form, "[link wifi]", "endpoint = localhost:1"},
	{single_form, "[link wifi]", "endpoint = 1.2.3.4.nip.io:1"},
	{single_form, "[link wifi]", "bind = 10.1.2.3"},
	{single_form, "[link wifi]", "weight = 1000000\nfwmark = 0xffffffff"},
	{single_form, "[link wifi]", "network = default\ndevice = wwan0"},
	{multi_form, "[link wan]",
	 "bind = 10.0.0.1:5\n[link wan3]\nport = 65535\n[link wan2]\nport = 65534\n[link "
	 "any]\nport = 0"},
	{multi_form, "[peer home]", "endpoint = [::1]:51820\nmultilink = yes"},
	{multi_form, "[peer home]", "allowed_ips = 10.0.0.0/8\nallowed_ips = fd00::/8"},
	{multi_form, "[peer home]", "persistent_keepalive = off\npreshared_key = " PRESHARED},
	{multi_form, "[daemon]", "log_level = warning\npid_file = /run/x.pid"},
	{multi_form, "[daemon]", "aead = openssl"},
	{multi_form, "[daemon]",
	 "control_socket = /tmp/x.sock\nstate_dir = /var/tmp\ncontrol_group = adm"},
	{multi_form, "[link wan]",
	 "bind = 0.0.0.0:51820\ndevice = a\n[link wan2]\nbind = 0.0.0.0:51820\ndevice = b"},
	{multi_form, "[link wan]", "bind = 10.0.0.1:5\n[link wan2]\nbind = 10.0.0.2:5"},
};

START_TEST(good_line_is_accepted)
{
	const struct good_case *c = &good_cases[_i];
	char text[TEXT_MAX];

	compose(text, c->base, c->section, c->line);
	assert_good(text);
	assert_same_when_shown(text);
}
END_TEST

/* None has its default. */
static const char every_key[] =
	"[daemon]\ncontrol_socket = /tmp/x.sock\ncontrol_group = adm\npid_file = /run/x.pid\n"
	"state_dir = /var/tmp\nlog_level = warning\nlock_file = /run/x.lock\nsandbox = off\n"
	"user = _vpn-1\nfail_on_init_warnings = on\nrestart = off\nrestart_limit = 7\n"
	"aead = openssl\nprofile = small\ncgroup = vpn/bond.1\nmemory_max = 64M\n"
	"cpu_max = 150%\npids_max = 40\nmetrics_socket = /run/m.sock\n"
	"metrics_listen = [::1]:9090\n"
	"[network office]\nenabled = no\ninterface = tun7\naddress = 10.0.0.1\n"
	"address_collision = next\nnetmask = 255.255.0.0\ndestination = 10.0.0.2\nmtu = 1400\n"
	"mss_clamp = off\nuapi = off\ncarrier = follow\ntable = 77\nmetric = 8\n"
	"buffer_size = 9000\nqueues = 3\ntso = off\nuso = off\nbuffers = 100\n"
	"queue_buffers = 50\nreceive_batch = 7\nlink_queue = 64\nreorder_packets = 99\n"
	"repair_buffer = 1000000\nhandshake_queue = 32\nevent_queue = 128\n"
	"dns = 1.1.1.1, 2001:db8::1\non_up = /a\non_down = /b\non_link_up = /c\n"
	"on_link_down = /d\non_peer_up = /e\non_peer_down = /f\n"
	"[wireguard office]\nprivate_key = " ALICE "\nbonding_mode = failover\n"
	"scheduler = weight\nmax_spread_ms = 50\nerror_backoff_secs = 9\n"
	"resolve_interval_secs = 60\nhealth_check_interval_ms = 300\n"
	"health_check_backup_interval_ms = 900\nhealth_check_timeout_ms = 2000\n"
	"health_check_down = 2\nhealth_check_up = 4\nfailure_loss = 20\nrecovery_loss = 5\n"
	"failure_latency_ms = 500\nrecovery_latency_ms = 200\nflap_hold_max_secs = 30\n"
	"peer_public_key = " BOB_PUBLIC "\npreshared_key = " PRESHARED "\n"
	"allowed_ips = 10.1.0.0/16, fd00::/8\npersistent_keepalive = 25\nmultilink = yes\n"
	"[link a]\nnetwork = office\nbind = 10.9.9.9:55\ndevice = eth7\n"
	"endpoint = vps.example.com:1\nweight = 5\nworkers = 2\nfwmark = 0x77\nrole = backup\n"
	"rate = 1500kbit\ngso = off\ngro = off\nreceive_buffer = 200000\n"
	"send_buffer = 300000\n"
	"[link b]\nnetwork = office\nenabled = off\nport = 555\nendpoint = 10.1.1.1:2\n"
	"rate = 2gbit\n"
	"[rule z]\nnetwork = office\ndscp = EF, 7\ndscp = cs1\nprotocol = udp, 132\n"
	"source = 10.0.0.0/8\ndestination = 192.0.2.0/24\nport = 5060, 10000-20000\n"
	"source_port = 1\ndestination_port = 2-3\nlinks = b, a\npeer_links = wan 1\n"
	"fallback = drop\nredundant = yes\n"
	"[rule e]\nnetwork = office\n"
	"[network]\naddress = 10.7.0.1/24, fd07::1/64\nmtu = 1280\n"
	"[wireguard]\nprivate_key = " PRESHARED "\n"
	"[link c]\nnetwork = default\nbind = [::1]:7\n"
	"[peer x]\nnetwork = default\npublic_key = " BOB_PUBLIC "\npreshared_key = " ALICE "\n"
	"allowed_ips = 10.7.0.2/32\nallowed_ips = fd07::2\nendpoint = [2001:db8::7]:99\n"
	"persistent_keepalive = off\nmultilink = no\n";

/* Is there a line of that key, and is it none of those by default? */
static bool is_shown_otherwise(const char *key, const char *shown, const char *defaults)
{
	char start[64];
	char line[256];

	snprintf(start, sizeof(start), "\n%s = ", key);
	for (const char *at = shown; (at = strstr(at, start)); at++) {
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at + 1, "\n") + 2, at);
		if (!strstr(defaults, line))
			return true;
	}
	return false;
}

START_TEST(every_value_is_shown)
{
	char *shown = print_config(every_key);
	char *defaults = print_config("[wireguard]\nprivate_key = " ALICE
				      "\npeer_public_key = " PRESHARED "\n" LINK);

	for (const struct section_kind *k = section_kinds; k->kind; k++)
		for (const struct config_key *key = k->keys; key->name; key++)
			if (!strstr(key->name, "private_key") && !strstr(key->name, "preshared") &&
			    strcmp(key->name, "netmask") != 0)
				ck_assert_msg(is_shown_otherwise(key->name, shown, defaults), "%s",
					      key->name);
	free(shown);
	free(defaults);
}
END_TEST

START_TEST(every_key_is_the_same_when_shown)
{
	static const char *const others[] = {"private_key_file", "preshared_key_file"};

	for (const struct section_kind *k = section_kinds; k->kind; k++) {
		for (const struct config_key *key = k->keys; key->name; key++) {
			char line[80];

			snprintf(line, sizeof(line), "\n%s = ", key->name);
			ck_assert_msg(strstr(every_key, line) || !strcmp(key->name, others[0]) ||
					      !strcmp(key->name, others[1]),
				      "%s is not tried here", key->name);
			ck_assert_msg(config_show_knows(key), "%s cannot be shown", key->name);
		}
	}
	assert_good(every_key);
	assert_same_when_shown(every_key);
}
END_TEST

START_TEST(key_files_are_shown_by_their_paths)
{
	char key_path[80];
	char text[TEXT_MAX];
	char *shown;
	int fd;

	snprintf(key_path, sizeof(key_path), "%s/key", directory);
	fd = open(key_path, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_eq(write(fd, ALICE, strlen(ALICE)), (ssize_t)strlen(ALICE));
	close(fd);
	snprintf(text, sizeof(text),
		 "[wireguard]\nprivate_key_path = %s\npeer_public_key = " BOB_PUBLIC
		 "\npreshared_key_file = %s\n" LINK,
		 key_path, key_path);
	assert_good(text);
	assert_same_when_shown(text);
	shown = print_config(text);
	ck_assert_ptr_null(strstr(shown, KEY_PLACEHOLDER));
	free(shown);
	unlink(key_path);
}
END_TEST

START_TEST(what_is_wrong_is_not_shown)
{
	char *shown = NULL;
	size_t len;
	FILE *out = open_memstream(&shown, &len);

	ck_assert_int_eq(config_print(out, "/nonexistent/file", &errors), -ENOENT);
	fclose(out);
	ck_assert_str_eq(shown, "");
	free(shown);
}
END_TEST

struct bad_case {
	const char *const *base;
	const char *section;
	const char *line;
	const char *says;
};

static const struct bad_case bad_cases[] = {
	/* Numbers */
	{single_form, "[network]", "carrier = on", "carrier: |'on'|always, follow"},
	{single_form, "[network]", "table = 255", "table: |'255'|off, auto, main, or the number"},
	{single_form, "[network]", "table = 0", "table: |'0'|off, auto, main, or the number"},
	{single_form, "[network]", "table = 4294967295", "table: |off, auto, main, or the number"},
	{single_form, "[network]", "table = Auto", "table: |'Auto'|off, auto, main"},
	{single_form, "[network]", "table = local",
	 "table: |'local'|off, auto, main, or the number"},
	{multi_form, "[daemon]", "user = a b", "user: |'a b'|the name of a user"},
	{multi_form, "[daemon]", "cgroup = /vpn", "cgroup: |'/vpn'|a path below the root"},
	{multi_form, "[daemon]", "cgroup = a/../b", "cgroup: |'a/../b'|a path below the root"},
	{multi_form, "[daemon]", "memory_max = 1K", "memory_max: |'1K'|1048576..|64M"},
	{multi_form, "[daemon]", "memory_max = 99999999999G", "memory_max: |1048576.."},
	{multi_form, "[daemon]", "memory_max = 64MB", "memory_max: |'64MB'|64M"},
	{multi_form, "[daemon]", "cpu_max = 50", "cpu_max: |'50'|1%..1000000%"},
	{multi_form, "[daemon]", "pids_max = 0", "pids_max: |'0'|1..1000000"},
	{multi_form, "[daemon]", "restart_limit = 0", "restart_limit: |'0'|1..1000000"},
	{single_form, "[network]", "mtu = 0", "[network] mtu: |found '0'|allowed: 576..65535"},
	{single_form, "[network]", "mtu = 575", "[network] mtu: |'575'|576..65535"},
	{single_form, "[network]", "mtu = 65536", "mtu: |'65536'|576..65535"},
	{single_form, "[network]", "mtu = -1", "mtu: |'-1'|576..65535"},
	{single_form, "[network]", "mtu = +1420", "mtu: |'+1420'|576..65535"},
	{single_form, "[network]", "mtu = 4294967297", "mtu: |'4294967297'|576..65535"},
	{single_form, "[network]", "mtu = 4294968716", "mtu: |'4294968716'|576..65535"},
	{single_form, "[network]", "mtu = 18446744073709553036", "mtu: |576..65535"},
	{single_form, "[network]", "mtu = 1420abc", "mtu: |'1420abc'|576..65535"},
	{single_form, "[network]", "mtu = 1420 1420", "mtu: |'1420 1420'|576..65535"},
	{single_form, "[network]", "mtu = 1420 # no comment", "mtu: |576..65535"},
	{single_form, "[network]", "mtu = 0x5dc", "mtu: |'0x5dc'|576..65535"},
	{single_form, "[network]", "mtu = 1420.0", "mtu: |576..65535"},
	{single_form, "[network]", "mtu =", "[network] mtu: empty"},
	{single_form, "[network]", "mtu = ; 1420", "[network] mtu: empty"},
	{single_form, "[network]", "buffer_size = 65537", "buffer_size: |576..65536"},
	{single_form, "[network]", "buffer_size = 1000",
	 "buffer_size: |1000|at least the mtu (1420)"},
	{single_form, "[network]", "buffers = 15", "buffers: |'15'|16..4096"},
	{single_form, "[link wifi]", "workers = 17", "workers: |'17'|1..16"},
	{single_form, "[network]", "queue_buffers = 121",
	 "queue_buffers: |found 121|at most three quarters of buffers (120)"},
	{single_form, "[network]", "receive_batch = 33", "receive_batch: |'33'|1..32"},
	{single_form, "[network]", "link_queue = 20", "link_queue: |'20'|a power of two, 16..256"},
	{single_form, "[network]", "repair_buffer = 1073741825", "repair_buffer: |0..1073741824"},
	{single_form, "[network]", "reorder_packets = 63", "reorder_packets: |64..65536"},
	{single_form, "[network]", "handshake_queue = 1000",
	 "handshake_queue: |a power of two, 16..65536"},
	{single_form, "[network]", "event_queue = 16", "event_queue: |'16'|32..65536"},
	{single_form, "[link wifi]", "receive_buffer = 4096", "receive_buffer: |131072..67108864"},
	{single_form, "[link wifi]", "send_buffer = 1G", "send_buffer: |131072..67108864"},
	{multi_form, "[daemon]", "profile = tiny", "profile: |'tiny'|normal, small"},
	{single_form, "[wireguard]", "error_backoff_secs = 0", "error_backoff_secs: |1..3600"},
	{single_form, "[wireguard]", "resolve_interval_secs = 9",
	 "resolve_interval_secs: |10..86400"},
	{single_form, "[wireguard]", "error_backoff_secs = 5s", "error_backoff_secs: |1..3600"},
	{single_form, "[wireguard]", "health_check_interval_ms = 0", "_interval_ms: |1..3600000"},
	{single_form, "[wireguard]", "health_check_interval_ms = 5000",
	 "health_check_timeout_ms: found 5000|more than health_check_interval_ms (5000)"},
	{single_form, "[wireguard]", "health_check_timeout_ms = 0", "_timeout_ms: |1..3600000"},
	{single_form, "[wireguard]", "health_check_timeout_ms = 500",
	 "health_check_timeout_ms: found 500|more than health_check_interval_ms (1000)"},
	{single_form, "[wireguard]", "health_check_timeout_ms = 1000",
	 "health_check_timeout_ms: found 1000|more than health_check_interval_ms (1000)"},
	{single_form, "[wireguard]", "persistent_keepalive = 65536", "0..65535 (seconds) or off"},
	{single_form, "[wireguard]", "persistent_keepalive = -1", "0..65535 (seconds) or off"},
	{single_form, "[link wifi]", "weight = 0", "[link wifi] weight: |'0'|1..1000000"},
	{single_form, "[link wifi]", "weight = 1000001", "[link wifi] weight: |1..1000000"},
	{single_form, "[link wifi]", "fwmark = 0x100000000",
	 "fwmark: |0..4294967295 (0..0xffffffff)"},
	{single_form, "[link wifi]", "fwmark = 0x", "fwmark: |0..0xffffffff"},
	{single_form, "[link wifi]", "fwmark = 0x-1", "fwmark: |0..0xffffffff"},
	{single_form, "[link wifi]", "fwmark = ff", "fwmark: |0..0xffffffff"},
	/* Choices and names */
	{single_form, "[network]", "enabled = maybe", "enabled: |'maybe'|true, false, yes, no"},
	{single_form, "[network]", "enable_wireguard = 2",
	 "[network] enable_wireguard: |true, false"},
	{single_form, "[wireguard]", "bonding_mode = Aggregate",
	 "bonding_mode: |'Aggregate'|aggregate, bonding, bonded, redundant, failover, auto"},
	{single_form, "[wireguard]", "bonding_mode = roundrobin", "bonding_mode: |aggregate, "},
	{single_form, "[wireguard]", "scheduler = fastest", "scheduler: |adaptive, weight"},
	{single_form, "[wireguard]", "max_spread_ms = 401", "max_spread_ms: |1..400"},
	{single_form, "[wireguard]", "multilink = maybe", "multilink: |auto, yes, no"},
	{single_form, "[network]", "interface = abcdefghijklmnop", "interface: |1..15 characters"},
	{single_form, "[network]", "interface = tun/0", "interface: |'tun/0'|1..15 characters"},
	{single_form, "[network]", "interface = ..", "interface: |1..15 characters"},
	{single_form, "[network]", "interface = tun 0", "interface: |1..15 characters"},
	{single_form, "[link wifi]", "device = wwan0wwan0wwan01", "device: |1..15 characters"},
	{multi_form, "[daemon]", "log_level = info2", "log_level: |error, warning, info, debug"},
	{multi_form, "[daemon]", "log_level = notice", "log_level: |error, warning, info, debug"},
	{multi_form, "[daemon]", "aead = OpenSSL", "aead: |'OpenSSL'|auto, |openssl"},
	{multi_form, "[daemon]", "control_group = a b", "control_group: |'a b'|name of a group"},
	{multi_form, "[daemon]", "pid_file = x.pid", "pid_file: |'x.pid'|absolute path"},
	{multi_form, "[daemon]", "state_dir = ./x", "state_dir: |absolute path"},
	{multi_form, "[daemon]",
	 "control_socket = /a234567890/a234567890/a234567890/a234567890/a234567890/a234567890/"
	 "a234567890/a234567890/a234567890/a234567890",
	 "control_socket: |absolute path of at most 107"},
	/* Addresses */
	{single_form, "[network]", "address = 10.0.0.256", "address: |'10.0.0.256'|1..32 (IPv4)"},
	{single_form, "[network]", "address = 10.0.0.1/33", "address: |'10.0.0.1/33'|1..32 (IPv4)"},
	{single_form, "[network]", "address = fd00::1/129", "address: |1..128 (IPv6)"},
	{single_form, "[network]", "address = 10.0.0.1/0", "address: |'10.0.0.1/0'|1..32"},
	{single_form, "[network]", "address = 10.0.0.1/", "address: |'10.0.0.1/'|1..32"},
	{single_form, "[network]", "address = 10.0.0.1/24x", "address: |'10.0.0.1/24x'"},
	{single_form, "[network]", "address = 10.0.0.1,", "address: |found ''|ADDRESS"},
	{single_form, "[network]", "address = 10.0.0.1,,10.0.0.2", "address: |found ''|ADDRESS"},
	{single_form, "[network]", "address = 10.0.0.1 10.0.0.2", "address: |'10.0.0.1 10.0.0.2'"},
	{single_form, "[network]", "address = 10.0.0.1/24, 10.0.0.1/32",
	 "address: |each address once"},
	{single_form, "[network]", "netmask = 255.255.255.0", "netmask: found 0 |exactly one"},
	{single_form, "[network]", "netmask = 255.0.255.0", "netmask: |255.255.255.0"},
	{single_form, "[network]", "netmask = 24", "netmask: |'24'|255.255.255.0"},
	{single_form, "[network]", "netmask = 0.0.0.0", "netmask: |255.255.255.0"},
	{single_form, "[network]", "destination = fd00::1",
	 "destination: found 0 IPv6|exactly one"},
	{single_form, "[network]", "destination = 10.0.0.1/24",
	 "destination: |an IPv4 or IPv6 address"},
	{single_form, "[wireguard]", "allowed_ips = 0.0.0.0/33",
	 "allowed_ips: |'0.0.0.0/33'|0..32"},
	{single_form, "[wireguard]", "allowed_ips = all", "allowed_ips: |'all'|0..32 (IPv4)"},
	{single_form, "[wireguard]", "allowed_ips = 10.0.0.0/8 10.1.0.0/16",
	 "allowed_ips: |ADDRESS"},
	{single_form, "[wireguard]", "allowed_ips = 10.0.0.0/8, 10.1.1.1/8",
	 "allowed_ips: found 10.0.0.0/8|each prefix once"},
	{single_form, "[link wifi]", "bind = localhost:5", "bind: |'localhost:5'|IPV4:PORT"},
	{single_form, "[link wifi]", "bind = 1.2.3.4:65536", "bind: |the port 0..65535"},
	{single_form, "[link wifi]", "bind = 1.2.3.4:", "bind: |the port 0..65535"},
	{single_form, "[link wifi]", "bind = :5", "bind: |the port 0..65535"},
	{single_form, "[link wifi]", "bind = [1.2.3.4]:5", "bind: |[IPV6]:PORT"},
	{single_form, "[link wifi]", "bind = [::1]", "bind: |the IPv6 address [::1]"},
	{single_form, "[link wifi]", "bind = [::]:0",
	 "bind: |the IPv6 address [::]:0 with the IPv4 endpoint 192.0.2.1:51820|one family"},
	{single_form, "[link wifi]", "endpoint = example.com", "endpoint: |HOST:PORT"},
	{single_form, "[link wifi]", "endpoint = example.com:0", "endpoint: |the port 1..65535"},
	{single_form, "[link wifi]", "endpoint = example.com:65536", "endpoint: |1..65535"},
	{single_form, "[link wifi]", "endpoint = :51820", "endpoint: |HOST:PORT"},
	{single_form, "[link wifi]", "endpoint = []:51820", "endpoint: |HOST:PORT"},
	{single_form, "[link wifi]", "endpoint = 2001:db8::1:51820", "endpoint: |[IPV6]:PORT"},
	{single_form, "[link wifi]", "endpoint = [2001:db8::x]:51820", "endpoint: |[IPV6]:PORT"},
	{single_form, "[link wifi]", "endpoint = 1.2.3.400:51820", "endpoint: |HOST:PORT"},
	{single_form, "[link wifi]", "endpoint = exam ple.com:1", "endpoint: |HOST:PORT"},
	{single_form, "[link wifi]", "endpoint = a..b:1", "endpoint: |HOST:PORT"},
	{single_form, "[link wifi]", "endpoint = example.com:1 x", "endpoint: |HOST:PORT"},
	/* Keys */
	{single_form, "[wireguard]", "private_key = " KEY_OF_31,
	 "[wireguard] private_key: Invalid private_key length (expected 32 bytes, got 31)"},
	{single_form, "[wireguard]", "private_key = dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LC!=",
	 "[wireguard] private_key: Invalid base64 for private_key"},
	{single_form, "[wireguard]", "private_key = dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo",
	 "Invalid base64 for private_key"},
	{single_form, "[wireguard]", "private_key = " ALICE " x", "Invalid base64 for private_key"},
	{single_form, "[wireguard]", "private_key = " ZERO_KEY, "Invalid private_key (all zero)"},
	{single_form, "[wireguard]", "private_key = REPLACE_ME", "REPLACE_ME|`vtrunkd genkey`"},
	{single_form, "[wireguard]", "private_key =", "private_key: empty"},
	{single_form, "[wireguard]", "preshared_key = AQIDBAUG",
	 "Invalid preshared_key length|got 6"},
	{single_form, "[wireguard]", "peer_public_key = x", "Invalid base64 for peer_public_key"},
	{single_form, "[wireguard]", "peer_public_key = REPLACE_ME", "REPLACE_ME|`vtrunkd genkey`"},
	{single_form, "[wireguard]", "peer_public_key = " ALICE_PUBLIC, "own public key"},
	{single_form, "[wireguard]", "preshared_key_file = " ALICE,
	 "a key (not shown)|path of a file"},
	{single_form, "[wireguard]", "bonding_mode = " ALICE, "(not shown)|aggregate, bonding"},
	{single_form, "[wireguard]", ALICE, "looks like a key (not shown)|private_key, "},
	{single_form, "[link wifi]", "endpoint = " ALICE, "(not shown)|HOST:PORT"},
	{multi_form, "[peer home]", "public_key = " ALICE_PUBLIC,
	 "own public key of network 'default'"},
	{multi_form, "[peer home]", "public_key = " ZERO_KEY, "Invalid public_key (all zero)"},
	/* Unknown and double */
	{single_form, "[network]", "mut = 1420",
	 "[network] mut: unknown key|interface, address|mtu"},
	{single_form, "[network]", "MTU = 1420", "[network] MTU: unknown key"},
	{single_form, "[network]", "private_key = x", "[network] private_key: unknown key"},
	{single_form, "[wireguard]", "listen_port = 1", "listen_port: unknown key|private_key, "},
	{single_form, "[link wifi]", "wieght = 2", "[link wifi] wieght: unknown key|bind, device"},
	{multi_form, "[peer home]", "name = x", "[peer home] name: unknown key|public_key, "},
	{multi_form, "[daemon]", "usr = x",
	 "[daemon] usr: unknown key|control_socket, control_group, pid_file"},
	{single_form, "[network]", "dns = example.com", "[network] dns: found 'example.com'"},
	{single_form, "[network]", "on_up = echo up", "[network] on_up: found 'echo up'"},
	{multi_form, "[daemon]", "metrics_listen = 0.0.0.0:9586", "127.0.0.1:PORT or [::1]:PORT"},
	{multi_form, "[daemon]", "metrics_listen = 127.0.0.1", "127.0.0.1:PORT or [::1]:PORT"},
	{single_form, "[wireguard]", "no equals sign", "neither a comment, nor a [section]"},
	{single_form, "[wireguard]", "= value", "neither a comment, nor a [section]"},
	/* Forms */
	{multi_form, "[wireguard]", "preshared_key = " PRESHARED,
	 "without peer_public_key|[peer NAME]"},
	{multi_form, "[wireguard]", "allowed_ips = ::/0", "without peer_public_key|[peer NAME]"},
	{multi_form, "[wireguard]", "persistent_keepalive = 5",
	 "without peer_public_key|[peer NAME]"},
	{multi_form, "[wireguard]", "multilink = no", "without peer_public_key|[peer NAME]"},
	{multi_form, "[wireguard]", "peer_public_key = " PRESHARED,
	 "peer_public_key: found beside 1 [peer NAME] sections"},
	{multi_form, "[link wan]", "endpoint = 192.0.2.1:5", "[link wan] endpoint: |[peer NAME]"},
	{multi_form, "[link wan]", "network = other", "network: found 'other', allowed: default"},
	{multi_form, "[peer home]", "network = other", "network: found 'other', allowed: default"},
	{multi_form, "[peer home]", "network = a b", "network: |the name of a [network]"},
};

START_TEST(bad_line_is_refused_with_place_and_range)
{
	const struct bad_case *c = &bad_cases[_i];
	char text[TEXT_MAX];
	int line = compose(text, c->base, c->section, c->line);
	bool is_of_section = strstr(c->says, "health_check_timeout_ms: found 5000") != NULL;

	/* The timeout is not in that file, so that the error is at its section. */
	assert_one_error(text, is_of_section ? line - 1 : line, c->says);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("config lines");
	TCase *c = tcase_create("config lines");

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, every_key_is_the_same_when_shown);
	tcase_add_test(c, every_value_is_shown);
	tcase_add_test(c, key_files_are_shown_by_their_paths);
	tcase_add_test(c, what_is_wrong_is_not_shown);
	tcase_add_loop_test(c, good_line_is_accepted, 0, sizeof(good_cases) / sizeof(*good_cases));
	tcase_add_loop_test(c, bad_line_is_refused_with_place_and_range, 0,
			    sizeof(bad_cases) / sizeof(*bad_cases));
	suite_add_tcase(s, c);
	return s;
}
