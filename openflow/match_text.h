/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * match_text.h - matches in text: in_port=1,tcp,nw_dst=192.0.2.0/24,tp_dst=80
 *
 * The syntax is ovs-ofctl's, see vswitch-flows(7): fields of field.h as KEY=VALUE[/MASK], and words
 * for protocols (ip, tcp, arp ...). The order of fields does not matter.
 *
 * Refused, where ovs-ofctl drops or overwrites in silence: a field whose prerequisite is missing
 * (nw_src without ip), a field given twice, and fields that contradict each other (tcp,udp).
 *
 * A rule's line holds more than its match. Its parser takes the line apart, and offers each pair to
 * a match_parser first:
 *
 *	match_parser_init(&parser, names, false);
 *	while (scan_pair(&rest, &key, &value)) {
 *		err = match_parser_put(&parser, key, value, e);
 *		if (err == -ENOENT)
 *			...	(not a word of matches)
 *	}
 *	err = match_parser_finish(&parser, e);	(parser.match is complete)
 *
 * Printing works for any value and mask, those of cached flows too, whose masks have bits that no
 * rule could ask for. A match that was parsed prints as text that parses to the same match.
 *
 * Thread-safety: a parser belongs to one thread.
 */
#ifndef VSWITCH_OPENFLOW_MATCH_TEXT_H
#define VSWITCH_OPENFLOW_MATCH_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/error.h"
#include "lib/strbuf.h"
#include "lib/suggest.h"
#include "lib/util.h"
#include "openflow/field.h"
#include "openflow/match.h"
#include "openflow/ofport.h"
#include "openflow/scan.h"

struct match_parser {
	struct match match; /* of what was put so far */
	const struct ofport_names *names; /* not owned; may be NULL */
	const struct field_name *named[FIELD_N_IDS]; /* fields that were put, in order */
	uint32_t n_named;
	uint64_t seen; /* bits 1 << enum field_id of fields that were put */
	bool is_exact; /* the text is of one packet: masks are refused */
};

void match_parser_init(struct match_parser *parser, const struct ofport_names *names,
		       bool is_exact);

/* Adds KEY or KEY=VALUE. Returns 0; -ENOENT, with `err` untouched, for a key that is none of a
 * match; -EINVAL or -ENODEV (an unknown port) with `err` set. */
int match_parser_put(struct match_parser *parser, struct span key, struct span value,
		     struct error *err) WARN_UNUSED;

/* Checks the prerequisites of all fields. Returns 0 or -EINVAL. */
int match_parser_finish(const struct match_parser *parser, struct error *err) WARN_UNUSED;

/* Does the match make sure that each of its packets is what `needs` says? Of fragments it is enough
 * that it does not ask for later ones, which have no L4 header. */
bool match_needs_hold(const struct match *match, enum field_needs needs);

/* Says in `err` what the match lacks for `what`. Returns -EINVAL. */
int match_refuse_needs(const struct match *match, const char *what, enum field_needs needs,
		       struct error *err) WARN_UNUSED;

/* Offers the words that a match may hold. */
void match_offer_words(struct suggest *s);

/* Reads a whole match. Returns 0, -EINVAL or -ENODEV. */
int match_parse(const char *text, size_t length, const struct ofport_names *names,
		struct match *match, struct error *err) WARN_UNUSED;

/* Reads a packet's headers in the form of a match without masks ("in_port=1,tcp,nw_src=192.0.2.1,
 * nw_dst=192.0.2.2,tp_dst=80", for trace); what is not named is zero. Returns as match_parse(). */
int match_parse_key(const char *text, size_t length, const struct ofport_names *names,
		    struct flow_key *key, struct error *err) WARN_UNUSED;

/* Appends the match, fields separated by commas; nothing at all for a match of every packet. */
void match_format(const struct match *match, const struct ofport_names *names,
		  struct strbuf *out);

#endif /* VSWITCH_OPENFLOW_MATCH_TEXT_H */
