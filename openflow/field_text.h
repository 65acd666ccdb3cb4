/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * field_text.h - the values of fields in text: 80, 0x0800, 10.0.0.0/8, +syn-ack, eth0.
 *
 * A value may carry a mask, VALUE/MASK in the form of the value; IPv4 and IPv6 addresses take a
 * prefix length too. Bits of the value outside of the mask are read as zero. A value that is
 * printed is read back to the same bits.
 *
 * Thread-safety: pure functions, and the callbacks of ofport_names.
 */
#ifndef VSWITCH_OPENFLOW_FIELD_TEXT_H
#define VSWITCH_OPENFLOW_FIELD_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/error.h"
#include "lib/strbuf.h"
#include "lib/util.h"
#include "openflow/field.h"
#include "openflow/ofport.h"
#include "openflow/scan.h"

/* What is read: both as long as the field, network byte order. */
struct field_value {
	uint8_t value[FIELD_BYTES_MAX];
	uint8_t mask[FIELD_BYTES_MAX];
};

/* Reads a value of `field`; a mask only if `is_maskable`. "*" is the mask of no bits. Returns 0 or
 * -EINVAL, with a sentence that says what was expected. */
int field_text_parse(const struct field *field, struct span text, bool is_maskable,
		     const struct ofport_names *names, struct field_value *out,
		     struct error *err) WARN_UNUSED;

/* Writes it, with /MASK unless it is exact. */
void field_text_format(const struct field *field, const struct field_value *in,
		       const struct ofport_names *names, struct strbuf *out);

#endif /* VSWITCH_OPENFLOW_FIELD_TEXT_H */
