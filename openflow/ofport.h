/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ofport.h - OpenFlow port numbers in text: 3, eth0, "eth 0", LOCAL.
 *
 * Rules hold numbers. Whoever has a bridge lends its names by a struct ofport_names; without one
 * (NULL) text must give numbers, and numbers are what is printed. The reserved ports (OFPORT_* in
 * ofaction.h) are words for everybody, in capitals or not, and win over a port of that name; quotes
 * make it the port's name: output:"local", output:"7".
 *
 * A name is printed in quotes when it would not be read back as one word otherwise.
 *
 * Thread-safety: that of the callbacks.
 */
#ifndef VSWITCH_OPENFLOW_OFPORT_H
#define VSWITCH_OPENFLOW_OFPORT_H

#include <stddef.h>
#include <stdint.h>
#include "lib/error.h"
#include "lib/strbuf.h"
#include "lib/suggest.h"
#include "lib/util.h"
#include "openflow/ofaction.h"
#include "openflow/scan.h"

/* Longest name in text, bytes. */
#define OFPORT_NAME_MAX 255

/* A bridge's port names. Every member is there. */
struct ofport_names {
	/* The number of the port called `name` (`length` bytes, no NUL needed); OFPORT_NONE: there
	 * is none. */
	uint32_t (*get_number)(void *aux, const char *name, size_t length);
	/* The name of the port, good until the next call; NULL: it has none. */
	const char *(*get_name)(void *aux, uint32_t port);
	/* Offers every name to `s`, for "did you mean". */
	void (*offer)(void *aux, struct suggest *s);
	void *aux;
};

/* Reads a port. Returns 0, -EINVAL for what can be no port, -ENODEV for a name that no port has. */
int ofport_parse(struct span text, const struct ofport_names *names, uint32_t *port,
		 struct error *err) WARN_UNUSED;

/* The reserved port called so; OFPORT_NONE: none. */
uint32_t ofport_lookup_reserved(struct span word);

/* Offers the reserved words and the names. */
void ofport_offer_names(const struct ofport_names *names, struct suggest *s);

void ofport_format(uint32_t port, const struct ofport_names *names, struct strbuf *out);

#endif /* VSWITCH_OPENFLOW_OFPORT_H */
