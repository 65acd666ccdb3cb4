/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CTL_COMMAND_H
#define CTL_COMMAND_H

/*
 * The commands of vswitchctl, as a table
 * ======================================
 *
 * One row of `command_table` is one command: its name, its arguments and options, one sentence of
 * help, and how to print what the daemon answers. Usage texts, completion, the man page's list and
 * the reading of the command line all come from the row, so they cannot disagree; a new command is
 * a new row.
 *
 * A command line becomes a request (protocol.h) without any code of the command's own: the method
 * is the command's name, and each argument and option names the parameter that it fills. A row with
 * a `run` function does something else than one request and one print.
 *
 * Options may stand anywhere after the command's name and, as ovs-vsctl users write them, ahead of
 * it
 * ("--may-exist add-br br0"); "--" ends them.
 *
 * The same parser reads the lines of a script (script.h), which is why it never prints and never
 * exits.
 *
 * Thread-safety: the table is constant; the rest has no shared state.
 */

#include "lib/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#define COMMAND_ARGS_MAX 4
#define COMMAND_OPTIONS_MAX 4

enum command_arg_kind {
	COMMAND_ARG_STRING, /* one word, a string parameter */
	COMMAND_ARG_TEXT, /* this word and all that follow, joined by blanks, a string parameter */
	COMMAND_ARG_FILE, /* name of a file or "-": its content is the parameter, "file" its name */
	COMMAND_ARG_PATH, /* name of a file or "-", read by the command itself */
	COMMAND_ARG_WORDS, /* this word and all that follow, options too, an array parameter */
	COMMAND_ARG_PAIRS, /* KEY=VALUE words to the end, see struct command_arg */
};

/* Words that completion offers in an argument's place. */
enum command_completion {
	COMMAND_COMPLETE_NOTHING,
	COMMAND_COMPLETE_BRIDGE,
	COMMAND_COMPLETE_PORT, /* of the bridge in the first argument */
	COMMAND_COMPLETE_LINK, /* network devices */
	COMMAND_COMPLETE_NETNS, /* named network namespaces */
	COMMAND_COMPLETE_DOMAIN, /* libvirt's domains */
	COMMAND_COMPLETE_FILE,
	COMMAND_COMPLETE_PORT_OPTION, /* type=TYPE, and the options of that type */
	COMMAND_COMPLETE_KEY, /* the names in `keys` */
};

struct command_arg {
	const char *meta; /* "BR", as in usage texts; NULL ends the list */
	const char *param; /* "bridge", the request's parameter; of PAIRS the object for other keys,
			    * NULL: there are no other keys */
	enum command_arg_kind kind;
	bool optional;
	enum command_completion completes;
	/* PAIRS: keys that are parameters themselves, divided by blanks, whose values of digits
	 * only become integers; without other keys (`param` NULL or of the same name) just what is
	 * known */
	const char *keys;
	const char *hints; /* PAIRS: further keys that completion offers, divided by blanks */
};

struct command_option {
	const char *name; /* "may-exist", without dashes; NULL ends the list */
	const char *meta; /* "N" of an option with a value; NULL: a flag */
	const char *param; /* "may_exist": a flag is true, digits become an integer, the rest a
			      string */
	const char *help; /* one sentence */
};

enum command_group {
	COMMAND_GROUP_BRIDGES,
	COMMAND_GROUP_PORTS,
	COMMAND_GROUP_CONTAINERS,
	COMMAND_GROUP_VMS,
	COMMAND_GROUP_RULES,
	COMMAND_GROUP_MACS,
	COMMAND_GROUP_INSIGHT,
	COMMAND_GROUP_CONFIG,
	COMMAND_N_GROUPS
};

/* The heading of a group in usage texts. */
extern const char *const command_group_titles[COMMAND_N_GROUPS];

/* How vswitchctl was called, for run functions. */
struct command_context {
	const char *rundir;
	bool json; /* --json */
};

struct command {
	const char *name; /* NULL ends the table; also the request's method */
	enum command_group group;
	struct command_arg args[COMMAND_ARGS_MAX];
	struct command_option options[COMMAND_OPTIONS_MAX];
	const char *help; /* one sentence, no full stop */
	bool in_script; /* says how things shall be, so scripts for `apply` may hold it */
	/* prints the answer for people; NULL: success says nothing */
	void (*print)(FILE *out, const json_t *result);
	/* carries out the command by itself; takes params over; NULL: one request and one print */
	int (*run)(const struct command_context *context, json_t *params, struct error *e);
};

/* All commands, in the order of usage texts. */
extern const struct command command_table[];

/* The command of that name. NULL with `e` set, with a suggestion, when there is none. */
const struct command *command_lookup(const char *name, struct error *e);

/*
 * Reads `n` words, the command's name among them, into a new object of parameters. Returns 0,
 * -EINVAL (usage) or what reading a file failed with, `e` set; *commandp is set as soon as the name
 * is known, else NULL.
 */
int command_parse(const char *const *words, size_t n, const struct command **commandp,
		  json_t **params, struct error *e) WARN_UNUSED;

/* Writes the usage line: "add-port BR PORT [KEY=VALUE ...] [--may-exist]". */
void command_format_usage(const struct command *command, FILE *out);

/* Writes all commands by groups, with their help. */
void command_format_list(FILE *out);

/* Reads the whole file `name` ("-": standard input) into a string that the caller frees. */
int command_read_file(const char *name, char **text, size_t *size, struct error *e) WARN_UNUSED;

#endif
