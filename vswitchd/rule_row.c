/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitchd/rule_row.h"

#include "openflow/rule_text.h"

#include <errno.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

int rule_row_make(const struct rule_spec *spec, struct config_rule *row)
{
	const uint64_t seed = (uint64_t)spec->table_id << 16 | spec->priority;
	struct strbuf out = STRBUF_INIT;
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical,
				 XXH3_128bits_withSeed(&spec->match, sizeof(spec->match), seed));
	memcpy(row->key, canonical.digest, CONFIG_RULE_KEY_SIZE);
	rule_format(spec, NULL, NULL, &out);
	row->text = strbuf_detach(&out);
	return row->text ? 0 : -ENOMEM;
}
