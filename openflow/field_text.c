/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/field_text.h"

#include <arpa/inet.h>
#include <errno.h>

/* How a value of each form is described to who got it wrong. */
static const char *const form_examples[] = {
	[FIELD_FORM_DECIMAL] = "a number",
	[FIELD_FORM_HEX] = "a number such as 0x0800",
	[FIELD_FORM_MAC] = "an Ethernet address such as 02:00:00:00:00:01",
	[FIELD_FORM_IPV4] = "an IPv4 address or network such as 192.0.2.0/24",
	[FIELD_FORM_IPV6] = "an IPv6 address or network such as 2001:db8::/32",
	[FIELD_FORM_PORT] = "a port",
	[FIELD_FORM_FRAG] = "no, yes, first, later or not_later",
	[FIELD_FORM_TCP_FLAGS] = "flags such as +syn-ack, or VALUE/MASK",
};

static const struct {
	const char *word;
	uint8_t value;
	uint8_t mask;
} frag_words[] = {
	{"no", 0, FLOW_FRAG_ANY | FLOW_FRAG_LATER},
	{"yes", FLOW_FRAG_ANY, FLOW_FRAG_ANY},
	{"first", FLOW_FRAG_ANY, FLOW_FRAG_ANY | FLOW_FRAG_LATER},
	{"later", FLOW_FRAG_ANY | FLOW_FRAG_LATER, FLOW_FRAG_ANY | FLOW_FRAG_LATER},
	{"not_later", 0, FLOW_FRAG_LATER},
};

/* By bit, from the lowest. */
static const char *const tcp_flag_words[] = {
	"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]",
};

static int refuse(const struct field *field, struct span text, struct error *err)
{
	if (field->form == FIELD_FORM_DECIMAL && !(field->max & 1))
		return error_set(err, EINVAL, "%s=%s is not a multiple of 4 of at most %u",
				 field->name, SPAN_TEXT(text), field->max);
	if (field->form <= FIELD_FORM_HEX)
		return error_set(err, EINVAL, "%s=%s is not %s of at most %u", field->name,
				 SPAN_TEXT(text), form_examples[field->form], field->max);
	return error_set(err, EINVAL, "%s=%s is not %s", field->name, SPAN_TEXT(text),
			 form_examples[field->form]);
}

static void store_number(const struct field *field, uint64_t number, uint8_t *bytes)
{
	for (size_t i = field->n_bytes; i > 0; i--, number >>= 8)
		bytes[i - 1] = (uint8_t)number;
}

static uint32_t load_number(const struct field *field, const uint8_t *bytes)
{
	uint32_t number = 0;

	for (size_t i = 0; i < field->n_bytes; i++)
		number = number << 8 | bytes[i];
	return number;
}

/* A number whose bits are all among those that the field has. */
static bool parse_number(const struct field *field, struct span text, uint8_t *bytes)
{
	uint64_t number;

	if (!scan_number(text, UINT32_MAX, &number) || (number & ~(uint64_t)field->max))
		return false;
	store_number(field, number, bytes);
	return true;
}

/* The mask that a prefix length `text` stands for. */
static bool parse_prefix(struct span text, size_t n_bytes, uint8_t *mask)
{
	uint64_t bits;

	if (!scan_number(text, n_bytes * 8, &bits))
		return false;
	for (size_t i = 0; i < n_bytes; i++) {
		uint64_t here = MIN(bits, (uint64_t)8);

		mask[i] = (uint8_t)(0xff00 >> here);
		bits -= here;
	}
	return true;
}

/* One side of VALUE/MASK. */
static bool parse_side(const struct field *field, struct span text, uint8_t *bytes)
{
	switch ((enum field_form)field->form) {
	case FIELD_FORM_MAC:
		return scan_mac(text, bytes);
	case FIELD_FORM_IPV4:
		return scan_ipv4(text, bytes);
	case FIELD_FORM_IPV6:
		return scan_ipv6(text, bytes);
	default:
		return parse_number(field, text, bytes);
	}
}

static bool parse_mask(const struct field *field, struct span text, uint8_t *mask)
{
	if ((field->form == FIELD_FORM_IPV4 || field->form == FIELD_FORM_IPV6) &&
	    parse_prefix(text, field->n_bytes, mask))
		return true;
	if (!parse_side(field, text, mask))
		return false;
	/* where the place is wider than the field, all bits means all of the place */
	if (field->n_bytes <= 4 && load_number(field, mask) == field->max)
		field_get_exact(field, mask);
	return true;
}

static int tcp_flag_lookup(struct span word)
{
	for (size_t i = 0; i < ARRAY_SIZE(tcp_flag_words); i++) {
		if (span_equals_nocase(word, tcp_flag_words[i]))
			return (int)i;
	}
	return -1;
}

/* syn|ack: these, and no others */
static bool parse_flag_list(struct span text, uint32_t *flags)
{
	struct span word, rest = text;

	*flags = 0;
	do {
		int bit;

		text = rest;
		span_split(text, '|', &word, &rest);
		bit = tcp_flag_lookup(word);
		if (bit < 0)
			return false;
		*flags |= 1u << bit;
	} while (rest.p);
	return true;
}

/* +syn-ack: with, without; the others as they may be */
static bool parse_flag_signs(struct span text, uint32_t *flags, uint32_t *mask)
{
	*flags = *mask = 0;
	while (text.length > 0) {
		bool is_set = text.p[0] == '+';
		struct span word = {text.p + 1, 0};
		int bit;

		if (!is_set && text.p[0] != '-')
			return false;
		while (1 + word.length < text.length && !strchr("+-", word.p[word.length]))
			word.length++;
		bit = tcp_flag_lookup(word);
		if (bit < 0 || *mask >> bit & 1)
			return false;
		*mask |= 1u << bit;
		*flags |= (uint32_t)is_set << bit;
		text = (struct span){word.p + word.length, text.length - 1 - word.length};
	}
	return true;
}

/* The forms that are words. False: it is none, and may be a number. */
static bool parse_words(const struct field *field, struct span text, struct field_value *out)
{
	uint32_t flags = 0, mask = field->max;

	if (field->form == FIELD_FORM_FRAG) {
		for (size_t i = 0; i < ARRAY_SIZE(frag_words); i++) {
			if (span_equals(text, frag_words[i].word)) {
				out->value[0] = frag_words[i].value;
				out->mask[0] = frag_words[i].mask;
				return true;
			}
		}
	} else if (field->form == FIELD_FORM_TCP_FLAGS && text.length > 0) {
		bool ok = text.p[0] == '+' || text.p[0] == '-'
				  ? parse_flag_signs(text, &flags, &mask)
				  : parse_flag_list(text, &flags);

		if (!ok)
			return false;
		store_number(field, flags, out->value);
		store_number(field, mask, out->mask);
		return true;
	}
	return false;
}

int field_text_parse(const struct field *field, struct span text, bool is_maskable,
		     const struct ofport_names *names, struct field_value *out, struct error *err)
{
	struct span value, mask;
	uint32_t port;
	int ret;

	memset(out, 0, sizeof(*out));
	if (span_equals(text, "*"))
		return 0;
	if (parse_words(field, text, out))
		return 0;
	if (field->form == FIELD_FORM_PORT) {
		ret = ofport_parse(text, names, &port, err);
		if (ret)
			return error_prefix(err, ret, "%s", field->name);
		store_number(field, port, out->value);
		field_get_exact(field, out->mask);
		return 0;
	}
	if (!span_split(text, '/', &value, &mask))
		field_get_exact(field, out->mask);
	else if (!is_maskable)
		return error_set(err, EINVAL, "%s takes no mask (%s)", field->name,
				 SPAN_TEXT(text));
	else if (!parse_mask(field, mask, out->mask))
		return refuse(field, text, err);
	if (!parse_side(field, value, out->value))
		return refuse(field, text, err);
	for (size_t i = 0; i < field->n_bytes; i++)
		out->value[i] &= out->mask[i];
	return 0;
}

/* The prefix length that `mask` is; -1: it is none. */
static int prefix_length(const uint8_t *mask, size_t n_bytes)
{
	size_t i = 0;
	int length;

	while (i < n_bytes && mask[i] == 0xff)
		i++;
	length = (int)i * 8;
	if (i < n_bytes) {
		int ones = __builtin_popcount(mask[i]);

		if (mask[i] != (uint8_t)(0xff00 >> ones))
			return -1;
		length += ones;
		i++;
	}
	while (i < n_bytes) {
		if (mask[i++])
			return -1;
	}
	return length;
}

static void format_mac(const uint8_t *mac, struct strbuf *out)
{
	for (int i = 0; i < 6; i++) {
		if (i > 0)
			strbuf_putc(out, ':');
		strbuf_put_hex(out, mac[i], 2);
	}
}

static void format_ipv4(const uint8_t *address, struct strbuf *out)
{
	for (int i = 0; i < 4; i++) {
		if (i > 0)
			strbuf_putc(out, '.');
		strbuf_put_decimal(out, address[i]);
	}
}

static void format_address(const struct field *field, const uint8_t *address, struct strbuf *out)
{
	char text[INET6_ADDRSTRLEN];

	if (field->form == FIELD_FORM_MAC)
		format_mac(address, out);
	else if (field->form == FIELD_FORM_IPV4)
		format_ipv4(address, out);
	else
		strbuf_puts(out, inet_ntop(AF_INET6, address, text, sizeof(text)));
}

static void format_addresses(const struct field *field, const struct field_value *in,
			     struct strbuf *out)
{
	int length = prefix_length(in->mask, field->n_bytes);

	format_address(field, in->value, out);
	if (length == field->n_bytes * 8)
		return;
	strbuf_putc(out, '/');
	if (length >= 0 && field->form != FIELD_FORM_MAC)
		strbuf_put_decimal(out, (uint64_t)length);
	else
		format_address(field, in->mask, out);
}

static bool format_frag(uint32_t value, uint32_t mask, struct strbuf *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(frag_words); i++) {
		if (frag_words[i].value == value && frag_words[i].mask == mask) {
			strbuf_puts(out, frag_words[i].word);
			return true;
		}
	}
	return false;
}

/* As ovs-ofctl: exact as syn|ack, anything else as +syn-ack. */
static bool format_tcp_flags(uint32_t value, uint32_t mask, uint32_t exact, struct strbuf *out)
{
	const char *between = "";

	if (mask == 0 || (mask == exact && value == 0))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(tcp_flag_words); i++) {
		if (mask == exact && value >> i & 1) {
			strbuf_puts(out, between);
			strbuf_puts(out, tcp_flag_words[i]);
			between = "|";
		} else if (mask != exact && mask >> i & 1) {
			strbuf_putc(out, value >> i & 1 ? '+' : '-');
			strbuf_puts(out, tcp_flag_words[i]);
		}
	}
	return true;
}

/* Digits that a field's largest value has in hexadecimal. */
static unsigned int hex_digits(const struct field *field)
{
	return (unsigned int)(35 - __builtin_clz(field->max)) / 4;
}

static void format_number(const struct field *field, uint32_t value, uint32_t mask,
			  struct strbuf *out)
{
	bool is_hex = field->form == FIELD_FORM_HEX;
	unsigned int digits = is_hex ? hex_digits(field) : 1;

	if (!is_hex && mask == field->exact) {
		strbuf_put_decimal(out, value);
		return;
	}
	strbuf_puts(out, "0x");
	strbuf_put_hex(out, value, digits);
	if (mask == field->exact)
		return;
	strbuf_puts(out, "/0x");
	strbuf_put_hex(out, mask, digits);
}

void field_text_format(const struct field *field, const struct field_value *in,
		       const struct ofport_names *names, struct strbuf *out)
{
	uint32_t value, mask;

	if (field->form == FIELD_FORM_MAC || field->form == FIELD_FORM_IPV4 ||
	    field->form == FIELD_FORM_IPV6) {
		format_addresses(field, in, out);
		return;
	}
	value = load_number(field, in->value);
	mask = load_number(field, in->mask);
	if (field->form == FIELD_FORM_FRAG && format_frag(value, mask, out))
		return;
	if (field->form == FIELD_FORM_TCP_FLAGS &&
	    format_tcp_flags(value, mask, field->exact, out))
		return;
	if (field->form == FIELD_FORM_PORT && mask == field->exact)
		ofport_format(value, names, out);
	else
		format_number(field, value, mask, out);
}
