/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/drop.h"

static const struct {
	const char *name;
	const char *help;
	enum drop_stage stage;
} reasons[] = {
#define X(SYMBOL, NAME, STAGE, HELP) [DROP_##SYMBOL] = {NAME, HELP, DROP_STAGE_##STAGE},
	DROP_REASONS(X)
#undef X
};

_Static_assert(sizeof(reasons) / sizeof(reasons[0]) == DROP_N_REASONS, "a row for each reason");

const char *drop_reason_name(enum drop_reason reason)
{
	return reasons[reason].name;
}

const char *drop_reason_help(enum drop_reason reason)
{
	return reasons[reason].help;
}

enum drop_stage drop_reason_stage(enum drop_reason reason)
{
	return reasons[reason].stage;
}
