/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CTL_RUN_H
#define CTL_RUN_H

/*
 * Carrying commands out
 * =====================
 *
 * run_command() does what nearly all commands need: one request, one print. The others are those of
 * command_table.c that need more.
 *
 * Thread-safety: no shared state.
 */

#include "ctl/command.h"

/*
 * Carries out a parsed command; takes over the reference to `params`. Returns 0 or a negative errno
 * with `e` set.
 */
int run_command(const struct command_context *context, const struct command *command,
		json_t *params, struct error *e) WARN_UNUSED;

/* Prints an answer: as JSON, or for people. Returns 0, or -EIO when standard output takes no more.
 */
int run_print(const struct command_context *context, const struct command *command,
	      const json_t *result, struct error *e) WARN_UNUSED;

/* drops: once, or each second what has been added (--live). */
int run_drops(const struct command_context *context, json_t *params, struct error *e);

/* apply: reads the script here, for its files and its syntax are the caller's. */
int run_apply(const struct command_context *context, json_t *params, struct error *e);

/* vm-check: prints, and fails when something is wrong. */
int run_vm_check(const struct command_context *context, json_t *params, struct error *e);

/* complete: candidates for the last of the words. (ctl/complete.c) */
int run_complete(const struct command_context *context, json_t *params, struct error *e);

#endif
