/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/rule_script.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "openflow/rule_text.h"
#include "openflow/scan.h"

static const struct {
	const char *word;
	enum flow_mod_type type;
} verbs[] = {
	{"add", FLOW_MOD_ADD},
	{"modify", FLOW_MOD_MODIFY},
	{"modify_strict", FLOW_MOD_MODIFY_STRICT},
	{"delete", FLOW_MOD_DELETE},
	{"delete_strict", FLOW_MOD_DELETE_STRICT},
};

/* A script being read. */
struct reader {
	const char *name;
	const struct ofport_names *names;
	struct rule_script *script;
	size_t capacity; /* of script->specs and script->mods */
	bool adds_only;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* How much of the line stands ahead of a comment; a # in quotes starts none. */
static size_t comment_find(struct span line)
{
	bool quoted = false;

	if (!memchr(line.p, '#', line.length))
		return line.length;
	for (size_t i = 0; i < line.length; i++) {
		if (quoted && line.p[i] == '\\')
			i++;
		else if (line.p[i] == '"')
			quoted = !quoted;
		else if (line.p[i] == '#' && !quoted)
			return i;
	}
	return line.length;
}

/* Cuts the comment and the blanks at both ends off. */
static struct span line_trim(struct span line)
{
	line.length = comment_find(line);
	while (line.length > 0 && is_blank(line.p[line.length - 1]))
		line.length--;
	while (line.length > 0 && is_blank(line.p[0])) {
		line.p++;
		line.length--;
	}
	return line;
}

/* "NXST_FLOW reply (xid=0x4):", "OFPST_FLOW reply (OF1.3) (xid=0x2):" */
static bool is_dump_headline(struct span line)
{
	static const char *const starts[] = {"NXST_FLOW reply", "OFPST_FLOW reply"};

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		size_t length = strlen(starts[i]);

		if (line.length > length && memcmp(line.p, starts[i], length) == 0)
			return true;
	}
	return false;
}

/* Takes the first word off `line` if it is a verb. */
static enum flow_mod_type take_verb(struct span *line)
{
	size_t length = 0;

	while (length < line->length && !is_blank(line->p[length]))
		length++;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (span_equals((struct span){line->p, length}, verbs[i].word)) {
			line->p += length;
			line->length -= length;
			return verbs[i].type;
		}
	}
	return FLOW_MOD_ADD;
}

/* Makes room for one more rule. */
static int reserve(struct reader *r)
{
	size_t capacity = r->capacity ? r->capacity * 2 : 64;
	struct rule_script *script = r->script;
	struct rule_spec *specs;
	struct flow_mod *mods;

	if (script->n < r->capacity)
		return 0;
	specs = realloc(script->specs, capacity * sizeof(*specs));
	if (!specs)
		return -ENOMEM;
	script->specs = specs;
	mods = realloc(script->mods, capacity * sizeof(*mods));
	if (!mods)
		return -ENOMEM;
	script->mods = mods;
	r->capacity = capacity;
	return 0;
}

static int parse_line(struct reader *r, struct span line, struct error *err)
{
	enum flow_mod_type type;
	int ret;

	if (line.length > RULE_TEXT_MAX)
		return error_set(err, E2BIG, "the line is longer than %d bytes", RULE_TEXT_MAX);
	line = line_trim(line);
	if (line.length == 0 || is_dump_headline(line))
		return 0;
	type = take_verb(&line);
	if (r->adds_only && type != FLOW_MOD_ADD)
		return error_set(err, EINVAL, "only rules that are added may stand here");
	if (r->script->n >= FLOW_TABLE_RULES_MAX)
		return error_set(err, E2BIG, "more than %d rules", FLOW_TABLE_RULES_MAX);
	if (reserve(r))
		return error_set(err, ENOMEM, "out of memory");
	ret = rule_parse(line.p, line.length, type, r->names, &r->script->specs[r->script->n],
			 err);
	if (!ret)
		r->script->mods[r->script->n++].type = type;
	return ret;
}

int rule_script_parse(const char *name, const char *text, size_t size, bool adds_only,
		      const struct ofport_names *names, struct rule_script *script,
		      struct rule_script_errors *errors)
{
	struct reader r = {.name = name, .names = names, .script = script, .adds_only = adds_only};
	struct span line, rest = {text, size};
	unsigned long number = 0;
	int first = 0;

	*script = (struct rule_script){0};
	errors->n = 0;
	while (rest.p && errors->n < RULE_SCRIPT_ERRORS_MAX && first != -ENOMEM) {
		struct error *err = &errors->errors[errors->n];
		int ret;

		span_split(rest, '\n', &line, &rest);
		number++;
		ret = parse_line(&r, line, err);
		if (!ret)
			continue;
		errors->n++;
		ret = error_prefix(err, ret, "%s:%lu", r.name, number);
		if (!first)
			first = ret;
	}
	if (first) {
		rule_script_uninit(script);
		return first;
	}
	for (size_t i = 0; i < script->n; i++)
		script->mods[i].spec = &script->specs[i];
	return 0;
}

void rule_script_uninit(struct rule_script *script)
{
	for (size_t i = 0; i < script->n; i++)
		ofaction_list_uninit(&script->specs[i].actions);
	free(script->specs);
	free(script->mods);
	*script = (struct rule_script){0};
}
