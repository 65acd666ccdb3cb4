/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/ofaction_text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <strings.h>
#include "openflow/field.h"
#include "openflow/field_text.h"
#include "openflow/match_text.h"
#include "openflow/scan.h"

#define TPID_8021Q 0x8100
#define TPID_8021AD 0x88a8

/* A rule's actions being read. */
struct parser {
	const struct match *match;
	const struct ofport_names *names;
	struct ofaction_list *list;
	struct error *err;
	bool has_tag; /* packets have a VLAN tag at this point */
	bool drops;   /* "drop" was said */
};

enum argument {
	ARGUMENT_NONE,
	ARGUMENT_ONE,
};

/* One action's word, and who reads the rest. `param` is the handler's. */
struct word {
	const char *name;
	int (*parse)(struct parser *p, const struct word *word, const struct scan_action *in);
	uint32_t param;
	enum argument argument;
};

static int append(struct parser *p, const struct ofaction *action)
{
	int ret = ofaction_list_append(p->list, action);

	if (ret == -E2BIG)
		return error_set(p->err, ret, "more than %d actions", OFACTION_LIST_MAX);
	if (ret)
		return error_set(p->err, ret, "out of memory");
	return 0;
}

static int append_output(struct parser *p, uint32_t port)
{
	return append(p, &(struct ofaction){.type = OFACTION_OUTPUT, .port = port});
}

/* output:PORT, output(port=PORT) */
static int parse_output(struct parser *p, const struct word *word, const struct scan_action *in)
{
	struct span text = in->arg, rest = in->arg, key, value;
	uint32_t port;
	int ret;

	if (in->is_parenthesised) {
		text.p = NULL;
		while (scan_pair(&rest, &key, &value)) {
			if (!span_equals(key, "port") || !value.p || text.p)
				return error_set(p->err, EINVAL,
						 "output(%s): only output(port=PORT) is known",
						 SPAN_TEXT(in->arg));
			text = value;
		}
		if (!text.p)
			return error_set(p->err, EINVAL, "output() needs a port=PORT");
	}
	ret = ofport_parse(text, p->names, &port, p->err);
	return ret ? error_prefix(p->err, ret, "%s", word->name) : append_output(p, port);
}

static int parse_reserved(struct parser *p, const struct word *word,
			  const struct scan_action *in UNUSED)
{
	return append_output(p, word->param);
}

static int parse_drop(struct parser *p, const struct word *word UNUSED,
		      const struct scan_action *in UNUSED)
{
	p->drops = true;
	return 0;
}

static int parse_plain(struct parser *p, const struct word *word,
		       const struct scan_action *in UNUSED)
{
	if (word->param == OFACTION_STRIP_VLAN)
		p->has_tag = false;
	return append(p, &(struct ofaction){.type = (uint8_t)word->param});
}

static int parse_push_vlan(struct parser *p, const struct word *word UNUSED,
			   const struct scan_action *in)
{
	struct ofaction action = {.type = OFACTION_PUSH_VLAN};
	uint64_t tpid;

	if (!scan_number(in->arg, UINT16_MAX, &tpid) ||
	    (tpid != TPID_8021Q && tpid != TPID_8021AD))
		return error_set(p->err, EINVAL, "push_vlan:%s is neither 0x8100 nor 0x88a8",
				 SPAN_TEXT(in->arg));
	action.tpid = (uint16_t)tpid;
	p->has_tag = true;
	return append(p, &action);
}

static int append_set(struct parser *p, enum field_id id, const struct field_value *bits)
{
	struct ofaction action = {.type = OFACTION_SET_FIELD, .field = (uint8_t)id};
	static const uint8_t none[FIELD_BYTES_MAX];

	if (memcmp(bits->mask, none, sizeof(none)) == 0)
		return error_set(p->err, EINVAL, "%s: no bits of it are set", field_get(id)->name);
	memcpy(action.set.value, bits->value, sizeof(action.set.value));
	memcpy(action.set.mask, bits->mask, sizeof(action.set.mask));
	if (id == FIELD_VLAN_VID || id == FIELD_VLAN_PCP)
		p->has_tag = true;
	return append(p, &action);
}

/* mod_FIELD:VALUE */
static int parse_mod(struct parser *p, const struct word *word, const struct scan_action *in)
{
	const struct field *field = field_get(word->param);
	struct field_value bits;
	int ret;

	ret = field_text_parse(field, in->arg, false, p->names, &bits, p->err);
	return ret ? error_prefix(p->err, ret, "%s", word->name)
		   : append_set(p, word->param, &bits);
}

/* The field called `text`, if packets at this point have it and it may be set. */
static int parse_destination(struct parser *p, struct span text, const struct field_name **namep)
{
	const struct field_name *name = field_lookup(text.p, text.length);
	char word[SPAN_TEXT_SIZE], hint[SPAN_TEXT_SIZE + 32];
	const struct field *field;
	enum field_needs needs;
	struct suggest s;

	if (!name) {
		suggest_init(&s, span_text(text, word));
		field_offer_names(&s);
		return error_set(p->err, EINVAL, "unknown field '%s'%s", word,
				 suggest_format(&s, hint, sizeof(hint)));
	}
	field = field_get(name->id);
	if (!field->is_writable)
		return error_set(p->err, EINVAL, "%s cannot be set", name->name);
	needs = match_needs_hold(p->match, name->needs) ? field->needs : name->needs;
	if (!match_needs_hold(p->match, needs))
		return error_prefix(p->err,
				    match_refuse_needs(p->match, name->name, needs, p->err),
				    "set_field");
	if (!p->has_tag && (name->id == FIELD_VLAN_VID || name->id == FIELD_VLAN_PCP))
		return error_set(p->err, EINVAL,
				 "setting %s needs a tag: match on dl_vlan, or push_vlan first",
				 name->name);
	*namep = name;
	return 0;
}

/* Splits VALUE->FIELD. */
static int split_arrow(struct parser *p, const struct word *word, struct span arg,
		       struct span *value, struct span *field)
{
	struct span head = arg, tail = arg;

	do {
		span_split(tail, '>', &head, &tail);
		if (!tail.p)
			return error_set(p->err, EINVAL, "%s:%s is not %s:VALUE->FIELD",
					 word->name, SPAN_TEXT(arg), word->name);
	} while (head.length == 0 || head.p[head.length - 1] != '-');
	*value = (struct span){arg.p, (size_t)(tail.p - arg.p) - 2};
	*field = tail;
	return 0;
}

/* set_field:VALUE[/MASK]->FIELD */
static int parse_set_field(struct parser *p, const struct word *word, const struct scan_action *in)
{
	const struct field_name *name;
	const struct field *field;
	struct span value, target;
	struct field_value bits;
	uint64_t vid;
	int ret;

	ret = split_arrow(p, word, in->arg, &value, &target);
	if (!ret)
		ret = parse_destination(p, target, &name);
	if (ret)
		return ret;
	if (name->id == FIELD_VLAN_VID && scan_number(value, 0x1fff, &vid) && vid & 0x1000) {
		/* OpenFlow 1.2's way to say "and it has a tag" */
		bits = (struct field_value){.value = {(uint8_t)(vid >> 8 & 0x0f), (uint8_t)vid},
					    .mask = {0x0f, 0xff}};
		return append_set(p, name->id, &bits);
	}
	field = field_get(name->id);
	ret = field_text_parse(field, value, field->is_maskable, p->names, &bits, p->err);
	return ret ? error_prefix(p->err, ret, "%s", word->name)
		   : append_set(p, name->id, &bits);
}

/* FIELD[], FIELD[N], FIELD[FIRST..LAST] of a field of `n_bits`. */
static bool parse_range(struct span text, unsigned int n_bits, uint64_t *first, uint64_t *last)
{
	struct span low, high;

	*first = 0;
	*last = n_bits - 1;
	if (text.length == 0 || text.p[text.length - 1] != ']')
		return false;
	text.length--;
	if (text.length == 0)
		return true;
	if (!span_split(text, '.', &low, &high)) {
		bool ok = scan_number(low, n_bits - 1, first);

		*last = *first;
		return ok;
	}
	if (high.length == 0 || high.p[0] != '.')
		return false;
	high = (struct span){high.p + 1, high.length - 1};
	return scan_number(low, n_bits - 1, first) && scan_number(high, n_bits - 1, last) &&
	       *first <= *last;
}

static unsigned int field_bits(const struct field *field)
{
	if (field->n_bytes > 4)
		return field->n_bytes * 8u;
	return 32u - (unsigned int)__builtin_clz(field->max);
}

/* The bits `first` to `last` of `field`, counted from the lowest, with `number` in them. */
static void place_bits(const struct field *field, uint64_t first, uint64_t last, uint64_t number,
		       struct field_value *out)
{
	uint8_t exact[FIELD_BYTES_MAX];

	memset(out, 0, sizeof(*out));
	for (uint64_t bit = first; bit <= last; bit++) {
		size_t at = field->n_bytes - 1 - bit / 8;

		out->mask[at] |= (uint8_t)(1 << bit % 8);
		if (bit - first < 64 && number >> (bit - first) & 1)
			out->value[at] |= (uint8_t)(1 << bit % 8);
	}
	field_get_exact(field, exact);
	/* all of the field is all of its place, which is wider for ICMP */
	if (last - first + 1 == field_bits(field))
		memcpy(out->mask, exact, field->n_bytes);
	/* two bits of nw_tos are another field's */
	for (size_t i = 0; i < field->n_bytes; i++) {
		out->mask[i] &= exact[i];
		out->value[i] &= out->mask[i];
	}
}

/* load:VALUE->FIELD[FIRST..LAST] */
static int parse_load(struct parser *p, const struct word *word, const struct scan_action *in)
{
	uint64_t number, first, last, width;
	const struct field_name *name;
	struct span text, target, range;
	const struct field *field;
	struct field_value bits;
	int ret;

	ret = split_arrow(p, word, in->arg, &text, &target);
	if (ret)
		return ret;
	span_split(target, '[', &target, &range);
	ret = parse_destination(p, target, &name);
	if (ret)
		return ret;
	field = field_get(name->id);
	if (!range.p || !parse_range(range, field_bits(field), &first, &last))
		return error_set(p->err, EINVAL,
				 "load:%s needs bits of a field of %u: %s[] or %s[0..%u]",
				 SPAN_TEXT(in->arg), field_bits(field), name->name, name->name,
				 field_bits(field) - 1);
	width = last - first + 1;
	if (!scan_number(text, width < 64 ? (UINT64_C(1) << width) - 1 : UINT64_MAX, &number))
		return error_set(p->err, EINVAL, "load:%s is not a number of %u bits",
				 SPAN_TEXT(in->arg), (unsigned int)width);
	place_bits(field, first, last, number, &bits);
	return append_set(p, name->id, &bits);
}

/* Of two words for one action the printer takes the first. */
static const struct word words[] = {
	{"output", parse_output, 0, ARGUMENT_ONE},
	{"normal", parse_reserved, OFPORT_NORMAL, ARGUMENT_NONE},
	{"flood", parse_reserved, OFPORT_FLOOD, ARGUMENT_NONE},
	{"all", parse_reserved, OFPORT_ALL, ARGUMENT_NONE},
	{"in_port", parse_reserved, OFPORT_IN_PORT, ARGUMENT_NONE},
	{"local", parse_reserved, OFPORT_LOCAL, ARGUMENT_NONE},
	{"drop", parse_drop, 0, ARGUMENT_NONE},
	{"mod_dl_src", parse_mod, FIELD_ETH_SRC, ARGUMENT_ONE},
	{"mod_dl_dst", parse_mod, FIELD_ETH_DST, ARGUMENT_ONE},
	{"mod_vlan_vid", parse_mod, FIELD_VLAN_VID, ARGUMENT_ONE},
	{"mod_vlan_pcp", parse_mod, FIELD_VLAN_PCP, ARGUMENT_ONE},
	{"mod_nw_src", parse_mod, FIELD_IPV4_SRC, ARGUMENT_ONE},
	{"mod_nw_dst", parse_mod, FIELD_IPV4_DST, ARGUMENT_ONE},
	{"mod_nw_tos", parse_mod, FIELD_IP_TOS, ARGUMENT_ONE},
	{"mod_nw_ecn", parse_mod, FIELD_IP_ECN, ARGUMENT_ONE},
	{"mod_nw_ttl", parse_mod, FIELD_IP_TTL, ARGUMENT_ONE},
	{"mod_tp_src", parse_mod, FIELD_TP_SRC, ARGUMENT_ONE},
	{"mod_tp_dst", parse_mod, FIELD_TP_DST, ARGUMENT_ONE},
	{"dec_ttl", parse_plain, OFACTION_DEC_TTL, ARGUMENT_NONE},
	{"push_vlan", parse_push_vlan, 0, ARGUMENT_ONE},
	{"strip_vlan", parse_plain, OFACTION_STRIP_VLAN, ARGUMENT_NONE},
	{"pop_vlan", parse_plain, OFACTION_STRIP_VLAN, ARGUMENT_NONE},
	{"set_field", parse_set_field, 0, ARGUMENT_ONE},
	{"load", parse_load, 0, ARGUMENT_ONE},
};

static int refuse_word(struct parser *p, struct span word, bool may_be_port)
{
	char text[SPAN_TEXT_SIZE], hint[SPAN_TEXT_SIZE + 32];
	struct suggest s;

	suggest_init(&s, span_text(word, text));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		suggest_offer(&s, words[i].name);
	if (may_be_port && p->names)
		p->names->offer(p->names->aux, &s);
	return error_set(p->err, EINVAL, "unknown action '%s'%s", text,
			 suggest_format(&s, hint, sizeof(hint)));
}

/* What is no action's word: a port. */
static int parse_port(struct parser *p, struct span word)
{
	uint32_t port;
	int ret = ofport_parse(word, p->names, &port, p->err);

	if (!ret)
		return append_output(p, port);
	if (word.length > 0 && (word.p[0] == '"' || isdigit((unsigned char)word.p[0])))
		return ret;
	return refuse_word(p, word, true);
}

static int parse_one(struct parser *p, const struct scan_action *in)
{
	bool has_argument = in->arg.length > 0;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const struct word *word = &words[i];

		if (!span_equals_nocase(in->name, word->name))
			continue;
		if (word->argument == ARGUMENT_ONE && !has_argument)
			return error_set(p->err, EINVAL, "%s needs a value: %s:VALUE", word->name,
					 word->name);
		if (word->argument == ARGUMENT_NONE && has_argument)
			return error_set(p->err, EINVAL, "%s takes no value (%s)", word->name,
					 SPAN_TEXT(in->arg));
		return word->parse(p, word, in);
	}
	return in->arg.p ? refuse_word(p, in->name, false) : parse_port(p, in->name);
}

int ofaction_parse(const char *text, size_t length, const struct match *match,
		   const struct ofport_names *names, struct ofaction_list *list, struct error *err)
{
	struct parser p = {.match = match, .names = names, .list = list, .err = err};
	struct span rest = {text, length};
	struct scan_action in;
	int more, ret = 0;

	ofaction_list_init(list);
	p.has_tag = match->value.vlan_tci & htons(FLOW_VLAN_PRESENT);
	while (!ret && (more = scan_action(&rest, &in)) != 0) {
		if (more < 0)
			ret = error_set(err, EINVAL, "%s%s lacks its )", SPAN_TEXT(in.name),
					SPAN_TEXT(in.arg));
		else
			ret = parse_one(&p, &in);
	}
	if (!ret && p.drops && list->n > 0)
		ret = error_set(err, EINVAL, "drop must be the only action");
	if (!ret && !p.drops && list->n == 0)
		ret = error_set(err, EINVAL, "no action is named: say drop to drop packets");
	if (ret)
		ofaction_list_uninit(list);
	return ret;
}

/* ---- printing ------------------------------------------------------------------------------ */

static const char *mod_word(enum field_id id)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (words[i].parse == parse_mod && words[i].param == id)
			return words[i].name;
	}
	return NULL;
}

/* The name under which set_field and load take the field in a rule with `match`. */
static const char *set_field_name(enum field_id id, const struct match *match)
{
	static const char *const ports[][3] = {{"tcp_src", "udp_src", "sctp_src"},
					       {"tcp_dst", "udp_dst", "sctp_dst"}};
	uint8_t proto = match->value.nw_proto;

	switch (id) {
	case FIELD_VLAN_VID:
		return "vlan_vid";
	case FIELD_VLAN_PCP:
		return "vlan_pcp";
	case FIELD_TP_SRC:
	case FIELD_TP_DST:
		return ports[id == FIELD_TP_DST][proto == 17 ? 1 : proto == 132 ? 2 : 0];
	default:
		return field_get(id)->name;
	}
}

/* A part of a field of at most 4 bytes that takes no mask: load:VALUE->NAME[FIRST..LAST] */
static void format_load(const struct field *field, const struct field_value *bits, const char *name,
			struct strbuf *out)
{
	uint32_t value = 0, mask = 0;
	int first, last;

	for (size_t i = 0; i < field->n_bytes; i++) {
		value = value << 8 | bits->value[i];
		mask = mask << 8 | bits->mask[i];
	}
	first = __builtin_ctz(mask);
	last = 31 - __builtin_clz(mask);
	strbuf_printf(out, "load:0x%x->%s[%d", value >> first, name, first);
	if (last > first)
		strbuf_printf(out, "..%d", last);
	strbuf_putc(out, ']');
}

static void format_set(const struct ofaction *action, const struct match *match,
		       const struct ofport_names *names, struct strbuf *out)
{
	const struct field *field = field_get(action->field);
	const char *name = set_field_name(action->field, match);
	const char *word = mod_word(action->field);
	uint8_t exact[FIELD_BYTES_MAX];
	struct field_value bits;
	bool is_exact;

	memcpy(bits.value, action->set.value, sizeof(bits.value));
	memcpy(bits.mask, action->set.mask, sizeof(bits.mask));
	field_get_exact(field, exact);
	is_exact = memcmp(exact, bits.mask, field->n_bytes) == 0;
	if (!is_exact && !field->is_maskable) {
		format_load(field, &bits, name, out);
		return;
	}
	strbuf_puts(out, word && is_exact ? word : "set_field");
	strbuf_putc(out, ':');
	field_text_format(field, &bits, names, out);
	if (!word || !is_exact) {
		strbuf_puts(out, "->");
		strbuf_puts(out, name);
	}
}

static void format_one(const struct ofaction *action, const struct match *match,
		       const struct ofport_names *names, struct strbuf *out)
{
	switch ((enum ofaction_type)action->type) {
	case OFACTION_OUTPUT:
		if (action->port <= OFPORT_MAX)
			strbuf_puts(out, "output:");
		ofport_format(action->port, names, out);
		break;
	case OFACTION_SET_FIELD:
		format_set(action, match, names, out);
		break;
	case OFACTION_PUSH_VLAN:
		strbuf_puts(out, "push_vlan:0x");
		strbuf_put_hex(out, action->tpid, 4);
		break;
	case OFACTION_STRIP_VLAN:
		strbuf_puts(out, "strip_vlan");
		break;
	case OFACTION_DEC_TTL:
		strbuf_puts(out, "dec_ttl");
		break;
	}
}

void ofaction_format(const struct ofaction_list *list, const struct match *match,
		     const struct ofport_names *names, struct strbuf *out)
{
	if (list->n == 0)
		strbuf_puts(out, "drop");
	for (uint32_t i = 0; i < list->n; i++) {
		if (i > 0)
			strbuf_putc(out, ',');
		format_one(&list->actions[i], match, names, out);
	}
}
