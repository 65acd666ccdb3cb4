/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "ctl/protocol.h"
#include "vswitchd/rpc.h"

#include <errno.h>
#include <string.h>

static unsigned int n_runs;

static int run_echo(struct rpc_call *call, struct error *e)
{
	n_runs++;
	if (rpc_get_bool(call, "fail")) {
		call->file = "rules";
		call->line = 7;
		return error_set(e, EEXIST, "rules:7: there \xc3\xa4lready");
	}
	json_object_set_new(call->result, "text", json_string(rpc_get_string(call, "text")));
	json_object_set_new(call->result, "number", json_integer(rpc_get_uint(call, "number", 42)));
	return 0;
}

/* Whoever is owed an answer, and what came. */
static struct {
	struct rpc_later *later;
	unsigned int n_held, n_answers;
	char text[1024]; /* of the last answer */
} owed;

static uint64_t hold(void *aux)
{
	assert_ptr_equal(aux, &owed);
	return 70 + ++owed.n_held;
}

static void take_answer(void *aux, uint64_t ticket, char *text, size_t size)
{
	assert_ptr_equal(aux, &owed);
	assert_int_equal(ticket, 70 + owed.n_held);
	owed.n_answers++;
	snprintf(owed.text, sizeof(owed.text), "%.*s", (int)size, text ? text : "");
	free(text);
}

static int run_later(struct rpc_call *call, struct error *e)
{
	owed.later = rpc_defer(call, e);
	return owed.later ? -EINPROGRESS : -ENOTSUP;
}

static const struct rpc_method methods[] = {
	{"later", {{0}}, run_later},
	{"echo",
	 {{"text", RPC_STRING, true},
	  {"number", RPC_UINT, false},
	  {"fail", RPC_BOOL, false},
	  {"options", RPC_OPTIONS, false},
	  {"list", RPC_ARRAY, false}},
	 run_echo},
	{NULL, {{0}}, NULL},
};

/* The answer to `line`, without its newline; "" for none. */
static const char *answer(const char *line)
{
	static char text[2048];
	size_t size;
	char *buf = rpc_run(methods, NULL, NULL, line, strlen(line), &size);

	if (!buf)
		return "";
	assert_int_equal(strlen(buf), size);
	assert_int_equal(buf[size - 1], '\n');
	assert_null(memchr(buf, '\n', size - 1));
	snprintf(text, sizeof(text), "%.*s", (int)size - 1, buf);
	free(buf);
	return text;
}

#define REQUEST(params) "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":" params "}"

static void test_answers(void **state)
{
	(void)state;
	assert_string_equal(answer(REQUEST("{\"text\":\"x\"}")),
			    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"text\":\"x\","
			    "\"number\":42}}");
	assert_string_equal(answer("{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"echo\","
				   "\"params\":{\"text\":\"\",\"number\":4294967295}}"),
			    "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"result\":{\"text\":\"\","
			    "\"number\":4294967295}}");
	assert_string_equal(answer(REQUEST("{\"text\":\"x\",\"fail\":true}")),
			    "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32000,\"message\":"
			    "\"rules:7: there \xc3\xa4lready\",\"data\":{\"errno\":\"EEXIST\","
			    "\"line\":7,\"file\":\"rules\"}}}");
}

/* Runs `line`, whose answer comes later. */
static struct rpc_later *run_deferred(const char *line)
{
	static const struct rpc_sink sink = {hold, take_answer, &owed};
	size_t size;

	memset(&owed, 0, sizeof(owed));
	assert_null(rpc_run(methods, NULL, &sink, line, strlen(line), &size));
	assert_int_equal(owed.n_held, 1);
	assert_int_equal(owed.n_answers, 0);
	assert_non_null(owed.later);
	return owed.later;
}

static void test_later(void **state)
{
	static const char request[] = "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"later\"}";
	struct error e = ERROR_INIT;
	struct rpc_later *later;

	(void)state;
	later = run_deferred(request);
	json_object_set_new(later->result, "done", json_true());
	rpc_finish(later, 0, &e);
	assert_int_equal(owed.n_answers, 1);
	assert_string_equal(owed.text,
			    "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":{\"done\":true}}\n");
	later = run_deferred(request);
	rpc_finish(later, error_set(&e, EBUSY, "not now"), &e);
	assert_int_equal(owed.n_answers, 1);
	assert_non_null(strstr(owed.text, "\"id\":\"x\",\"error\":"));
	assert_non_null(strstr(owed.text, "not now"));
	assert_non_null(strstr(owed.text, "EBUSY"));
	/* a notification is owed nothing, but whoever waits may go on */
	later = run_deferred("{\"jsonrpc\":\"2.0\",\"method\":\"later\"}");
	rpc_finish(later, 0, &e);
	assert_int_equal(owed.n_answers, 1);
	assert_string_equal(owed.text, "");
	/* nobody to answer to later */
	assert_non_null(strstr(answer(request), "\"error\""));
}

static void test_notification(void **state)
{
	(void)state;
	n_runs = 0;
	assert_string_equal(answer("{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":"
				   "{\"text\":\"x\"}}"),
			    "");
	assert_int_equal(n_runs, 1);
}

/* The code of the error that answers. */
static int code_of(const char *line)
{
	json_t *message = json_loads(answer(line), 0, NULL);
	int code =
		(int)json_integer_value(json_object_get(json_object_get(message, "error"), "code"));

	json_decref(message);
	return code;
}

static void test_bad_requests(void **state)
{
	char deep[200] = REQUEST("{\"text\":\"x\",\"list\":");

	(void)state;
	n_runs = 0;
	assert_int_equal(code_of("nonsense"), PROTOCOL_BAD_JSON);
	assert_int_equal(code_of("{"), PROTOCOL_BAD_JSON);
	assert_int_equal(code_of("{}{}"), PROTOCOL_BAD_JSON);
	assert_int_equal(code_of("{\"a\":1,\"a\":2}"), PROTOCOL_BAD_JSON);
	assert_int_equal(code_of("\"\\u0000\""), PROTOCOL_BAD_JSON);
	assert_int_equal(code_of("\"\xff\""), PROTOCOL_BAD_JSON);
	assert_int_equal(code_of("[]"), PROTOCOL_BAD_REQUEST);
	assert_int_equal(code_of("[" REQUEST("{}") "]"), PROTOCOL_BAD_REQUEST);
	assert_int_equal(code_of("{}"), PROTOCOL_BAD_REQUEST);
	assert_int_equal(code_of("{\"jsonrpc\":\"1.0\",\"method\":\"echo\"}"),
			 PROTOCOL_BAD_REQUEST);
	assert_int_equal(code_of("{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"echo\"}"),
			 PROTOCOL_BAD_REQUEST);
	assert_int_equal(code_of(REQUEST("[\"x\"]")), PROTOCOL_BAD_REQUEST);
	assert_int_equal(code_of("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eko\"}"),
			 PROTOCOL_NO_METHOD);
	assert_int_equal(code_of("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}"),
			 PROTOCOL_BAD_PARAMS);
	strcpy(deep, "{\"a\":");
	memset(deep + 5, '[', PROTOCOL_DEPTH_MAX);
	memset(deep + 5 + PROTOCOL_DEPTH_MAX, ']', PROTOCOL_DEPTH_MAX);
	strcpy(deep + 5 + 2 * PROTOCOL_DEPTH_MAX, "}");
	assert_int_equal(code_of(deep), PROTOCOL_BAD_JSON);
	assert_non_null(strstr(answer(deep), "inside each other"));
	assert_int_equal(n_runs, 0);
}

static void assert_bad_param(const char *line, const char *words)
{
	assert_int_equal(code_of(line), PROTOCOL_BAD_PARAMS);
	if (!strstr(answer(line), words))
		fail_msg("%s: not in %s", words, answer(line));
}

static void test_bad_parameters(void **state)
{
	(void)state;
	n_runs = 0;
	assert_bad_param(REQUEST("{}"), "'text' is missing");
	assert_bad_param(REQUEST("{\"text\":1}"), "'text' must be a string");
	assert_bad_param(REQUEST("{\"text\":null}"), "'text' must be a string");
	assert_bad_param(REQUEST("{\"text\":\"\",\"number\":-1}"), "'number' must be a number");
	assert_bad_param(REQUEST("{\"text\":\"\",\"number\":4294967296}"), "'number' must be");
	assert_bad_param(REQUEST("{\"text\":\"\",\"number\":1.5}"), "'number' must be");
	assert_int_equal(code_of(REQUEST("{\"text\":\"\",\"number\":1e400}")), PROTOCOL_BAD_JSON);
	assert_bad_param(REQUEST("{\"text\":\"\",\"fail\":1}"), "'fail' must be true or false");
	assert_bad_param(REQUEST("{\"text\":\"\",\"options\":{\"a\":1}}"), "an object of strings");
	assert_bad_param(REQUEST("{\"text\":\"\",\"list\":{}}"), "'list' must be an array");
	assert_bad_param(REQUEST("{\"txt\":\"\"}"), "did you mean 'text'?");
	assert_int_equal(n_runs, 0);
}

static void test_format_error(void **state)
{
	size_t size;
	char *text = rpc_format_error(PROTOCOL_BAD_REQUEST, "too \"long\"", &size);

	(void)state;
	assert_string_equal(text, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,"
				  "\"message\":\"too \\\"long\\\"\"}}\n");
	free(text);
}

static void test_socket_path(void **state)
{
	char path[PROTOCOL_PATH_SIZE], longest[200];
	struct error e = ERROR_INIT;

	(void)state;
	assert_int_equal(protocol_get_socket_path("/run/x", path, &e), 0);
	assert_string_equal(path, "/run/x/control.sock");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(protocol_get_socket_path(longest, path, &e), -ENAMETOOLONG);
	assert_non_null(strstr(e.text, "choose a shorter --rundir"));
	unsetenv(PROTOCOL_RUNDIR_ENV);
	assert_string_equal(protocol_get_rundir(NULL), PROTOCOL_RUNDIR_DEFAULT);
	setenv(PROTOCOL_RUNDIR_ENV, "/tmp/y", 1);
	assert_string_equal(protocol_get_rundir(NULL), "/tmp/y");
	assert_string_equal(protocol_get_rundir("/tmp/z"), "/tmp/z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),	     cmocka_unit_test(test_later),
		cmocka_unit_test(test_notification),
		cmocka_unit_test(test_bad_requests), cmocka_unit_test(test_bad_parameters),
		cmocka_unit_test(test_format_error), cmocka_unit_test(test_socket_path),
	};

	return cmocka_run_group_tests_name("rpc", tests, NULL, NULL);
}
