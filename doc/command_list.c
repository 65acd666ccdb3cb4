/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prints what vswitchctl(8) takes from the command table, as troff: without an argument all
 * commands, by groups; with "scripts" the names of those that a script may hold, in one sentence's
 * part.
 */
#include "ctl/command.h"

#include <ctype.h>
#include <string.h>

/* Text in which troff sees nothing but text. */
static void print_text(const char *text)
{
	for (; *text; text++) {
		if (*text == '-')
			fputs("\\-", stdout);
		else if (*text == '\\')
			fputs("\\e", stdout);
		else
			putchar(*text);
	}
}

static void print_command(const struct command *command)
{
	char usage[512] = "";
	FILE *out = fmemopen(usage, sizeof(usage), "w");

	command_format_usage(command, out);
	fclose(out);
	printf(".TP\n.B ");
	print_text(usage);
	printf("\n%c", toupper((unsigned char)command->help[0]));
	print_text(command->help + 1);
	printf(".\n");
	for (const struct command_option *option = command->options; option->name; option++) {
		printf(".br\n.BR \\-\\-");
		print_text(option->name);
		printf(" :\n");
		print_text(option->help);
		printf(".\n");
	}
}

static void print_groups(void)
{
	for (int group = 0; group < COMMAND_N_GROUPS; group++) {
		printf(".SS %s\n", command_group_titles[group]);
		for (const struct command *command = command_table; command->name; command++) {
			if ((int)command->group == group)
				print_command(command);
		}
	}
}

static void print_script_commands(void)
{
	const char *previous = NULL;

	for (const struct command *command = command_table; command->name; command++) {
		if (!command->in_script)
			continue;
		if (previous) {
			printf(".BR ");
			print_text(previous);
			printf(" ,\n");
		}
		previous = command->name;
	}
	printf("and\n.BR ");
	print_text(previous);
	printf(" .\n");
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "scripts") == 0)
		print_script_commands();
	else
		print_groups();
	return ferror(stdout) ? 1 : 0;
}
