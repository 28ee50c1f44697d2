/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What vtrunkctl shows: the table from a status, to the letter; and the parts it is made of. */
#include "check_main.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "util/drops.h"
#include "vtrunkctl/complete.h"
#include "vtrunkctl/options.h"
#include "vtrunkctl/render.h"
#include "vtrunkctl/table.h"
#include "vtrunkctl/text.h"
#include "vtrunkctl/watch.h"

static const char status_text[] =
	"{'schema':1,'version':'0.1.0','pid':1,'networks':[{"
	"'name':'default','interface':'tun0','addresses':['10.10.0.2/24','fd10::2/"
	"64'],'mode':'aggregate','mtu':1420,'aead':'ipsec-mb',"
	"'offloads':{'tso':true,'uso':false},"
	"'public_key':'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=',"
	"'drops':{'rx_bad_mac1':3,'rx_replay':0,'some_new_reason':1},"
	"'rules':[{'name':'calls','packets':1500,'bytes':240000,'elsewhere_bytes':800},"
	"{'name':null,'packets':0,'bytes':0,'elsewhere_bytes':0}],"
	"'links':["
	"{'name':'fibre','device':'eth0','local':'192.168.1.20:40001','open':true,'gso':true,'gro':"
	"true,"
	"'last_error':null,'tx_bytes':1214000000,'rx_bytes':34500000,'drops':{'tx_ring_full':120}},"
	"{'name':'lte/5g','device':'wwan0','local':null,'open':false,"
	"'last_error':{'errno':19,'text':'No such device'},'tx_bytes':999,'rx_bytes':0}],"
	"'peers':["
	"{'name':'vps','public_key':'BBBB','session':true,'multilink':true,"
	"'handshake_age_s':42.125,'allowed_ips':['0.0.0.0/0','::/0'],"
	"'tx_bytes':1160000000,'rx_bytes':33000000,"
	"'reseq':{'in_order':1234567,'held':12,'released_late':3,'proven_lost':1,'deadlines':0,"
	"'hold_us':45000},"
	"'resend':{'packets':200,'bytes':290400,'refused':1},"
	"'copied':{'packets':40,'bytes':5200,'refused':2},"
	"'paths':["
	"{'link':'fibre','remote':'203.0.113.1:51820','state':'up','active':true,'weight':4,"
	"'role':'primary','poor':false,'held_s':null,'mtu':1492,"
	"'rtt_us':12345,'tx_loss':0,'rx_loss':0.0012,'tx_bps':85300000,'rx_bps':1200000,"
	"'tx_bytes':1214000000,'rx_bytes':34500000},"
	"{'link':'lte/5g','remote':'203.0.113.1:51820','state':'down','active':false,'weight':1,"
	"'role':'backup','poor':false,'held_s':null,'mtu':null,"
	"'rtt_us':null,'tx_loss':null,'rx_loss':null,'tx_bps':0,'rx_bps':0,"
	"'tx_bytes':0,'rx_bytes':0}]},"
	"{'name':'phone','public_key':'CCCC','session':false,'multilink':false,"
	"'handshake_age_s':7505.0,'allowed_ips':['10.0.0.9/32'],'tx_bytes':0,'rx_bytes':0,"
	"'reseq':{'in_order':0,'held':0},'paths':[]}"
	"]}]}";

/* clang-format off */
static const char expected_text[] =
	"network default: tun0, aggregate, mtu 1420, AEAD ipsec-mb, TSO\n"
	"  key AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
	"  address 10.10.0.2/24, fd10::2/64\n"
	"\n"
	"  link    state   local               device  offload       tx       rx  last error\n"
	"  fibre   open    192.168.1.20:40001  eth0    gso gro  1.21 GB  34.5 MB\n"
	"  lte/5g  closed  -                   wwan0   -          999 B      0 B  No such device\n"
	"\n"
	"peer vps: session 42 s old, multilink, tx 1.16 GB, rx 33.0 MB\n"
	"  key BBBB\n"
	"  allowed 0.0.0.0/0, ::/0\n"
	"\n"
	"                                                     rtt   loss %    Mbit/s            total\n"
	"    path    remote             state  weight   mtu    ms   tx  rx    tx  rx       tx      rx\n"
	"  * fibre   203.0.113.1:51820  up          4  1492  12.3  0.0 0.1  85.3 1.2  1.21 GB 34.5 MB\n"
	"    lte/5g  203.0.113.1:51820  down   backup     -     -    -   -   0.0 0.0      0 B     0 B\n"
	"  reordering: 1.23 M in order, 12 held, 3 late, 1 lost, 0 deadlines of 45.0 ms\n"
	"  sent again: 200 packets, 290 kB, 1 refused\n"
	"  sent twice, as urgent: 40 packets, 5.20 kB, 2 refused\n"
	"\n"
	"peer phone: last handshake 2 h 5 min ago, stock WireGuard, tx 0 B, rx 0 B\n"
	"  key CCCC\n"
	"  allowed 10.0.0.9/32\n"
	"\n"
	"  rule   packets   bytes  elsewhere\n"
	"  calls     1500  240 kB      800 B\n"
	"\n"
	"  dropped  on       why\n"
	"        3  network  handshake message not meant for this key\n"
	"        1  network  some_new_reason\n"
	"      120  fibre    link's queue full\n";
/* clang-format on */

static struct json_object *status;

/* JSON with single quotes, which are easier to read in C. */
static struct json_object *parse(const char *text)
{
	char buf[8192];
	struct json_object *o;

	ck_assert_uint_lt(strlen(text), sizeof(buf));
	strcpy(buf, text);
	for (char *c = buf; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	o = json_tokener_parse(buf);
	ck_assert_ptr_nonnull(o);
	return o;
}

static void make_status(void)
{
	status = parse(status_text);
}

static void put_status(void)
{
	json_object_put(status);
}

static unsigned columns = SCREEN_WIDTH;

/* The caller frees it. */
static char *render(struct json_object *o, bool has_color)
{
	struct screen screen = {.has_color = has_color, .width = columns};
	char *text = NULL;
	size_t len;

	screen.out = open_memstream(&text, &len);
	render_status(&screen, o);
	fclose(screen.out);
	return text;
}

static void expect_rendering(struct json_object *o, const char *expected)
{
	char *text = render(o, false);

	ck_assert_str_eq(text, expected);
	free(text);
}

static struct json_object *first(struct json_object *o, const char *key)
{
	return json_object_array_get_idx(json_object_object_get(o, key), 0);
}

static struct json_object *path_of(struct json_object *o, size_t i)
{
	struct json_object *peer = first(first(o, "networks"), "peers");

	return json_object_array_get_idx(json_object_object_get(peer, "paths"), i);
}

START_TEST(status_is_a_readable_page)
{
	columns = 100;
	expect_rendering(status, expected_text);
	columns = SCREEN_WIDTH;
}
END_TEST

START_TEST(color_changes_nothing_but_color)
{
	char *colored = render(status, true);
	char *plain = render(status, false);
	char *out = colored;

	ck_assert_ptr_nonnull(strstr(colored, "\033[32mup\033[0m"));
	ck_assert_ptr_nonnull(strstr(colored, "\033[31mdown\033[0m"));
	for (const char *in = colored; *in;) {
		if (*in == '\033')
			in += strcspn(in, "m") + 1;
		else
			*out++ = *in++;
	}
	*out = '\0';
	ck_assert_str_eq(colored, plain);
	ck_assert_ptr_null(strchr(plain, '\033'));
	free(colored);
	free(plain);
}
END_TEST

static void set_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static void set_count(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

/* The worst that each field can hold. */
static void make_wide(void)
{
	static const char name[] =
		"an-uplink-with-a-name-as-long-as-the-configuration-allows-it-12";
	static const char addr[] = "[2001:db8:1234:5678:9abc:def0:1234:5678]:51820";
	struct json_object *network = first(status, "networks");
	struct json_object *peer = first(network, "peers");
	struct json_object *link = first(network, "links");
	struct json_object *ips = json_object_object_get(peer, "allowed_ips");
	struct json_object *reseq = json_object_object_get(peer, "reseq");
	struct json_object *path = path_of(status, 0);

	set_text(network, "name", "a-network-with-a-long-name-1234");
	set_text(network, "interface", "interface-fifte");
	set_count(network, "mtu", 65535);
	set_text(first(network, "rules"), "name", name);
	set_text(link, "name", name);
	set_text(link, "device", "interface-fifte");
	set_text(link, "local", addr);
	json_object_object_add(link, "last_error",
			       parse("{'text':'Transport endpoint is already connected'}"));
	set_count(link, "tx_bytes", 999400000000);
	set_text(peer, "name", name);
	json_object_object_add(peer, "session", json_object_new_boolean(false));
	set_count(peer, "handshake_age_s", 999 * 86400);
	set_count(peer, "tx_bytes", 999400000000);
	set_count(peer, "rx_bytes", 999400000000);
	json_object_object_add(peer, "multilink", json_object_new_boolean(false));
	for (int i = 0; i < 300; i++)
		json_object_array_add(ips, json_object_new_string("2001:db8:1234:5678::/64"));
	json_object_object_foreach(reseq, key, value)
	{
		(void)value;
		set_count(reseq, key, 123456789012);
	}
	set_count(reseq, "hold_us", 1000000);
	set_text(path, "link", name);
	set_text(path, "remote", addr);
	set_text(path, "state", "probing");
	set_count(path, "weight", 1000);
	set_count(path, "mtu", 65535);
	set_count(path, "rtt_us", 9999999);
	set_count(path, "tx_loss", 1);
	set_count(path, "rx_loss", 1);
	set_count(path, "tx_bps", 99999900000);
	set_count(path, "rx_bps", 99999900000);
	set_count(path, "tx_bytes", 999400000000);
	set_count(path, "rx_bytes", 999400000000);
	set_count(path_of(status, 1), "rtt_us", 100);
	json_object_object_add(path_of(status, 1), "active", json_object_new_boolean(true));
}

START_TEST(what_keeps_a_path_from_being_used_is_said)
{
	struct json_object *link = first(first(status, "networks"), "links");
	char *text;

	json_object_object_add(path_of(status, 0), "poor", json_object_new_boolean(true));
	json_object_object_add(path_of(status, 1), "held_s", json_object_new_double(12.5));
	json_object_object_add(link, "carrier", json_object_new_boolean(false));
	text = render(status, false);
	ck_assert_ptr_nonnull(strstr(text, " poor "));
	ck_assert_ptr_nonnull(strstr(text, " held 12 s "));
	ck_assert_ptr_nonnull(strstr(text, " no carrier "));
	free(text);
}
END_TEST

static void expect_lines_that_fit(char *text)
{
	for (char *line = strsep(&text, "\n"); line; line = strsep(&text, "\n")) {
		ck_assert_msg(text_width(line) <= columns, "%u: %s", text_width(line), line);
		ck_assert_msg(!*line || line[strlen(line) - 1] != ' ', "blank at the end: %s",
			      line);
	}
}

START_TEST(lower_effort_is_told_of_once_it_is_sent)
{
	struct json_object *rules = json_object_object_get(first(status, "networks"), "rules");
	char *text = render(status, false);

	ck_assert_ptr_null(strstr(text, "lower effort"));
	free(text);
	set_count(json_object_array_get_idx(rules, 1), "packets", 7);
	text = render(status, false);
	ck_assert_ptr_nonnull(strstr(text, "  (lower effort)        7 "));
	free(text);
}
END_TEST

START_TEST(no_line_is_wider_than_the_screen)
{
	static const unsigned widths[] = {SCREEN_WIDTH, 100, 200};

	make_wide();
	for (size_t i = 0; i < sizeof(widths) / sizeof(*widths); i++) {
		char *text;

		columns = widths[i];
		text = render(status, false);
		expect_lines_that_fit(text);
		free(text);
	}
	columns = SCREEN_WIDTH;
}
END_TEST

/* The caller frees it. */
static char *write_prose(unsigned width, const char *words)
{
	struct screen screen = {.width = width};
	struct prose p = {.screen = &screen, .indent = 2};
	char *text = NULL;
	size_t len;

	screen.out = open_memstream(&text, &len);
	prose_print(&p, STYLE_PLAIN, "a: ");
	prose_print(&p, STYLE_PLAIN, "%s", words);
	prose_print(&p, STYLE_PLAIN, ", ");
	prose_end(&p);
	fclose(screen.out);
	return text;
}

START_TEST(prose_ends_its_lines_between_words)
{
	static const struct {
		unsigned width;
		const char *words, *text;
	} cases[] = {
		{80, "b c", "a: b c,\n"},
		{8, "bcd  efg", "a: bcd\n  efg,\n"},
		{8, "b  c", "a: b  c,\n"},
		{8, "longer-than-the-line b", "a: longer-than-the-line\n  b,\n"},
		{200,
		 "1234567890 1234567890 1234567890 1234567890 1234567890 1234567890 1234567890 1",
		 "a: 1234567890 1234567890 1234567890 1234567890 1234567890 1234567890 1234567890\n"
		 "  1,\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *text = write_prose(cases[i].width, cases[i].words);

		ck_assert_str_eq(text, cases[i].text);
		free(text);
	}
}
END_TEST

START_TEST(narrow_terminal_has_less_and_that_whole)
{
	char *text;

	text = render(status, false);
	ck_assert_ptr_null(strstr(text, "total"));
	ck_assert_ptr_nonnull(strstr(text, " mtu "));
	ck_assert_ptr_nonnull(strstr(text, "  * fibre   203.0.113.1:51820  up  "));
	expect_lines_that_fit(text);
	free(text);
}
END_TEST

/* Is the warning of S1-42 there when both paths are active and have these times? */
static bool warns(unsigned rtt_us_a, unsigned rtt_us_b)
{
	char *text;
	bool is_there;

	set_count(path_of(status, 0), "rtt_us", rtt_us_a);
	set_count(path_of(status, 1), "rtt_us", rtt_us_b);
	text = render(status, false);
	is_there = strstr(text, "warning: round-trip times") != NULL;
	free(text);
	return is_there;
}

START_TEST(round_trip_times_far_apart_are_warned_of)
{
	json_object_object_add(path_of(status, 1), "active", json_object_new_boolean(true));
	ck_assert(warns(12000, 310000));
	ck_assert(warns(310000, 12000));
	ck_assert(!warns(1000, 50000));	   /* far in ratio, near in time */
	ck_assert(!warns(100000, 390000)); /* the other way round */
	ck_assert(!warns(12000, 12000));
}
END_TEST

START_TEST(standby_paths_and_other_modes_are_not_warned_of)
{
	ck_assert(!warns(12000, 310000));
	json_object_object_add(path_of(status, 1), "active", json_object_new_boolean(true));
	ck_assert(warns(12000, 310000));
	set_text(first(status, "networks"), "mode", "auto");
	ck_assert(warns(12000, 310000));
	set_text(first(status, "networks"), "mode", "redundant");
	ck_assert(!warns(12000, 310000));
}
END_TEST

START_TEST(names_cannot_command_the_terminal)
{
	char *text;

	set_text(path_of(status, 0), "link", "\033[2J\a\xc2\x9b\x7fx");
	text = render(status, false);
	ck_assert_ptr_nonnull(strstr(text, "* ?[2J???x "));
	ck_assert_ptr_null(strpbrk(text, "\033\a\x7f\x9b"));
	free(text);
}
END_TEST

START_TEST(what_is_missing_or_of_another_type_is_no_harm)
{
	static const char *const texts[] = {
		"{}",
		"{'networks':7}",
		"{'networks':[null,7]}",
		"{'networks':[7]}",
		"{'networks':[{}]}",
		"{'networks':[{'links':[{}],'peers':[{}],'drops':[]}]}",
		"{'networks':[{'links':[7],'peers':[7],'drops':{'x':'y'}}]}",
		"{'networks':[{'peers':[{'paths':[{}],'allowed_ips':[7],'reseq':3}]}]}",
		"{'networks':[{'mode':'aggregate','peers':[{'paths':[3,{'rtt_us':'x'}]}]}]}",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct json_object *o = parse(texts[i]);

		free(render(o, false));
		json_object_put(o);
	}
}
END_TEST

START_TEST(bytes_have_three_digits)
{
	ck_assert_str_eq(text_bytes(0).s, "0 B");
	ck_assert_str_eq(text_bytes(999).s, "999 B");
	ck_assert_str_eq(text_bytes(1000).s, "1.00 kB");
	ck_assert_str_eq(text_bytes(9994).s, "9.99 kB");
	ck_assert_str_eq(text_bytes(9996).s, "10.0 kB");
	ck_assert_str_eq(text_bytes(99960).s, "100 kB");
	ck_assert_str_eq(text_bytes(999499).s, "999 kB");
	ck_assert_str_eq(text_bytes(999500).s, "1.00 MB");
	ck_assert_str_eq(text_bytes(1214000000).s, "1.21 GB");
	ck_assert_str_eq(text_bytes(UINT64_MAX).s, "18.4 EB");
	ck_assert_str_eq(text_count(99999).s, "99999");
	ck_assert_str_eq(text_count(100000).s, "100 k");
}
END_TEST

START_TEST(times_are_told_in_fitting_units)
{
	ck_assert_str_eq(text_duration(0.9).s, "0 s");
	ck_assert_str_eq(text_duration(119.9).s, "119 s");
	ck_assert_str_eq(text_duration(120).s, "2 min");
	ck_assert_str_eq(text_duration(7200).s, "2 h 0 min");
	ck_assert_str_eq(text_duration(86400 * 2 + 3600).s, "2 d 1 h");
	ck_assert_str_eq(text_duration(-5).s, "0 s");
	ck_assert_str_eq(text_duration(1e300).s, "0 s");
	ck_assert_str_eq(text_ms(40).s, "0.04");
	ck_assert_str_eq(text_ms(9994).s, "9.99");
	ck_assert_str_eq(text_ms(12345).s, "12.3");
}
END_TEST

START_TEST(long_text_is_shortened_in_the_middle)
{
	ck_assert_str_eq(text_shorten("abcdefghij", 10).s, "abcdefghij");
	ck_assert_str_eq(text_shorten("abcdefghij", 9).s, "abc..ghij");
	ck_assert_str_eq(text_shorten("abcdefghij", 2).s, "ab");
	ck_assert_str_eq(text_shorten("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f", 4).s,
			 "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f");
	ck_assert_str_eq(text_shorten("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9fxyz", 5).s, "\xc3\xa4..yz");
	ck_assert_uint_eq(text_width("\xc3\xa4\xff\xe2\x82\xac"), 3);
}
END_TEST

static char *watch_text(const char *frame, bool is_terminal, unsigned rows, bool is_first)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	watch_show(out, frame, is_terminal, rows, is_first);
	fclose(out);
	return text;
}

static void expect_watch(const char *frame, bool is_terminal, unsigned rows, bool is_first,
			 const char *expected)
{
	char *text = watch_text(frame, is_terminal, rows, is_first);

	ck_assert_str_eq(text, expected);
	free(text);
}

#define FRAME_AB "\033[?7l\033[Ha\033[K\nb\033[K\n\033[J\033[?7h"

START_TEST(frames_lie_over_each_other_on_a_terminal)
{
	expect_watch("a\nb\n", true, 24, true, "\033[2J" FRAME_AB);
	expect_watch("a\nb\n", true, 24, false, FRAME_AB);
	expect_watch("a\nb\nc\nd\n", true, 3, false, FRAME_AB);
}
END_TEST

START_TEST(frames_follow_each_other_in_a_pipe)
{
	expect_watch("a\nb\n", false, 2, true, "a\nb\n");
	expect_watch("a\nb\n", false, 2, false, "\na\nb\n");
}
END_TEST

/* The outcome for a command line of words between blanks; messages go nowhere. */
static enum options_outcome parse_line(struct options *ret, const char *line)
{
	static char words[256];
	char *argv[16];
	int argc = 0;
	char *rest = words;

	snprintf(words, sizeof(words), "vtrunkctl %s", line);
	while ((argv[argc] = strsep(&rest, " ")))
		argc++;
	optind = 0;
	opterr = 0;
	return options_parse(ret, argc, argv);
}

START_TEST(options_are_understood_before_and_after_the_command)
{
	struct options o;

	ck_assert_int_eq(parse_line(&o, "status"), OPTIONS_RUN);
	ck_assert_ptr_nonnull(strstr(o.socket_path, "/vtrunkd.sock"));
	ck_assert_ptr_null(o.network);
	ck_assert(!o.is_json && !o.is_watch);
	ck_assert_int_eq(o.interval, NSEC_PER_SEC);

	ck_assert_int_eq(parse_line(&o, "-s /x -n home --json status --watch -i 0.5"), OPTIONS_RUN);
	ck_assert_str_eq(o.socket_path, "/x");
	ck_assert_str_eq(o.network, "home");
	ck_assert(o.is_json && o.is_watch);
	ck_assert_int_eq(o.interval, NSEC_PER_SEC / 2);
}
END_TEST

START_TEST(wrong_usage_is_refused)
{
	static const char *const lines[] = {
		"-q status",
		"dance",
		"status now",
		"-i 0 status",
		"-i nan status",
		"-i 1x status",
		"-i 1e9 status",
		"--interval= status",
		"-s",
	};
	struct options o;

	/* Its explanations are not this test's output. */
	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		ck_assert_int_eq(parse_line(&o, lines[i]), OPTIONS_WRONG);
}
END_TEST

/* Every key of a section of the manual is offered, and no other. */
static void expect_keys_of_manual(const char *heading, const char *const *keys)
{
	char line[512];
	char path[512];
	bool is_there = false;
	size_t n = 0, n_found = 0;
	FILE *in;

	snprintf(path, sizeof(path), "%s/vtrunkd.conf.5", getenv("MANUALS"));
	in = fopen(path, "r");
	ck_assert_ptr_nonnull(in);
	while (keys[n])
		n++;
	while (fgets(line, sizeof(line), in)) {
		size_t len;

		if (!strncmp(line, ".Sh ", 4))
			is_there = !strncmp(line + 4, heading, strlen(heading));
		if (!is_there || strncmp(line, ".It Ic ", 7) != 0)
			continue;
		len = strcspn(line + 7, " \n");
		for (size_t i = 0; i < n; i++)
			n_found += !strncmp(keys[i], line + 7, len) && keys[i][len] == '=';
	}
	fclose(in);
	ck_assert_uint_eq(n_found, n);
}

/* A heading of the manual has the words of that command, alone or with others of its first word. */
static bool is_in_manual(FILE *in, const char *words)
{
	const char *second = strchr(words, ' ');
	size_t first_len = strcspn(words, " ");
	char line[512];

	rewind(in);
	while (fgets(line, sizeof(line), in)) {
		const char *at = strstr(line, ".SS ") == line ? line : "";

		while ((at = strstr(at, "vtrunkctl "))) {
			at += strlen("vtrunkctl ");
			if (!strncmp(at, words, first_len) && (!second || strstr(at, second + 1)))
				return true;
		}
	}
	return false;
}

/* As `name`: that is how both tables write it. */
static void expect_drop_reasons(const char *document)
{
	static char text[1 << 17];
	char path[512];
	char item[64];
	FILE *in;

	snprintf(path, sizeof(path), "%s/../%s", getenv("MANUALS"), document);
	in = fopen(path, "r");
	ck_assert_ptr_nonnull(in);
	text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
	fclose(in);
	for (enum drop_reason i = 0; i < DROP_REASON_COUNT; i++) {
		snprintf(item, sizeof(item), "`%s`", drop_reason_name(i));
		ck_assert_msg(strstr(text, item), "%s: no %s", document, item);
	}
}

START_TEST(documents_have_every_drop_reason)
{
	expect_drop_reasons("control.md");
	expect_drop_reasons("architecture.md");
}
END_TEST

START_TEST(manual_has_every_command)
{
	char path[512];
	FILE *in;

	snprintf(path, sizeof(path), "%s/vtrunkctl.8", getenv("MANUALS"));
	in = fopen(path, "r");
	ck_assert_ptr_nonnull(in);
	for (const struct command *c = commands; c->words; c++)
		ck_assert_msg(c->is_hidden || is_in_manual(in, c->words), "%s", c->words);
	ck_assert(!is_in_manual(in, "link dance"));
	fclose(in);
}
END_TEST

START_TEST(help_fits_a_terminal)
{
	for (const struct command *c = commands; c->words; c++)
		ck_assert_msg(c->is_hidden || strlen(c->help) <= 80 - 32, "%s", c->help);
}
END_TEST

START_TEST(completion_offers_the_keys_of_the_manual)
{
	expect_keys_of_manual("KEYS OF [LINK", complete_link_keys);
	expect_keys_of_manual("KEYS OF [PEER", complete_peer_keys);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("vtrunkctl");
	TCase *page = tcase_create("page");
	TCase *parts = tcase_create("parts");

	tcase_add_checked_fixture(page, make_status, put_status);
	tcase_add_test(page, status_is_a_readable_page);
	tcase_add_test(page, color_changes_nothing_but_color);
	tcase_add_test(page, what_keeps_a_path_from_being_used_is_said);
	tcase_add_test(page, lower_effort_is_told_of_once_it_is_sent);
	tcase_add_test(page, no_line_is_wider_than_the_screen);
	tcase_add_test(page, prose_ends_its_lines_between_words);
	tcase_add_test(page, narrow_terminal_has_less_and_that_whole);
	tcase_add_test(page, round_trip_times_far_apart_are_warned_of);
	tcase_add_test(page, standby_paths_and_other_modes_are_not_warned_of);
	tcase_add_test(page, names_cannot_command_the_terminal);
	tcase_add_test(page, what_is_missing_or_of_another_type_is_no_harm);
	suite_add_tcase(suite, page);

	tcase_add_test(parts, bytes_have_three_digits);
	tcase_add_test(parts, times_are_told_in_fitting_units);
	tcase_add_test(parts, long_text_is_shortened_in_the_middle);
	tcase_add_test(parts, frames_lie_over_each_other_on_a_terminal);
	tcase_add_test(parts, frames_follow_each_other_in_a_pipe);
	tcase_add_test(parts, options_are_understood_before_and_after_the_command);
	tcase_add_test(parts, wrong_usage_is_refused);
	tcase_add_test(parts, documents_have_every_drop_reason);
	tcase_add_test(parts, manual_has_every_command);
	tcase_add_test(parts, help_fits_a_terminal);
	tcase_add_test(parts, completion_offers_the_keys_of_the_manual);
	suite_add_tcase(suite, parts);
	return suite;
}
