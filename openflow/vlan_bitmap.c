/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/vlan_bitmap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool vlan_bitmap_is_empty(const struct vlan_bitmap *vlans)
{
	uint64_t all = 0;

	for (size_t i = 0; i < ARRAY_SIZE(vlans->w); i++)
		all |= vlans->w[i];
	return all == 0;
}

/* A VLAN number at the start of *text, which moves behind it. Returns -1 when there is none. */
static long parse_vlan(const char **text)
{
	char *end;
	long vlan;

	if (**text < '0' || **text > '9')
		return -1;
	vlan = strtol(*text, &end, 10);
	*text = end;
	return vlan > VLAN_MAX ? -1 : vlan;
}

int vlan_bitmap_parse(const char *text, struct vlan_bitmap *vlans, struct error *err)
{
	const char *p = text;

	memset(vlans, 0, sizeof(*vlans));
	while (*p) {
		long first = parse_vlan(&p), last = first;

		if (*p == '-') {
			p++;
			last = parse_vlan(&p);
		}
		if (first < 0 || last < first || (*p && *p != ',') || (*p && !p[1])) {
			memset(vlans, 0, sizeof(*vlans));
			return error_set(err, EINVAL,
					 "'%s' is no list of VLANs: numbers and ranges from 0 to "
					 "%u, such as 5,100-199",
					 text, VLAN_MAX);
		}
		for (long vlan = first; vlan <= last; vlan++)
			vlans->w[vlan / 64] |= UINT64_C(1) << vlan % 64;
		p += *p == ',';
	}
	return 0;
}

size_t vlan_bitmap_format(const struct vlan_bitmap *vlans, char *buf, size_t size)
{
	size_t length = 0;

	if (size)
		buf[0] = '\0';
	for (unsigned int vlan = 0, last; vlan <= VLAN_MAX; vlan = last + 1) {
		char range[16];
		int n;

		last = vlan;
		if (!vlan_bitmap_has(vlans, vlan))
			continue;
		while (last < VLAN_MAX && vlan_bitmap_has(vlans, last + 1))
			last++;
		n = last == vlan ? snprintf(range, sizeof(range), "%u", vlan)
				 : snprintf(range, sizeof(range), "%u-%u", vlan, last);
		snprintf(length < size ? buf + length : NULL, length < size ? size - length : 0,
			 "%s%s", length ? "," : "", range);
		length += (size_t)n + (length ? 1 : 0);
	}
	return length;
}
