/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/rule_script.h"
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glob.h>
#include <string.h>
#include "lib/strbuf.h"
#include "openflow/field.h"
#include "openflow/rule_text.h"

static struct rule_script_errors errors;

static int parse(const char *text, struct rule_script *script)
{
	return rule_script_parse("rules.txt", text, strlen(text), false, NULL, script, &errors);
}

static void test_lines(void **state UNUSED)
{
	static const char text[] = "# a web server\n"
				   "\n"
				   "  \t\r\n"
				   "priority=10,tcp,tp_dst=80 actions=output:2 # its port\r\n"
				   "\tadd priority=0 actions=normal\n"
				   "delete\n"
				   "delete udp\n"
				   "delete_strict priority=3,udp\n"
				   "modify tcp actions=output:3\n"
				   "modify_strict\tpriority=10,tcp actions=drop";
	static const enum flow_mod_type types[] = {
		FLOW_MOD_ADD,	 FLOW_MOD_ADD,	   FLOW_MOD_DELETE, FLOW_MOD_DELETE,
		FLOW_MOD_DELETE_STRICT, FLOW_MOD_MODIFY, FLOW_MOD_MODIFY_STRICT,
	};
	struct rule_script script;

	assert_int_equal(parse(text, &script), 0);
	assert_int_equal(script.n, ARRAY_SIZE(types));
	for (size_t i = 0; i < script.n; i++) {
		assert_int_equal(script.mods[i].type, types[i]);
		assert_ptr_equal(script.mods[i].spec, &script.specs[i]);
	}
	assert_int_equal(script.specs[0].match.value.tp_dst, htons(80));
	assert_int_equal(script.specs[0].actions.n, 1);
	assert_int_equal(script.specs[2].match.mask.dl_type, 0);
	assert_int_equal(script.specs[4].priority, 3);
	rule_script_uninit(&script);
	assert_int_equal(script.n, 0);
	rule_script_uninit(&script);
}

static void test_empty(void **state UNUSED)
{
	struct rule_script script;

	assert_int_equal(parse("", &script), 0);
	assert_int_equal(script.n, 0);
	rule_script_uninit(&script);
	assert_int_equal(rule_script_parse("-", NULL, 0, true, NULL, &script, &errors), 0);
	assert_int_equal(parse("#\n#", &script), 0);
	assert_int_equal(script.n, 0);
}

/* a comment sign inside of quotes is a port's name */
static uint32_t get_number(void *aux UNUSED, const char *name, size_t length)
{
	return length == 3 && memcmp(name, "a#\"", 3) == 0 ? 9 : OFPORT_NONE;
}

static const char *get_name(void *aux UNUSED, uint32_t port)
{
	return port == 9 ? "a#\"" : NULL;
}

static void offer(void *aux UNUSED, struct suggest *s UNUSED)
{
}

static void test_comment_sign_in_name(void **state UNUSED)
{
	static const struct ofport_names names = {get_number, get_name, offer, NULL};
	static const char text[] = "in_port=\"a#\\\"\" actions=\"a#\\\"\",2#\"\n";
	struct rule_script script;

	assert_int_equal(rule_script_parse("-", text, strlen(text), true, &names, &script, &errors),
			 0);
	assert_int_equal(script.n, 1);
	assert_int_equal(script.specs[0].match.value.in_port, 9);
	assert_int_equal(script.specs[0].actions.n, 2);
	rule_script_uninit(&script);
}

static void test_dump_is_script(void **state UNUSED)
{
	static const char text[] =
		"NXST_FLOW reply (xid=0x4):\n"
		" cookie=0x0, duration=3.5s, table=0, n_packets=0, n_bytes=0, idle_age=3, "
		"priority=1,arp actions=NORMAL\n"
		"OFPST_FLOW reply (OF1.3) (xid=0x2):\n"
		" cookie=0x7, duration=3.5s, table=1, n_packets=9, n_bytes=540, actions=drop\n";
	struct rule_script script;

	assert_int_equal(parse(text, &script), 0);
	assert_int_equal(script.n, 2);
	assert_int_equal(script.specs[1].cookie, 7);
	assert_int_equal(script.specs[1].table_id, 1);
	rule_script_uninit(&script);
}

/* one bad line refuses all; each bad line is told with its number */
static void test_all_or_nothing(void **state UNUSED)
{
	struct rule_script script;

	assert_int_equal(parse("actions=1\n"
			       "actions=2\n"
			       "ip,nw_sr=192.0.2.1 actions=2\n"
			       "actions=3\n"
			       "actions=drpo\n", &script), -EINVAL);
	assert_null(script.specs);
	assert_int_equal(script.n, 0);
	assert_int_equal(errors.n, 2);
	assert_string_equal(errors.errors[0].text,
			    "rules.txt:3: unknown field 'nw_sr', did you mean 'nw_src'?");
	assert_string_equal(errors.errors[1].text,
			    "rules.txt:5: unknown action 'drpo', did you mean 'drop'?");
}

static void test_errors_are_bounded(void **state UNUSED)
{
	struct rule_script script;
	struct strbuf text = STRBUF_INIT;

	for (int i = 0; i < 3 * RULE_SCRIPT_ERRORS_MAX; i++)
		strbuf_puts(&text, "actions=1\nactions=\n");
	assert_int_equal(parse(strbuf_get(&text), &script), -EINVAL);
	assert_int_equal(errors.n, RULE_SCRIPT_ERRORS_MAX);
	assert_non_null(strstr(errors.errors[RULE_SCRIPT_ERRORS_MAX - 1].text, "rules.txt:20: "));
	strbuf_uninit(&text);
}

static void test_adds_only(void **state UNUSED)
{
	static const char text[] = "add actions=1\ndelete udp\n";
	struct rule_script script;

	assert_int_equal(rule_script_parse("-", text, strlen(text), true, NULL, &script, &errors),
			 -EINVAL);
	assert_int_equal(errors.n, 1);
	assert_non_null(strstr(errors.errors[0].text, "-:2: only rules that are added"));
}

static void test_hostile_lines(void **state UNUSED)
{
	static const char nul[] = "actions=1\nip\0 actions=2\n";
	struct strbuf text = STRBUF_INIT;
	struct rule_script script;

	assert_int_equal(rule_script_parse("-", nul, sizeof(nul) - 1, false, NULL, &script,
					   &errors), -EINVAL);
	assert_non_null(strstr(errors.errors[0].text, "-:2: there is a NUL byte"));

	strbuf_puts(&text, "actions=1\n");
	for (int i = 0; i <= RULE_TEXT_MAX; i++)
		strbuf_putc(&text, 'x');
	assert_int_equal(parse(strbuf_get(&text), &script), -E2BIG);
	assert_non_null(strstr(errors.errors[0].text, "rules.txt:2: the line is longer than"));
	strbuf_uninit(&text);

	assert_int_equal(parse("\xff\xfe\xfd actions=1", &script), -EINVAL);
	assert_int_equal(parse("actions=\xc3", &script), -EINVAL);
	/* CR alone ends no line */
	assert_int_equal(parse("actions=1\ractions=2", &script), -EINVAL);
}

static void test_many_rules(void **state UNUSED)
{
	struct strbuf text = STRBUF_INIT;
	struct rule_script script;

	for (int i = 0; i < 100000; i++)
		strbuf_printf(&text, "priority=%d,ip,nw_dst=10.%d.%d.%d actions=output:%d\n",
			      i % 1000, i >> 16, i >> 8 & 255, i & 255, i % 8 + 1);
	assert_int_equal(parse(strbuf_get(&text), &script), 0);
	assert_int_equal(script.n, 100000);
	assert_int_equal(script.mods[99999].spec->match.value.nw_dst,
			 htonl(0x0a000000 | 99999));
	rule_script_uninit(&script);
	strbuf_uninit(&text);
}

/* what is installed as an example is right */
static void test_examples(void **state UNUSED)
{
	const char *top = getenv("top_srcdir");
	static char text[65536];
	char pattern[4096];
	glob_t found;

	if (!top)
		skip();
	snprintf(pattern, sizeof(pattern), "%s/examples/*.flows", top);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		FILE *file = fopen(found.gl_pathv[i], "r");
		struct rule_script script;
		size_t size;

		assert_non_null(file);
		size = fread(text, 1, sizeof(text), file);
		assert_true(size > 0 && size < sizeof(text));
		fclose(file);
		if (rule_script_parse(found.gl_pathv[i], text, size, true, NULL, &script, &errors))
			fail_msg("%s", errors.errors[0].text);
		assert_true(script.n > 0);
		rule_script_uninit(&script);
	}
	globfree(&found);
}

static uint32_t get_man_number(void *aux UNUSED, const char *name, size_t length)
{
	return length == 4 && memcmp(name, "eth1", 4) == 0 ? 1 : OFPORT_NONE;
}

/* the man page names every field, and its examples are right */
static void test_man_page(void **state UNUSED)
{
	static const struct ofport_names names = {get_man_number, get_name, offer, NULL};
	const char *top = getenv("top_srcdir");
	static char text[131072];
	char path[4096], *next;
	bool is_example = false;
	size_t size, n = 0;
	FILE *file;

	if (!top)
		skip();
	snprintf(path, sizeof(path), "%s/doc/vswitch-flows.7", top);
	file = fopen(path, "r");
	assert_non_null(file);
	size = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[size] = '\0';
	for (enum field_id id = 0; id < FIELD_N_IDS; id++) {
		if (!strstr(text, field_get(id)->name))
			fail_msg("%s does not tell of %s", path, field_get(id)->name);
	}
	for (char *line = text; line; line = next) {
		struct rule_script script;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (strcmp(line, ".EX") == 0 || strcmp(line, ".EE") == 0)
			is_example = line[2] == 'X';
		else if (is_example && strstr(line, "actions=")) {
			if (rule_script_parse(path, line, strlen(line), true, &names, &script,
					      &errors))
				fail_msg("%s: %s", line, errors.errors[0].text);
			rule_script_uninit(&script);
			n++;
		}
	}
	assert_true(n >= 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_comment_sign_in_name),
		cmocka_unit_test(test_dump_is_script),
		cmocka_unit_test(test_all_or_nothing),
		cmocka_unit_test(test_errors_are_bounded),
		cmocka_unit_test(test_adds_only),
		cmocka_unit_test(test_hostile_lines),
		cmocka_unit_test(test_many_rules),
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_man_page),
	};

	return cmocka_run_group_tests_name("rule_script", tests, NULL, NULL);
}
