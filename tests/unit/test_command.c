/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "ctl/command.h"
#include "ctl/script.h"
#include "vswitchd/methods.h"

#include <errno.h>
#include <string.h>

/* Parses words divided by '|'. Returns the parameters as compact JSON, or the error's text. */
static const char *parse(const char *line)
{
	static char text[1024];
	char copy[512], *state;
	const char *words[32];
	const struct command *command;
	struct error e = ERROR_INIT;
	json_t *params;
	size_t n = 0;
	char *dump;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok_r(copy, "|", &state); word; word = strtok_r(NULL, "|", &state))
		words[n++] = word;
	if (command_parse(words, n, &command, &params, &e)) {
		snprintf(text, sizeof(text), "%s", e.text);
		return text;
	}
	dump = json_dumps(params, JSON_COMPACT | JSON_SORT_KEYS);
	snprintf(text, sizeof(text), "%s %s", command->name, dump);
	free(dump);
	json_decref(params);
	return text;
}

static void test_parameters(void **state)
{
	(void)state;
	assert_string_equal(parse("show"), "show {}");
	assert_string_equal(parse("add-br|br0"), "add-br {\"bridge\":\"br0\"}");
	assert_string_equal(parse("--may-exist|add-br|br0"),
			    "add-br {\"bridge\":\"br0\",\"may_exist\":true}");
	assert_string_equal(parse("add-br|br0|--may-exist"),
			    "add-br {\"bridge\":\"br0\",\"may_exist\":true}");
	assert_string_equal(parse("add-br|br0|local=no|mac-limit=5"),
			    "add-br {\"bridge\":\"br0\",\"options\":{\"local\":\"no\","
			    "\"mac-limit\":\"5\"}}");
	assert_string_equal(parse("add-port|br0|p0|type=mem|ofport_request=7|rx=a=b"),
			    "add-port {\"bridge\":\"br0\",\"ofport_request\":7,\"options\":"
			    "{\"rx\":\"a=b\"},\"port\":\"p0\",\"type\":\"mem\"}");
	assert_string_equal(parse("add-flow|br0|priority=5,ip|actions=drop"),
			    "add-flow {\"bridge\":\"br0\",\"rule\":\"priority=5,ip "
			    "actions=drop\"}");
	assert_string_equal(parse("del-flows|--strict|br0|tcp"),
			    "del-flows {\"bridge\":\"br0\",\"match\":\"tcp\",\"strict\":true}");
	assert_string_equal(parse("dump-cache|--worker|3"), "dump-cache {\"worker\":3}");
	assert_string_equal(parse("dump-cache|--worker=3"), "dump-cache {\"worker\":3}");
	assert_string_equal(parse("fdb-add|br0|p0|02:00:5e:00:53:01|vlan=5"),
			    "fdb-add {\"bridge\":\"br0\",\"mac\":\"02:00:5e:00:53:01\","
			    "\"port\":\"p0\",\"vlan\":5}");
	assert_string_equal(parse("attach-container|br0|123|mtu=9000|tag=4"),
			    "attach-container {\"bridge\":\"br0\",\"container\":\"123\","
			    "\"mtu\":9000,\"options\":{\"tag\":\"4\"}}");
	assert_string_equal(parse("list-ports|--|--odd"), "list-ports {\"bridge\":\"--odd\"}");
	assert_string_equal(parse("complete|--|add-port|--m"),
			    "complete {\"words\":[\"--\",\"add-port\",\"--m\"]}");
}

static void test_refusals(void **state)
{
	(void)state;
	assert_string_equal(parse("--json"), "no command is given");
	assert_string_equal(parse("ad-port"),
			    "unknown command 'ad-port', did you mean 'add-port'?");
	assert_string_equal(parse("add-br"), "add-br: BR is missing");
	assert_string_equal(parse("list-br|br0"), "list-br: 'br0' is too much");
	assert_string_equal(parse("add-br|br0|--may-exit"),
			    "add-br has no option '--may-exit', did you mean 'may-exist'?");
	assert_string_equal(parse("add-br|br0|--may-exist=1"), "--may-exist takes no value");
	assert_string_equal(parse("dump-cache|--worker"), "--worker needs a value: --worker N");
	assert_string_equal(parse("add-port|br0|p0|mem"), "'mem' is not KEY=VALUE");
	assert_string_equal(parse("add-port|br0|p0|type=a|type=b"), "'type' is given twice");
	assert_string_equal(parse("set-port|br0|p0"), "set-port: KEY=VALUE ... is missing");
	assert_string_equal(parse("add-br|\xff"), "'\xff' is not UTF-8 text");
	assert_string_equal(parse("add-flows|br0|/nowhere"),
			    "cannot open /nowhere: No such file or directory");
}

static const struct rpc_param *lookup_param(const struct rpc_method *method, const char *name)
{
	for (const struct rpc_param *param = method->params; param->name; param++) {
		if (strcmp(param->name, name) == 0)
			return param;
	}
	return NULL;
}

/* What the command's row names are parameters of the daemon's method. */
static void check_row(const struct command *command, const struct rpc_method *method)
{
	for (const struct command_arg *arg = command->args; arg->meta; arg++) {
		const struct rpc_param *param =
			arg->param ? lookup_param(method, arg->param) : NULL;

		if (arg->param && !param)
			fail_msg("%s: no parameter %s", command->name, arg->param);
		if (param && !arg->optional)
			assert_true(param->required || arg->kind == COMMAND_ARG_PATH);
		if (param && param->required)
			assert_false(arg->optional);
	}
	for (const struct command_option *option = command->options; option->name; option++) {
		if (!lookup_param(method, option->param) && strcmp(option->name, "live") != 0)
			fail_msg("%s: no parameter %s", command->name, option->param);
	}
}

static void test_commands_are_methods(void **state)
{
	(void)state;
	for (const struct command *command = command_table; command->name; command++) {
		const struct rpc_method *method = rpc_lookup(methods, command->name);

		assert_non_null(command->help);
		if (strcmp(command->name, "complete") == 0)
			continue;
		if (!method)
			fail_msg("the daemon has no method %s", command->name);
		check_row(command, method);
	}
	for (const struct rpc_method *method = methods; method->name; method++) {
		if (!command_lookup(method->name, NULL))
			fail_msg("vswitchctl has no command %s", method->name);
	}
}

static void test_usage(void **state)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	command_format_usage(command_lookup("del-flows", NULL), out);
	fclose(out);
	assert_string_equal(text, "del-flows BR [MATCH] [--strict]");
	free(text);
}

/* ---- scripts ----------------------------------------------------------------------------------
 */

static const char *parse_script(const char *script)
{
	static char text[2048];
	struct error e = ERROR_INIT;
	json_t *commands;
	char *dump;

	if (script_parse(script, strlen(script), "f", &commands, &e)) {
		snprintf(text, sizeof(text), "%s", e.text);
		return text;
	}
	dump = json_dumps(commands, JSON_COMPACT | JSON_SORT_KEYS);
	snprintf(text, sizeof(text), "%s", dump);
	free(dump);
	json_decref(commands);
	return text;
}

static void test_script(void **state)
{
	(void)state;
	assert_string_equal(parse_script(""), "[]");
	assert_string_equal(parse_script("# only\n\n  # comments\n"), "[]");
	assert_string_equal(parse_script("\nvswitchctl add-br br0 # the first\r\nadd-br 'br'\"1\""),
			    "[{\"line\":2,\"method\":\"add-br\",\"params\":{\"bridge\":\"br0\"}},"
			    "{\"line\":3,\"method\":\"add-br\",\"params\":{\"bridge\":\"br1\"}}]");
	assert_string_equal(parse_script("add-flow br0 \\\n  'ip actions=drop'\nadd-br b\\'r"),
			    "[{\"line\":1,\"method\":\"add-flow\",\"params\":{\"bridge\":\"br0\","
			    "\"rule\":\"ip actions=drop\"}},"
			    "{\"line\":3,\"method\":\"add-br\",\"params\":{\"bridge\":\"b'r\"}}]");
	assert_string_equal(parse_script("add-br 'a'\\''b' \"x=\\\"y\\\\\""),
			    "[{\"line\":1,\"method\":\"add-br\",\"params\":{\"bridge\":\"a'b\","
			    "\"options\":{\"x\":\"\\\"y\\\\\"}}}]");
}

static void test_script_refusals(void **state)
{
	char many[4096] = "add-flow br0";

	(void)state;
	assert_string_equal(parse_script("add-br br0\n\nad-br br1\n"),
			    "f:3: unknown command 'ad-br', did you mean 'add-br'?");
	assert_string_equal(parse_script("show\n"), "f:1: 'show' does not say how things shall be: "
						    "it has no place in a script");
	assert_string_equal(parse_script("add-br 'br0\n"),
			    "f:1: the quote is not closed in this line");
	assert_string_equal(parse_script("add-br 'br0"), "f:1: the quote is not closed");
	assert_string_equal(parse_script("add-br $x"),
			    "f:1: '$' means something to a shell: put it in '");
	assert_string_equal(parse_script("add-br \"$x\""),
			    "f:1: '$' means something to a shell: use '");
	assert_string_equal(parse_script("add-br a; add-br b"),
			    "f:1: ';' means something to a shell: put it in '");
	assert_string_equal(parse_script("vswitchctl"), "f:1: no command is given");
	for (int i = 0; i < SCRIPT_WORDS_MAX; i++)
		strcat(many, " x");
	assert_string_equal(parse_script(many), "f:1: more than 256 words");
	assert_string_equal(parse_script("add-br br0 \\"), "[{\"line\":1,\"method\":\"add-br\","
							   "\"params\":{\"bridge\":\"br0\"}}]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_commands_are_methods),
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_script),
		cmocka_unit_test(test_script_refusals),
	};

	return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
