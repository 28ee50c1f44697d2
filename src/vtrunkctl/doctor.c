/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "vtrunkctl/doctor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/capability.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "util/addr.h"
#include "vtrunkctl/ask.h"
#include "vtrunkctl/doctor_report.h"
#include "vtrunkctl/show.h"
#include "vtrunkctl/text.h"

/* What IPv6, UDP and WireGuard put around a packet. */
#define OVERHEAD 80
/* Where what was found begins. */
#define TEXT_COLUMN 19
/* Nobody runs this before it was written. */
#define YEAR_2024 1704067200

/* Behind a word that ends one column before. */
static void print_from(const struct doctor *d, unsigned column, const char *text)
{
	struct prose p = {.screen = &d->screen, .column = column - 1, .indent = column};

	prose_print(&p, STYLE_PLAIN, " %s", text);
	prose_end(&p);
}

void doctor_find(struct doctor *d, enum result result, const char *check, const char *remedy,
		 const char *format, ...)
{
	static const char *const words[] = {"ok", "note", "BAD"};
	static const enum style styles[] = {STYLE_GOOD, STYLE_UNSURE, STYLE_BAD};
	struct json_object *o = json_object_new_object();
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	d->worst = result > d->worst ? result : d->worst;
	json_object_object_add(o, "check", json_object_new_string(check));
	json_object_object_add(o, "result", json_object_new_string(words[result]));
	json_object_object_add(o, "text", json_object_new_string(text));
	json_object_object_add(o, "remedy", *remedy ? json_object_new_string(remedy) : NULL);
	json_object_array_add(d->findings, o);
	if (d->is_json)
		return;
	screen_print(&d->screen, styles[result], "%-5s", words[result]);
	fprintf(d->screen.out, " %-12s", check);
	print_from(d, TEXT_COLUMN, text);
	if (result != RESULT_OK && *remedy) {
		fprintf(d->screen.out, "%*s->", TEXT_COLUMN, "");
		print_from(d, TEXT_COLUMN + 3, remedy);
	}
}

/* The first word of a file, or false. */
static bool read_word(const char *path, char *ret, size_t size)
{
	FILE *in = fopen(path, "re");
	bool has_read;

	if (!in)
		return false;
	has_read = fgets(ret, (int)size, in) != NULL;
	fclose(in);
	ret[strcspn(ret, " \t\n")] = '\0';
	return has_read;
}

static int read_sysctl(const char *family, const char *interface, const char *key)
{
	char path[256];
	char word[16];

	snprintf(path, sizeof(path),
		 *interface ? "/proc/sys/net/%s/conf/%s/%s" : "/proc/sys/net/%s%s/%s", family,
		 interface, key);
	return read_word(path, word, sizeof(word)) ? atoi(word) : -1;
}

static void check_privilege(struct doctor *d)
{
	unsigned long long caps = 0;
	char line[128];
	FILE *in = fopen("/proc/self/status", "re");

	while (in && fgets(line, sizeof(line), in))
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	if (in)
		fclose(in);
	if (caps >> CAP_NET_ADMIN & 1)
		doctor_find(d, RESULT_OK, "privilege", "", "CAP_NET_ADMIN is there");
	else
		doctor_find(d, RESULT_NOTE, "privilege", "run vtrunkd, and this, as root",
			    "this shell lacks CAP_NET_ADMIN; what needs it is not checked");
}

static void check_tun(struct doctor *d)
{
	static const char path[] = "/dev/net/tun";
	struct stat st;
	int fd;

	if (stat(path, &st) < 0) {
		doctor_find(d, RESULT_BAD, "tun",
			    "modprobe tun; in a container: --device /dev/net/tun", "%s: %s", path,
			    strerror(errno));
	} else if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(10, 200)) {
		doctor_find(d, RESULT_BAD, "tun", "rm /dev/net/tun; mknod /dev/net/tun c 10 200",
			    "%s is not the tunnel device", path);
	} else if ((fd = open(path, O_RDWR | O_CLOEXEC)) < 0) {
		doctor_find(d, RESULT_BAD, "tun", "chmod 0666 /dev/net/tun; kernel: CONFIG_TUN",
			    "%s: %s", path, strerror(errno));
	} else {
		close(fd);
		doctor_find(d, RESULT_OK, "tun", "", "%s can be opened", path);
	}
}

static void check_clock(struct doctor *d)
{
	time_t now = time(NULL);

	if (now < YEAR_2024)
		doctor_find(
			d, RESULT_NOTE, "clock",
			"set it (NTP); until then keep state_dir on storage that outlives a reboot",
			"the clock says %.24s: peers refuse handshakes older than the last one",
			ctime(&now));
	else
		doctor_find(d, RESULT_OK, "clock", "", "the clock is set");
}

static void check_forwarding(struct doctor *d)
{
	if (read_sysctl("ipv4", "", "ip_forward") == 0)
		doctor_find(
			d, RESULT_NOTE, "forwarding",
			"sysctl -w net.ipv4.ip_forward=1 (and net.ipv6.conf.all.forwarding=1)",
			"this machine does not forward IPv4: fine for a host, not for a router");
	else
		doctor_find(d, RESULT_OK, "forwarding", "", "IPv4 is forwarded");
}

/* Strict filtering drops what comes over the uplink that the routes would not take back. */
static void check_rp_filter(struct doctor *d, const char *interface)
{
	int all = read_sysctl("ipv4", "all", "rp_filter");
	int own = read_sysctl("ipv4", interface, "rp_filter");
	char remedy[256];

	/* The greater of the two is in force. */
	if ((own > all ? own : all) != 1)
		return;
	snprintf(remedy, sizeof(remedy), "sysctl -w net.ipv4.conf.%s.rp_filter=2", interface);
	doctor_find(d, RESULT_BAD, "rp_filter", remedy,
		    "%s is filtered strictly: answers over it may be dropped", interface);
}

static unsigned mtu_of(const char *interface)
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool is_known;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	is_known = fd >= 0 && ioctl(fd, SIOCGIFMTU, &request) == 0;
	if (fd >= 0)
		close(fd);
	return is_known ? (unsigned)request.ifr_mtu : 0;
}

static void check_mtu(struct doctor *d, const char *interface, unsigned tunnel_mtu)
{
	unsigned mtu = mtu_of(interface);
	char remedy[64];

	if (!mtu || tunnel_mtu + OVERHEAD <= mtu)
		return;
	snprintf(remedy, sizeof(remedy), "mtu = %u in [network]", mtu - OVERHEAD);
	doctor_find(
		d, RESULT_NOTE, "mtu", remedy,
		"%s carries %u bytes; full packets of the tunnel (%u) do not fit with IPv6 and are "
		"cut, or lost",
		interface, mtu, tunnel_mtu);
}

/* The interface that has this address; false if none has. */
static bool find_holder(const struct addr *a, char ret[IFNAMSIZ])
{
	struct ifaddrs *all;
	bool is_found = false;

	if (getifaddrs(&all) < 0)
		return false;
	for (struct ifaddrs *i = all; i && !is_found; i = i->ifa_next) {
		struct addr own = {0};

		if (!i->ifa_addr || i->ifa_addr->sa_family != a->sa.sa_family)
			continue;
		memcpy(&own, i->ifa_addr,
		       a->sa.sa_family == AF_INET ? sizeof(own.v4) : sizeof(own.v6));
		is_found = a->sa.sa_family == AF_INET
				   ? own.v4.sin_addr.s_addr == a->v4.sin_addr.s_addr
				   : IN6_ARE_ADDR_EQUAL(&own.v6.sin6_addr, &a->v6.sin6_addr);
		if (is_found)
			snprintf(ret, IFNAMSIZ, "%s", i->ifa_name);
	}
	freeifaddrs(all);
	return is_found;
}

/* The interface that the routes choose for what goes there with that mark. */
static bool find_way(const char *remote, uint32_t mark, char ret[IFNAMSIZ])
{
	struct addr to, from;
	socklen_t len = sizeof(from);
	bool is_found;
	int fd;

	if (addr_parse(&to, remote, 0) < 0)
		return false;
	fd = socket(to.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	memset(&from, 0, sizeof(from));
	is_found = (!mark || setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == 0) &&
		   connect(fd, &to.sa, addr_len(&to)) == 0 &&
		   getsockname(fd, &from.sa, &len) == 0 && find_holder(&from, ret);
	close(fd);
	return is_found;
}

static bool is_tunnel(const struct doctor *d, const char *interface)
{
	struct json_object *network;

	for (size_t i = 0; (network = field_entry(d->status, "networks", i)); i++)
		if (!strcmp(field_text(network, "interface", "").s, interface))
			return true;
	return !strncmp(interface, "wg", 2) || !strncmp(interface, "tun", 3) ||
	       !strncmp(interface, "tailscale", 9);
}

/* What is switched off is no finding. */
static bool lacks(struct json_object *link, const char *offload, const char *setting)
{
	return !field_bool(link, offload) && strcmp(field_text(link, setting, "").s, "off") != 0;
}

static void check_offloads(struct doctor *d, struct json_object *link, const struct text *name)
{
	bool lacks_gso = lacks(link, "gso", "gso_setting");

	if (lacks_gso && field_count(link, "gso_refused"))
		doctor_find(d, RESULT_NOTE, "offloads",
			    "IPsec on the way, or a device without checksums (ethtool -k)?",
			    "link %s: the kernel refuses UDP_SEGMENT there: more CPU for each byte",
			    name->s);
	else if (lacks_gso || lacks(link, "gro", "gro_setting"))
		doctor_find(d, RESULT_NOTE, "offloads",
			    "a newer kernel; ethtool -K the device gso on gro on",
			    "link %s works without %s: more CPU for each byte", name->s,
			    lacks_gso ? "UDP_SEGMENT" : "UDP_GRO");
}

static void check_link(struct doctor *d, struct json_object *network, struct json_object *link)
{
	struct text name = field_text(link, "name", "-");
	struct text device = field_text(link, "device", "");
	struct json_object *error = field_object(link, "last_error");

	if (!field_bool(link, "open"))
		doctor_find(d, RESULT_BAD, "link",
			    field_count(error, "errno") == EADDRINUSE
				    ? "another port in bind = ..., or end what has it (ss -ulpn)"
				    : "is the device there, has it the address of bind = ...?",
			    "link %s has no socket: %s", name.s,
			    field_text(error, "text", "no reason known").s);
	else
		check_offloads(d, link, &name);
	if (!*device.s)
		return;
	check_rp_filter(d, device.s);
	check_mtu(d, device.s, (unsigned)field_count(network, "mtu"));
}

static struct json_object *find_link(struct json_object *network, const char *name)
{
	struct json_object *l;

	for (size_t i = 0; (l = field_entry(network, "links", i)); i++)
		if (!strcmp(field_text(l, "name", "").s, name))
			return l;
	return NULL;
}

/* A link without a device goes where the routes lead: never into a tunnel, least of all its own. */
static void check_path(struct doctor *d, struct json_object *network, struct json_object *path)
{
	struct text link = field_text(path, "link", "-");
	struct text remote = field_text(path, "remote", "");
	struct json_object *l = find_link(network, link.s);
	uint32_t mark = (uint32_t)field_count(l, "fwmark");
	char interface[IFNAMSIZ];
	char back[IFNAMSIZ];

	if (*field_text(l, "device", "").s || !*remote.s || !find_way(remote.s, mark, interface))
		return;
	/* Answers have no mark, and the filter asks where they would go back to. */
	if (mark && find_way(remote.s, 0, back) && strcmp(back, interface) != 0)
		check_rp_filter(d, interface);
	if (is_tunnel(d, interface))
		doctor_find(d, RESULT_BAD, "routes",
			    "device = ... in [link], or a route to the endpoint outside the tunnel",
			    "link %s: the route to %s leads through %s, a tunnel", link.s, remote.s,
			    interface);
	else
		check_mtu(d, interface, (unsigned)field_count(network, "mtu"));
}

/* Its address with the length of its subnet; false for other families. */
static bool subnet_of(const struct ifaddrs *i, struct prefix *ret)
{
	struct addr own = {0}, mask = {0};
	const uint8_t *bits;

	if (!i->ifa_addr || !i->ifa_netmask ||
	    (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
		return false;
	memcpy(&own, i->ifa_addr,
	       i->ifa_addr->sa_family == AF_INET ? sizeof(own.v4) : sizeof(own.v6));
	memcpy(&mask, i->ifa_netmask, addr_len(&own));
	if (!addr_host(&own, ret))
		return false;
	bits = ret->family == AF_INET ? (uint8_t *)&mask.v4.sin_addr
				      : (uint8_t *)&mask.v6.sin6_addr;
	for (unsigned n = ret->len / 8U; n-- > 0;)
		ret->len = (uint8_t)(ret->len - (8 - __builtin_popcount(bits[n])));
	return true;
}

/* An interface may have come into the tunnel's subnet after the start, by DHCP. */
static void check_subnet(struct doctor *d, const char *interface, const struct prefix *subnet,
			 const char *address)
{
	struct prefix other;
	struct ifaddrs *all;

	if (getifaddrs(&all) < 0)
		return;
	for (struct ifaddrs *i = all; i; i = i->ifa_next)
		if (strcmp(i->ifa_name, interface) != 0 && subnet_of(i, &other) &&
		    other.len == subnet->len && prefix_covers(subnet, &other))
			doctor_find(d, RESULT_NOTE, "addresses",
				    "another address = ... in [network], at both ends",
				    "%s is in the subnet of %s of %s as well: what is meant for "
				    "the tunnel may go there",
				    i->ifa_name, address, interface);
	freeifaddrs(all);
}

static void check_addresses(struct doctor *d, struct json_object *network)
{
	struct json_object *all = json_object_object_get(network, "addresses");
	struct prefix subnet;

	for (size_t i = 0;
	     json_object_is_type(all, json_type_array) && i < json_object_array_length(all); i++) {
		const char *text = json_object_get_string(json_object_array_get_idx(all, i));

		if (text && prefix_parse(&subnet, text) == 0)
			check_subnet(d, field_text(network, "interface", "").s, &subnet, text);
	}
}

static void check_network(struct doctor *d, struct json_object *network)
{
	struct text name = field_text(network, "name", "-");
	struct json_object *link, *peer, *path;

	if (strcmp(field_text(network, "state", "active").s, "error") == 0)
		doctor_find(d, RESULT_BAD, "network", "the log has the details", "network %s: %s",
			    name.s, field_text(network, "reason", "failed").s);
	check_addresses(d, network);
	for (size_t i = 0; (link = field_entry(network, "links", i)); i++)
		check_link(d, network, link);
	for (size_t i = 0; (peer = field_entry(network, "peers", i)); i++)
		for (size_t k = 0; (path = field_entry(peer, "paths", k)); k++)
			check_path(d, network, path);
}

static void check_daemon(struct doctor *d, const struct options *o)
{
	struct problem problem;
	struct json_object *network;
	struct json_object *warnings;

	d->status = ask_status(o, &problem);
	if (!d->status) {
		doctor_find(d, RESULT_BAD, "daemon",
			    "systemctl start vtrunkd, or service vtrunkd start", "%s",
			    problem.text);
		return;
	}
	doctor_find(d, RESULT_OK, "daemon", "", "vtrunkd %s answers",
		    field_text(d->status, "version", "?").s);
	warnings = json_object_object_get(d->status, "warnings");
	for (size_t i = 0; json_object_is_type(warnings, json_type_array) &&
			   i < json_object_array_length(warnings);
	     i++)
		doctor_find(d, RESULT_NOTE, "start", "", "%s",
			    json_object_get_string(json_object_array_get_idx(warnings, i)));
	for (size_t i = 0; (network = field_entry(d->status, "networks", i)); i++)
		check_network(d, network);
}

int doctor_run(const struct options *o)
{
	struct doctor d = {.screen = show_screen(stdout),
			   .is_json = o->is_json,
			   .findings = json_object_new_array()};

	check_privilege(&d);
	check_tun(&d);
	check_clock(&d);
	check_forwarding(&d);
	doctor_check_files(&d, o->n_operands ? o->operands[0] : NULL);
	check_daemon(&d, o);
	if (o->is_json)
		print_json(stdout, d.findings);
	json_object_put(d.findings);
	json_object_put(d.status);
	return finish_output() == EXIT_SUCCESS && d.worst < RESULT_BAD ? EXIT_SUCCESS
								       : EXIT_FAILURE;
}
