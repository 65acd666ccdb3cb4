/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/rule_text.h"

#include <errno.h>
#include "openflow/match_text.h"
#include "openflow/ofaction_text.h"
#include "openflow/scan.h"

/* A rule being read. */
struct parser {
	enum flow_mod_type type;
	struct rule_spec *spec;
	const struct ofport_names *names;
	struct error *err;
	uint32_t seen; /* bits 1 << index into `keys` */
};

#define FOR(type) (1u << FLOW_MOD_##type)
#define FOR_ALL UINT32_MAX

/* A key that is not of the match. */
struct key {
	const char *name;
	int (*parse)(struct parser *p, struct span value); /* NULL: skipped, a dump's counter */
	uint32_t allowed;				   /* FOR(type): changes that take it */
};

static int refuse_value(struct parser *p, const char *name, struct span value, const char *wanted)
{
	return error_set(p->err, EINVAL, "%s=%s is not %s", name, SPAN_TEXT(value), wanted);
}

static int parse_priority(struct parser *p, struct span value)
{
	uint64_t number;

	if (!scan_number(value, UINT16_MAX, &number))
		return refuse_value(p, "priority", value, "a number of at most 65535");
	p->spec->priority = (uint16_t)number;
	return 0;
}

static int parse_table(struct parser *p, struct span value)
{
	uint64_t number;

	if (!scan_number(value, FLOW_TABLES_MAX - 1, &number) &&
	    (p->type == FLOW_MOD_ADD || !scan_number(value, FLOW_TABLE_ALL, &number) ||
	     number != FLOW_TABLE_ALL))
		return refuse_value(p, "table", value, "a number of at most 253");
	p->spec->table_id = (uint8_t)number;
	return 0;
}

static int parse_timeout(struct parser *p, const char *name, struct span value, uint16_t *timeout)
{
	uint64_t number;

	if (!scan_number(value, UINT16_MAX, &number))
		return refuse_value(p, name, value, "a number of seconds of at most 65535");
	*timeout = (uint16_t)number;
	return 0;
}

static int parse_idle_timeout(struct parser *p, struct span value)
{
	return parse_timeout(p, "idle_timeout", value, &p->spec->idle_timeout);
}

static int parse_hard_timeout(struct parser *p, struct span value)
{
	return parse_timeout(p, "hard_timeout", value, &p->spec->hard_timeout);
}

/* cookie=V gives the rule a cookie, or, where none is given, asks for one; cookie=V/M asks. */
static int parse_cookie(struct parser *p, struct span text)
{
	struct rule_spec *spec = p->spec;
	struct span value, mask;
	bool is_masked = span_split(text, '/', &value, &mask);

	if (!scan_number(value, UINT64_MAX, &spec->cookie) ||
	    (is_masked && !span_equals(mask, "-1") &&
	     !scan_number(mask, UINT64_MAX, &spec->cookie_mask)))
		return refuse_value(p, "cookie", text, "a number of 64 bits, or VALUE/MASK");
	if (is_masked && span_equals(mask, "-1"))
		spec->cookie_mask = UINT64_MAX;
	if (is_masked && p->type == FLOW_MOD_ADD)
		return error_set(p->err, EINVAL,
				 "cookie=%s: a rule that is added has a cookie without a mask",
				 SPAN_TEXT(text));
	if (!is_masked && (p->type == FLOW_MOD_DELETE || p->type == FLOW_MOD_DELETE_STRICT))
		spec->cookie_mask = UINT64_MAX;
	if (is_masked)
		spec->cookie &= spec->cookie_mask;
	return 0;
}

static int parse_out_port(struct parser *p, struct span value)
{
	int ret = ofport_parse(value, p->names, &p->spec->out_port, p->err);

	return ret ? error_prefix(p->err, ret, "out_port") : 0;
}

static const struct key keys[] = {
	{"priority", parse_priority,
	 FOR(ADD) | FOR(MODIFY) | FOR(MODIFY_STRICT) | FOR(DELETE_STRICT)},
	{"cookie", parse_cookie, FOR_ALL},
	{"table", parse_table, FOR_ALL},
	{"idle_timeout", parse_idle_timeout, FOR(ADD) | FOR(MODIFY) | FOR(MODIFY_STRICT)},
	{"hard_timeout", parse_hard_timeout, FOR(ADD) | FOR(MODIFY) | FOR(MODIFY_STRICT)},
	{"out_port", parse_out_port, FOR(DELETE) | FOR(DELETE_STRICT)},
	{"duration", NULL, FOR_ALL},
	{"n_packets", NULL, FOR_ALL},
	{"n_bytes", NULL, FOR_ALL},
	{"idle_age", NULL, FOR_ALL},
	{"hard_age", NULL, FOR_ALL},
};

static bool is_actions_key(struct span key)
{
	return span_equals(key, "actions") || span_equals(key, "action");
}

static int refuse_key(struct parser *p, struct span key)
{
	char word[SPAN_TEXT_SIZE], hint[SPAN_TEXT_SIZE + 32];
	struct suggest s;

	suggest_init(&s, span_text(key, word));
	match_offer_words(&s);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		suggest_offer(&s, keys[i].name);
	suggest_offer(&s, "actions");
	return error_set(p->err, EINVAL, "unknown field '%s'%s", word,
			 suggest_format(&s, hint, sizeof(hint)));
}

static int put_key(struct parser *p, struct span key, struct span value)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!span_equals(key, keys[i].name))
			continue;
		if (value.length == 0)
			return error_set(p->err, EINVAL, "%s needs a value: %s=VALUE",
					 keys[i].name, keys[i].name);
		if (p->seen >> i & 1)
			return error_set(p->err, EINVAL, "%s is given twice", keys[i].name);
		p->seen |= 1u << i;
		if (keys[i].parse == parse_priority && p->type == FLOW_MOD_DELETE)
			return error_set(p->err, EINVAL,
					 "priority chooses rules only together with --strict");
		if (!(keys[i].allowed >> p->type & 1))
			return error_set(p->err, EINVAL, "%s has no meaning here", keys[i].name);
		return keys[i].parse ? keys[i].parse(p, value) : 0;
	}
	return refuse_key(p, key);
}

/* Reads all that stands ahead of actions=; `actions` becomes what stands behind it, or nothing. */
static int parse_pairs(struct parser *p, struct span rest, struct span *actions)
{
	struct match_parser match;
	struct span key, value;
	int ret = 0;

	*actions = (struct span){NULL, 0};
	match_parser_init(&match, p->names, false);
	while (!ret && scan_pair(&rest, &key, &value)) {
		if (is_actions_key(key) && value.p) {
			*actions = (struct span){value.p, value.length + rest.length};
			break;
		}
		ret = match_parser_put(&match, key, value, p->err);
		if (ret == -ENOENT)
			ret = put_key(p, key, value);
	}
	if (!ret)
		ret = match_parser_finish(&match, p->err);
	p->spec->match = match.match;
	return ret;
}

static bool takes_actions(enum flow_mod_type type)
{
	return type != FLOW_MOD_DELETE && type != FLOW_MOD_DELETE_STRICT;
}

int rule_parse(const char *text, size_t length, enum flow_mod_type type,
	       const struct ofport_names *names, struct rule_spec *spec, struct error *err)
{
	struct parser p = {.type = type, .spec = spec, .names = names, .err = err};
	struct span actions;
	int ret;

	memset(spec, 0, sizeof(*spec));
	spec->priority = RULE_PRIORITY_DEFAULT;
	spec->table_id = type == FLOW_MOD_ADD ? 0 : FLOW_TABLE_ALL;
	spec->out_port = OFPORT_NONE;
	if (length > RULE_TEXT_MAX)
		return error_set(err, E2BIG, "a rule has at most %d bytes", RULE_TEXT_MAX);
	if (memchr(text, '\0', length))
		return error_set(err, EINVAL, "there is a NUL byte in the line");
	ret = parse_pairs(&p, (struct span){text, length}, &actions);
	if (!ret && takes_actions(type)) {
		if (!actions.p)
			ret = error_set(err, EINVAL, "actions=... is missing");
		else
			ret = ofaction_parse(actions.p, actions.length, &spec->match, names,
					     &spec->actions, err);
	} else if (!ret && actions.p) {
		ret = error_set(err, EINVAL, "a deletion takes no actions");
	}
	if (ret)
		memset(spec, 0, sizeof(*spec));
	return ret;
}

static void put_key_decimal(struct strbuf *out, const char *key, uint64_t value)
{
	strbuf_puts(out, key);
	strbuf_put_decimal(out, value);
	strbuf_puts(out, ", ");
}

/* Seconds, with as many decimals as milliseconds need. */
static void put_duration(struct strbuf *out, uint64_t ns)
{
	uint64_t ms = ns / 1000000;
	char decimals[] = {'.', (char)('0' + ms / 100 % 10), (char)('0' + ms / 10 % 10),
			   (char)('0' + ms % 10)};
	size_t n = sizeof(decimals);

	while (n > 1 && decimals[n - 1] == '0')
		n--;
	strbuf_puts(out, "duration=");
	strbuf_put_decimal(out, ms / 1000);
	strbuf_put(out, decimals, n > 1 ? n : 0);
	strbuf_puts(out, "s, ");
}

void rule_format(const struct rule_spec *spec, const struct rule_text_stats *stats,
		 const struct ofport_names *names, struct strbuf *out)
{
	size_t start;

	if (stats || spec->cookie) {
		strbuf_puts(out, "cookie=0x");
		strbuf_put_hex(out, spec->cookie, 1);
		strbuf_puts(out, ", ");
	}
	if (stats)
		put_duration(out, stats->duration);
	if (stats || spec->table_id)
		put_key_decimal(out, "table=", spec->table_id);
	if (stats) {
		put_key_decimal(out, "n_packets=", stats->n_packets);
		put_key_decimal(out, "n_bytes=", stats->n_bytes);
	}
	if (spec->idle_timeout)
		put_key_decimal(out, "idle_timeout=", spec->idle_timeout);
	if (spec->hard_timeout)
		put_key_decimal(out, "hard_timeout=", spec->hard_timeout);
	if (stats)
		put_key_decimal(out, "idle_age=", stats->idle_age / 1000000000);

	start = out->length;
	if (spec->priority != RULE_PRIORITY_DEFAULT) {
		strbuf_puts(out, "priority=");
		strbuf_put_decimal(out, spec->priority);
		strbuf_putc(out, ',');
	}
	match_format(&spec->match, names, out);
	if (out->length > start && out->text[out->length - 1] == ',')
		out->text[--out->length] = '\0';
	if (out->length > start)
		strbuf_putc(out, ' ');
	strbuf_puts(out, "actions=");
	ofaction_format(&spec->actions, &spec->match, names, out);
}
