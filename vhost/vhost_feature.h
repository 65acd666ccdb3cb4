/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VHOST_VHOST_FEATURE_H
#define VHOST_VHOST_FEATURE_H

/*
 * Features by name
 * ================
 *
 * A feature mask as people write it: a number ("0x150008001") or names with commas between them, as
 * in "mrg_rxbuf,csum,guest_csum,version_1". The names are those of the virtio and vhost-user texts
 * in small letters, without VIRTIO_NET_F_, VIRTIO_F_ and so on; protocol features have a table of
 * their own.
 *
 * Thread-safety: functions over the caller's memory.
 */

#include <stdint.h>

#include "lib/error.h"
#include "lib/strbuf.h"

/* Append the names of the features in `mask`; bits without a name as "bit54". "none" if it is 0. */
void vhost_feature_format(uint64_t mask, struct strbuf *out);

/* The same for protocol features. */
void vhost_feature_format_protocol(uint64_t mask, struct strbuf *out);

/* Read a feature mask, by number or names. Returns 0, or -EINVAL with `e` set. */
int vhost_feature_parse(const char *text, uint64_t *mask, struct error *e) WARN_UNUSED;

#endif
