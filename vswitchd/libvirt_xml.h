/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VSWITCHD_LIBVIRT_XML_H
#define VSWITCHD_LIBVIRT_XML_H

/*
 * Reading libvirt's descriptions
 * ==============================
 *
 * Turns a domain's XML into struct libvirt_domain, with libxml2. The text comes from libvirtd,
 * which took most of it from whoever defined the domain, so it is read as text from outside: no
 * entity is expanded, no file or network is touched, sizes and counts are bounded, and what makes
 * no sense (a bad MAC address, 10^9 queues) is left out rather than believed.
 *
 * Life cycle: libvirt_xml_init() once in the process, ahead of threads that read.
 *
 * Thread-safety: any thread, after libvirt_xml_init().
 */

#include "lib/error.h"
#include "vswitchd/libvirt_domain.h"

#define LIBVIRT_XML_SIZE_MAX (4u << 20) /* bytes of a description */

void libvirt_xml_init(void);

/*
 * Adds what `text` says of the domain in that scope: interfaces, shared memory, metadata (of the
 * running machine first, where it has any). Returns 0, -EINVAL (no XML of a domain), -E2BIG or
 * -ENOMEM with `e` set; the domain is then as far as it was read.
 */
int libvirt_xml_parse_domain(struct libvirt_domain *domain, enum libvirt_scope scope,
			     const char *text, struct error *e) WARN_UNUSED;

/*
 * Whom QEMU runs as, out of a connection's capabilities (the base label of the model "dac", such
 * as "+64055:+64055"). Returns false where they do not say.
 */
bool libvirt_xml_parse_user(const char *text, uint32_t *uid, uint32_t *gid);

#endif
