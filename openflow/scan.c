/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/scan.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

bool span_equals_nocase(struct span span, const char *word)
{
	if (span.length > 0 && (span.p[0] | 0x20) != (word[0] | 0x20))
		return false;
	return strlen(word) == span.length && strncasecmp(span.p, word, span.length) == 0;
}

bool span_split(struct span span, char c, struct span *head, struct span *tail)
{
	const char *at = memchr(span.p, c, span.length);

	*head = span;
	*tail = (struct span){NULL, 0};
	if (!at)
		return false;
	head->length = (size_t)(at - span.p);
	*tail = (struct span){at + 1, span.length - head->length - 1};
	return true;
}

const char *span_text(struct span span, char buf[SPAN_TEXT_SIZE])
{
	size_t most = SPAN_TEXT_SIZE - sizeof("...");
	size_t length = span.length < most ? span.length : most;

	for (size_t i = 0; i < length; i++)
		buf[i] = span.p[i] < ' ' || span.p[i] > '~' ? '?' : span.p[i];
	strcpy(buf + length, length < span.length ? "..." : "");
	return buf;
}

/* What a character may mean, one bit each. */
#define CLASS_SEPARATOR 1
#define CLASS_QUOTE 2
#define CLASS_EQUALS 4    /* ends a key */
#define CLASS_NAME_END 8  /* ends an action's name */
#define CLASS_PARENTHESIS 16

static const uint8_t classes[256] = {
	[' '] = CLASS_SEPARATOR,
	[','] = CLASS_SEPARATOR,
	['\t'] = CLASS_SEPARATOR,
	['"'] = CLASS_QUOTE,
	['='] = CLASS_EQUALS | CLASS_NAME_END,
	[':'] = CLASS_NAME_END,
	['('] = CLASS_NAME_END | CLASS_PARENTHESIS,
	[')'] = CLASS_PARENTHESIS,
};

static uint8_t class_get(char c)
{
	return classes[(unsigned char)c];
}

static void span_advance(struct span *span, size_t n)
{
	span->p += n;
	span->length -= n;
}

static void skip_separators(struct span *rest)
{
	while (rest->length > 0 && class_get(rest->p[0]) == CLASS_SEPARATOR)
		span_advance(rest, 1);
}

/* Length of the quoted text that `text` starts with, quotes included; all of it when the closing
 * one is missing. */
static size_t quoted_length(struct span text)
{
	for (size_t i = 1; i < text.length; i++) {
		if (text.p[i] == '\\')
			i++;
		else if (text.p[i] == '"')
			return i + 1;
	}
	return text.length;
}

/* Takes a word off `rest`: up to a separator or a character of the classes `stops`, quotes and, if
 * `nests`, parentheses kept whole. */
static struct span take_word(struct span *rest, uint8_t stops, bool nests)
{
	const uint8_t ends = CLASS_SEPARATOR | stops;
	const uint8_t special = ends | CLASS_QUOTE | (nests ? CLASS_PARENTHESIS : 0);
	struct span word = *rest;
	size_t i = 0, depth = 0;

	while (i < rest->length) {
		uint8_t class = class_get(rest->p[i]) & special;

		if (!class) {
			i++;
		} else if (class & CLASS_QUOTE) {
			i += quoted_length((struct span){rest->p + i, rest->length - i});
		} else if (depth == 0 && class & ends) {
			break;
		} else {
			if (rest->p[i] == '(')
				depth++;
			else if (rest->p[i] == ')' && depth > 0)
				depth--;
			i++;
		}
	}
	word.length = i;
	span_advance(rest, i);
	return word;
}

bool scan_pair(struct span *rest, struct span *key, struct span *value)
{
	*value = (struct span){NULL, 0};
	skip_separators(rest);
	if (rest->length == 0)
		return false;
	*key = take_word(rest, CLASS_EQUALS, false);
	if (rest->length > 0 && rest->p[0] == '=') {
		span_advance(rest, 1);
		*value = take_word(rest, 0, false);
	}
	return true;
}

int scan_action(struct span *rest, struct scan_action *action)
{
	action->arg = (struct span){NULL, 0};
	action->is_parenthesised = false;
	skip_separators(rest);
	if (rest->length == 0)
		return 0;
	action->name = take_word(rest, CLASS_NAME_END, false);
	if (rest->length == 0)
		return 1;
	if (rest->p[0] == ':' || rest->p[0] == '=') {
		span_advance(rest, 1);
		action->arg = take_word(rest, 0, true);
	} else if (rest->p[0] == '(') {
		action->is_parenthesised = true;
		action->arg = take_word(rest, 0, true);
		if (action->arg.p[action->arg.length - 1] != ')')
			return -1;
		span_advance(&action->arg, 1);
		action->arg.length--;
	}
	return 1;
}

static int digit_value(char c, unsigned int base)
{
	int digit = c >= '0' && c <= '9'   ? c - '0'
		    : c >= 'a' && c <= 'f' ? c - 'a' + 10
		    : c >= 'A' && c <= 'F' ? c - 'A' + 10
					   : 99;

	return digit < (int)base ? digit : -1;
}

bool scan_number(struct span text, uint64_t max, uint64_t *number)
{
	unsigned int base = 10;
	uint64_t sum = 0;

	if (text.length > 2 && text.p[0] == '0' && (text.p[1] | 0x20) == 'x') {
		base = 16;
		span_advance(&text, 2);
	} else if (text.length > 1 && text.p[0] == '0') {
		return false;
	}
	if (text.length == 0)
		return false;
	for (size_t i = 0; i < text.length; i++) {
		int digit = digit_value(text.p[i], base);

		if (digit < 0 || sum > (max - (uint64_t)digit) / base)
			return false;
		sum = sum * base + (uint64_t)digit;
		if (sum > max)
			return false;
	}
	*number = sum;
	return true;
}

/* xx:xx:xx:xx:xx:xx; one digit for a byte will do, as for ovs-ofctl. */
bool scan_mac(struct span text, uint8_t mac[6])
{
	for (int i = 0; i < 6; i++) {
		size_t n = 0;

		for (mac[i] = 0; n < 2 && n < text.length; n++) {
			int digit = digit_value(text.p[n], 16);

			if (digit < 0)
				break;
			mac[i] = (uint8_t)(mac[i] << 4 | digit);
		}
		if (n == 0)
			return false;
		span_advance(&text, n);
		if (i < 5) {
			if (text.length == 0 || text.p[0] != ':')
				return false;
			span_advance(&text, 1);
		}
	}
	return text.length == 0;
}

bool scan_ipv4(struct span text, uint8_t address[4])
{
	for (int i = 0; i < 4; i++) {
		struct span part, rest;
		uint64_t number;

		if (span_split(text, '.', &part, &rest) != (i < 3))
			return false;
		/* scan_number() takes 0x, an address does not */
		if (part.length > 3 || !scan_number(part, 255, &number) ||
		    (part.length == 3 && part.p[0] == '0'))
			return false;
		address[i] = (uint8_t)number;
		text = rest;
	}
	return true;
}

bool scan_ipv6(struct span text, uint8_t address[16])
{
	char copy[INET6_ADDRSTRLEN];

	if (text.length >= sizeof(copy) || memchr(text.p, '\0', text.length))
		return false;
	memcpy(copy, text.p, text.length);
	copy[text.length] = '\0';
	return inet_pton(AF_INET6, copy, address) == 1;
}
