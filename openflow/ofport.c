/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/ofport.h"

#include <ctype.h>
#include <errno.h>

static const struct {
	const char *word;
	uint32_t port;
} reserved[] = {
	{"IN_PORT", OFPORT_IN_PORT}, {"NORMAL", OFPORT_NORMAL}, {"FLOOD", OFPORT_FLOOD},
	{"ALL", OFPORT_ALL},	     {"LOCAL", OFPORT_LOCAL},
};

uint32_t ofport_lookup_reserved(struct span word)
{
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++) {
		if (span_equals_nocase(word, reserved[i].word))
			return reserved[i].port;
	}
	return OFPORT_NONE;
}

void ofport_offer_names(const struct ofport_names *names, struct suggest *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		suggest_offer(s, reserved[i].word);
	if (names)
		names->offer(names->aux, s);
}

/* Takes quotes and backslashes off into `name`. Returns the length, 0 when it cannot be a name. */
static size_t unquote(struct span text, char name[OFPORT_NAME_MAX])
{
	size_t length = 0, last = text.length - 1;

	if (text.length < 2 || text.p[last] != '"')
		return 0;
	for (size_t i = 1; i < last; i++) {
		if (text.p[i] == '\\' && ++i == last)
			return 0;
		if (length == OFPORT_NAME_MAX || text.p[i] == '\0')
			return 0;
		name[length++] = text.p[i];
	}
	return length;
}

static int parse_name(struct span text, const struct ofport_names *names, uint32_t *port,
		      struct error *err)
{
	char quoted[OFPORT_NAME_MAX], word[SPAN_TEXT_SIZE], hint[SPAN_TEXT_SIZE + 32];
	struct span name = text;
	struct suggest s;

	if (text.length > 0 && text.p[0] == '"')
		name = (struct span){quoted, unquote(text, quoted)};
	if (name.length == 0 || name.length > OFPORT_NAME_MAX)
		return error_set(err, EINVAL, "'%s' is no port name", SPAN_TEXT(text));
	*port = names ? names->get_number(names->aux, name.p, name.length) : OFPORT_NONE;
	if (*port != OFPORT_NONE)
		return 0;
	suggest_init(&s, span_text(name, word));
	ofport_offer_names(names, &s);
	return error_set(err, ENODEV, "no port is called '%s'%s", word,
			 suggest_format(&s, hint, sizeof(hint)));
}

int ofport_parse(struct span text, const struct ofport_names *names, uint32_t *port,
		 struct error *err)
{
	uint64_t number;

	*port = ofport_lookup_reserved(text);
	if (*port != OFPORT_NONE)
		return 0;
	if (text.length == 0 || !isdigit((unsigned char)text.p[0]))
		return parse_name(text, names, port, err);
	/* such as 1a: a name, if a port has it */
	if (!scan_number(text, UINT32_MAX, &number))
		return parse_name(text, names, port, err);
	*port = (uint32_t)number;
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++) {
		if (number == reserved[i].port)
			return 0;
	}
	if (number < 1 || number > OFPORT_MAX)
		return error_set(err, EINVAL, "port %u is not between 1 and %u", *port,
				 OFPORT_MAX);
	return 0;
}

static bool name_needs_quotes(struct span name)
{
	if (ofport_lookup_reserved(name) != OFPORT_NONE)
		return true;
	for (size_t i = 0; i < name.length; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (!(isalpha(c) || c == '_' || (i > 0 && (isdigit(c) || c == '.' || c == '-'))))
			return true;
	}
	return name.length == 0;
}

void ofport_format(uint32_t port, const struct ofport_names *names, struct strbuf *out)
{
	const char *text = names ? names->get_name(names->aux, port) : NULL;

	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++) {
		if (port == reserved[i].port) {
			strbuf_puts(out, reserved[i].word);
			return;
		}
	}
	if (!text) {
		strbuf_put_decimal(out, port);
		return;
	}
	if (!name_needs_quotes((struct span){text, strlen(text)})) {
		strbuf_puts(out, text);
		return;
	}
	strbuf_putc(out, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			strbuf_putc(out, '\\');
		strbuf_putc(out, *text);
	}
	strbuf_putc(out, '"');
}
