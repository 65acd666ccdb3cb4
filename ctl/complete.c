/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What could stand in place of the last word of a command line: read from the command table, and,
 * for names of bridges and ports, asked of the daemon. Completion never complains: what cannot be
 * found out is not offered.
 */
#include "ctl/client.h"
#include "ctl/run.h"

#include <dirent.h>
#include <string.h>

/* A completion under way. */
struct completion {
	const struct command_context *context;
	const struct command *command;
	const char *args[64]; /* words that are no options, without the last */
	size_t n_args;
	const char *word; /* the last one, to be completed; maybe empty */
};

static void offer(const struct completion *completion, const char *candidate)
{
	if (strncmp(candidate, completion->word, strlen(completion->word)) == 0)
		puts(candidate);
}

/* Offers "PREFIX=". */
static void offer_key(const struct completion *completion, const char *key, size_t length)
{
	char text[80];

	snprintf(text, sizeof(text), "%.*s=", (int)length, key);
	offer(completion, text);
}

/* The answer of the daemon, or NULL. */
static json_t *ask(const struct completion *completion, const char *method, json_t *params)
{
	struct client *client;
	json_t *result = NULL;

	if (client_open(completion->context->rundir, &client, NULL)) {
		json_decref(params);
		return NULL;
	}
	if (client_call(client, method, params, &result, NULL))
		result = NULL;
	client_close(client);
	return result;
}

static void offer_strings(const struct completion *completion, const char *method, json_t *params,
			  const char *member)
{
	json_t *result = ask(completion, method, params), *item;
	size_t i;

	json_array_foreach(json_object_get(result, member), i, item)
		offer(completion, json_string_value(item));
	json_decref(result);
}

static void offer_ports(const struct completion *completion)
{
	if (completion->n_args > 0)
		offer_strings(completion, "list-ports",
			      json_pack("{s:s}", "bridge", completion->args[0]), "ports");
}

static void offer_options(const struct completion *completion, const json_t *options)
{
	json_t *option;
	size_t i;

	json_array_foreach(options, i, option)
	{
		const char *name = json_string_value(json_object_get(option, "option"));

		if (name)
			offer_key(completion, name, strlen(name));
	}
}

/* The value of type= among the words; NULL: the default. */
static const char *find_type(const struct completion *completion)
{
	for (size_t i = 0; i < completion->n_args; i++) {
		if (strncmp(completion->args[i], "type=", 5) == 0)
			return completion->args[i] + 5;
	}
	return "afxdp";
}

/* type=TYPE, the options of the chosen type, and those of every type. */
static void offer_port_options(const struct completion *completion)
{
	json_t *result = ask(completion, "list-types", NULL), *type;
	const char *chosen = find_type(completion);
	size_t i;

	json_array_foreach(json_object_get(result, "types"), i, type)
	{
		const char *name = json_string_value(json_object_get(type, "type"));
		char text[80];

		if (!name)
			continue;
		snprintf(text, sizeof(text), "type=%s", name);
		if (strcmp(completion->command->name, "add-port") == 0)
			offer(completion, text);
		if (strcmp(name, chosen) == 0)
			offer_options(completion, json_object_get(type, "options"));
	}
	offer_options(completion, json_object_get(result, "bridge_options"));
	json_decref(result);
}

static void offer_keys(const struct completion *completion, const char *keys)
{
	while (keys && *keys) {
		size_t n = strcspn(keys, " ");

		offer_key(completion, keys, n);
		keys += n + strspn(keys + n, " ");
	}
}

/* The entries of a folder: devices, namespaces. */
static void offer_entries(const struct completion *completion, const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;

	while (folder && (entry = readdir(folder))) {
		if (entry->d_name[0] != '.')
			offer(completion, entry->d_name);
	}
	if (folder)
		closedir(folder);
}

static void offer_arg(const struct completion *completion, const struct command_arg *arg)
{
	switch (arg->completes) {
	case COMMAND_COMPLETE_BRIDGE:
		offer_strings(completion, "list-br", NULL, "bridges");
		break;
	case COMMAND_COMPLETE_PORT:
		offer_ports(completion);
		break;
	case COMMAND_COMPLETE_LINK:
		offer_entries(completion, "/sys/class/net");
		break;
	case COMMAND_COMPLETE_DOMAIN:
		offer_strings(completion, "list-vms", NULL, "domains");
		break;
	case COMMAND_COMPLETE_NETNS:
		offer_entries(completion, "/run/netns");
		break;
	case COMMAND_COMPLETE_PORT_OPTION:
		offer_port_options(completion);
		break;
	case COMMAND_COMPLETE_KEY:
		offer_keys(completion, arg->keys);
		offer_keys(completion, arg->hints);
		break;
	case COMMAND_COMPLETE_FILE: /* the shell knows its files */
	case COMMAND_COMPLETE_NOTHING:
		break;
	}
}

static void offer_commands(const struct completion *completion)
{
	for (const struct command *command = command_table; command->name; command++)
		offer(completion, command->name);
}

static void offer_command_options(const struct completion *completion)
{
	char text[80];

	for (const struct command_option *option = completion->command->options; option->name;
	     option++) {
		snprintf(text, sizeof(text), "--%s", option->name);
		offer(completion, text);
	}
}

/* Takes the words apart: the command's name, its arguments, the word to complete. */
static void read_words(struct completion *completion, const json_t *words)
{
	size_t n = json_array_size(words);

	completion->word = "";
	for (size_t i = 0; i < n; i++) {
		const char *word = json_string_value(json_array_get(words, i));

		if (i == 0 && n > 1 && strcmp(word, "--") == 0)
			continue; /* what follows are words, whatever they look like */
		if (i + 1 == n)
			completion->word = word;
		else if (strncmp(word, "--", 2) == 0)
			continue;
		else if (!completion->command)
			completion->command = command_lookup(word, NULL);
		else if (completion->n_args < ARRAY_SIZE(completion->args))
			completion->args[completion->n_args++] = word;
	}
}

int run_complete(const struct command_context *context, json_t *params, struct error *e)
{
	struct completion completion = {.context = context};
	const struct command_arg *arg;
	size_t at = 0;

	(void)e;
	read_words(&completion, json_object_get(params, "words"));
	if (!completion.command) {
		offer_commands(&completion);
	} else if (strncmp(completion.word, "--", 2) == 0) {
		offer_command_options(&completion);
	} else {
		/* pairs go on to the end */
		arg = completion.command->args;
		while (arg->meta && arg->kind != COMMAND_ARG_PAIRS && at < completion.n_args) {
			arg++;
			at++;
		}
		if (arg->meta)
			offer_arg(&completion, arg);
	}
	json_decref(params);
	return 0;
}
