/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A script of rules. What is refused must say why in one printable line; what is read must be
 * printed, with port names and without, as text that is read to the same rule. Each input is also
 * read as a packet for trace.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include "lib/util.h"
#include "openflow/match_text.h"
#include "openflow/rule_script.h"
#include "openflow/rule_text.h"

/* More than these are not printed again: an input of many lines would only be slow. */
#define RULES_MAX 64

static const char *const port_names[] = {
	NULL, "eth0", "eth 1", "a\"b", "x,y", "local", "7", "p\\q", "actions=drop", "a#b",
};

static uint32_t get_number(void *aux UNUSED, const char *name, size_t length)
{
	for (uint32_t i = 1; i < ARRAY_SIZE(port_names); i++) {
		if (strlen(port_names[i]) == length && memcmp(port_names[i], name, length) == 0)
			return i;
	}
	return OFPORT_NONE;
}

static const char *get_name(void *aux UNUSED, uint32_t port)
{
	return port < ARRAY_SIZE(port_names) ? port_names[port] : NULL;
}

static void offer(void *aux UNUSED, struct suggest *s)
{
	for (uint32_t i = 1; i < ARRAY_SIZE(port_names); i++)
		suggest_offer(s, port_names[i]);
}

static const struct ofport_names names = {get_number, get_name, offer, NULL};

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_error(const struct error *err)
{
	check(err->text[0] != '\0');
	for (const char *c = err->text; *c; c++)
		check(*c >= ' ' && *c <= '~');
}

static void check_round_trip(const struct rule_spec *spec, const struct ofport_names *with)
{
	static const struct rule_text_stats stats = {.duration = 12345678901, .n_packets = 3};
	struct strbuf out = STRBUF_INIT, again = STRBUF_INIT;
	struct rule_spec back;
	struct error err;

	rule_format(spec, with ? &stats : NULL, with, &out);
	check(!out.failed);
	/* hexadecimal and names can make a line longer than the one that was read */
	if (out.length > RULE_TEXT_MAX) {
		strbuf_uninit(&out);
		return;
	}
	check(rule_parse(strbuf_get(&out), out.length, FLOW_MOD_ADD, with, &back, &err) == 0);
	check(match_equals(&spec->match, &back.match));
	check(ofaction_list_equals(&spec->actions, &back.actions));
	check(spec->priority == back.priority && spec->cookie == back.cookie &&
	      spec->table_id == back.table_id && spec->idle_timeout == back.idle_timeout &&
	      spec->hard_timeout == back.hard_timeout);
	rule_format(&back, with ? &stats : NULL, with, &again);
	check(strcmp(strbuf_get(&out), strbuf_get(&again)) == 0);
	ofaction_list_uninit(&back.actions);
	strbuf_uninit(&out);
	strbuf_uninit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct rule_script_errors errors;
	struct error err = ERROR_INIT;
	struct rule_script script;
	struct flow_key key;

	if (rule_script_parse("fuzz", text, size, false, &names, &script, &errors)) {
		check(errors.n > 0 && script.n == 0);
		for (size_t i = 0; i < errors.n; i++)
			check_error(&errors.errors[i]);
	}
	for (size_t i = 0; i < script.n && i < RULES_MAX; i++) {
		if (script.mods[i].type != FLOW_MOD_ADD)
			continue;
		check_round_trip(&script.specs[i], &names);
		check_round_trip(&script.specs[i], NULL);
	}
	rule_script_uninit(&script);
	if (match_parse_key(text, size, &names, &key, &err))
		check_error(&err);
	return 0;
}
