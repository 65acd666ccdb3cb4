/* SPDX-License-Identifier: BSD-2-Clause */
/* vswitchctl: reads the command line, carries one command out. */
#include "ctl/command.h"
#include "ctl/protocol.h"
#include "ctl/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_REFUSED 1
#define EXIT_USAGE 2

static void print_help(FILE *out)
{
	fputs("usage: vswitchctl [--rundir DIR] [--json] COMMAND [ARGUMENT ...]\n"
	      "\n"
	      "Tells a running vswitchd what to do, and asks it what it does.\n"
	      "\n"
	      "  --rundir DIR   where vswitchd runs [$" PROTOCOL_RUNDIR_ENV
	      " or " PROTOCOL_RUNDIR_DEFAULT "]\n"
	      "  --json         print the answer as JSON\n"
	      "  -h, --help     print this; after a command: how to use that\n"
	      "  -V, --version  print the version\n",
	      out);
	command_format_list(out);
}

static void print_command_help(const struct command *command)
{
	fputs("usage: vswitchctl ", stdout);
	command_format_usage(command, stdout);
	printf("\n\n%s\n", command->help);
	if (command->options[0].name)
		fputc('\n', stdout);
	for (const struct command_option *option = command->options; option->name; option++)
		printf("  --%s%s%s\n        %s\n", option->name, option->meta ? " " : "",
		       option->meta ? option->meta : "", option->help);
}

/* What stands on the command line besides the command's own words. */
struct settings {
	struct command_context context;
	const char *rundir; /* of --rundir, or NULL */
	bool help, version;
	const char **words; /* the command's; owned */
	size_t n_words;
};

/* Takes one of our options off the front of `words`. Returns how many words it took, or 0: it is
 * not ours. */
static size_t take_option(struct settings *settings, char *const *words)
{
	const char *word = words[0];

	if (strcmp(word, "--json") == 0)
		settings->context.json = true;
	else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		settings->help = true;
	else if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
		settings->version = true;
	else if (strncmp(word, "--rundir=", 9) == 0)
		settings->rundir = word + 9;
	else if (strcmp(word, "--rundir") == 0)
		settings->rundir = words[1] ? words[1] : "";
	else
		return 0;
	return strcmp(word, "--rundir") == 0 && words[1] ? 2 : 1;
}

/* Our options may stand anywhere, but `complete` gets all of its words, and "--" ends options. */
static void read_words(struct settings *settings, char *const *argv)
{
	bool only_words = false;

	while (*argv) {
		size_t taken = only_words ? 0 : take_option(settings, argv);

		if (taken == 0) {
			only_words |= strcmp(*argv, "--") == 0 || strcmp(*argv, "complete") == 0;
			settings->words[settings->n_words++] = *argv;
			taken = 1;
		}
		argv += taken;
	}
}

/* Says what is wrong, and how it would be right. */
static int refuse_usage(const struct command *command, const struct error *e)
{
	fprintf(stderr, "vswitchctl: %s; ", e->text);
	if (command) {
		fputs("usage: ", stderr);
		command_format_usage(command, stderr);
		fputc('\n', stderr);
	} else {
		fputs("see 'vswitchctl --help'\n", stderr);
	}
	return EXIT_USAGE;
}

static int run(struct settings *settings)
{
	const struct command *command;
	struct error e = ERROR_INIT;
	json_t *params;
	int err;

	if (settings->help && settings->n_words > 0) {
		command = command_lookup(settings->words[0], &e);
		if (!command)
			return refuse_usage(NULL, &e);
		print_command_help(command);
		return EXIT_SUCCESS;
	}
	if (settings->help) {
		print_help(stdout);
		return EXIT_SUCCESS;
	}
	if (settings->version) {
		printf("vswitchctl %s\n", PACKAGE_VERSION);
		return EXIT_SUCCESS;
	}
	err = command_parse(settings->words, settings->n_words, &command, &params, &e);
	if (err == -EINVAL)
		return refuse_usage(command, &e);
	if (!err)
		err = run_command(&settings->context, command, params, &e);
	if (err) {
		fprintf(stderr, "vswitchctl: %s\n", e.text);
		return EXIT_REFUSED;
	}
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct settings settings = {0};
	int status;

	signal(SIGPIPE, SIG_IGN);
	settings.words = calloc((size_t)argc + 1, sizeof(*settings.words));
	if (!settings.words)
		return EXIT_REFUSED;
	read_words(&settings, argv + 1);
	settings.context.rundir = protocol_get_rundir(settings.rundir);
	status = run(&settings);
	free(settings.words);
	return status;
}
