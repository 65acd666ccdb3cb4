/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/command.h"

#include "ctl/protocol.h"
#include "lib/suggest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_READ_SIZE (64u << 10)

const char *const command_group_titles[] = {
	[COMMAND_GROUP_BRIDGES] = "Bridges",
	[COMMAND_GROUP_PORTS] = "Ports",
	[COMMAND_GROUP_CONTAINERS] = "Containers",
	[COMMAND_GROUP_VMS] = "Virtual machines",
	[COMMAND_GROUP_RULES] = "Rules",
	[COMMAND_GROUP_MACS] = "MAC table",
	[COMMAND_GROUP_INSIGHT] = "What goes on",
	[COMMAND_GROUP_CONFIG] = "The whole configuration",
};

const struct command *command_lookup(const char *name, struct error *e)
{
	struct suggest suggest;
	char hint[80];

	suggest_init(&suggest, name);
	for (const struct command *command = command_table; command->name; command++) {
		if (strcmp(command->name, name) == 0)
			return command;
		suggest_offer(&suggest, command->name);
	}
	error_set(e, EINVAL, "unknown command '%s'%s", name,
		  suggest_format(&suggest, hint, sizeof(hint)));
	return NULL;
}

int command_read_file(const char *name, char **text, size_t *size, struct error *e)
{
	FILE *in = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
	char *buf = NULL, *grown;
	size_t used = 0, n;
	int err = 0;

	if (!in)
		return error_set(e, errno, "cannot open %s: %m", name);
	do {
		grown = realloc(buf, used + COMMAND_READ_SIZE + 1);
		if (!grown) {
			err = error_set(e, ENOMEM, "%s: out of memory", name);
			break;
		}
		buf = grown;
		n = fread(buf + used, 1, COMMAND_READ_SIZE, in);
		used += n;
		if (used > PROTOCOL_LINE_SIZE_MAX)
			err = error_set(e, EFBIG, "%s: longer than %u bytes", name,
					PROTOCOL_LINE_SIZE_MAX);
	} while (!err && n > 0);
	if (!err && ferror(in))
		err = error_set(e, errno ? errno : EIO, "cannot read %s: %m", name);
	if (in != stdin)
		fclose(in);
	if (err) {
		free(buf);
		return err;
	}
	buf[used] = '\0';
	*text = buf;
	*size = used;
	return 0;
}

/* A value that a person typed: an integer if it is digits only (and not too many), else a string.
 */
static json_t *value_create(const char *text)
{
	size_t length = strlen(text);

	if (length > 0 && length <= 18 && strspn(text, "0123456789") == length)
		return json_integer(atoll(text));
	return json_string(text);
}

static int set_param(json_t *params, const char *name, json_t *value, const char *text,
		     struct error *e)
{
	if (!value)
		return error_set(e, EINVAL, "'%s' is not UTF-8 text", text);
	if (json_object_set_new(params, name, value))
		return error_set(e, ENOMEM, "out of memory");
	return 0;
}

/* Parses words[*at], which begins with "--". */
static int parse_option(const struct command *command, const char *const *words, size_t n,
			size_t *at, json_t *params, struct error *e)
{
	const char *word = words[*at] + 2;
	const char *equals = strchr(word, '=');
	size_t length = equals ? (size_t)(equals - word) : strlen(word);
	struct suggest suggest;
	char hint[80];

	suggest_init(&suggest, word);
	for (const struct command_option *option = command->options; option->name; option++) {
		const char *value = equals ? equals + 1 : NULL;

		suggest_offer(&suggest, option->name);
		if (strlen(option->name) != length || strncmp(option->name, word, length) != 0)
			continue;
		if (!option->meta && value)
			return error_set(e, EINVAL, "--%s takes no value", option->name);
		if (!option->meta)
			return set_param(params, option->param, json_true(), "", e);
		if (!value) {
			if (++*at >= n)
				return error_set(e, EINVAL, "--%s needs a value: --%s %s",
						 option->name, option->name, option->meta);
			value = words[*at];
		}
		return set_param(params, option->param, value_create(value), value, e);
	}
	return error_set(e, EINVAL, "%s has no option '--%s'%s", command->name, word,
			 suggest_format(&suggest, hint, sizeof(hint)));
}

/* Is `key` (of `length`) one of the words in `keys`? */
static bool key_is_listed(const char *keys, const char *key, size_t length)
{
	while (keys && *keys) {
		size_t n = strcspn(keys, " ");

		if (n == length && strncmp(keys, key, n) == 0)
			return true;
		keys += n + strspn(keys + n, " ");
	}
	return false;
}

static int parse_pair(const struct command_arg *arg, const char *word, json_t *params,
		      struct error *e)
{
	const char *equals = strchr(word, '=');
	json_t *object = params;
	bool direct;
	char key[64];
	size_t length;

	if (!equals || equals == word)
		return error_set(e, EINVAL, "'%s' is not KEY=VALUE", word);
	length = (size_t)(equals - word);
	if (length >= sizeof(key))
		return error_set(e, EINVAL, "'%s': the key is too long", word);
	memcpy(key, word, length);
	key[length] = '\0';
	direct = !arg->param || key_is_listed(arg->keys, key, length);
	if (!direct) {
		object = json_object_get(params, arg->param);
		if (!object) {
			object = json_object();
			if (json_object_set_new(params, arg->param, object))
				return error_set(e, ENOMEM, "out of memory");
		}
	}
	if (json_object_get(object, key))
		return error_set(e, EINVAL, "'%s' is given twice", key);
	return set_param(object, key, direct ? value_create(equals + 1) : json_string(equals + 1),
			 word, e);
}

static int parse_file(const struct command_arg *arg, const char *name, json_t *params,
		      struct error *e)
{
	char *text;
	size_t size;
	int err;

	err = command_read_file(name, &text, &size, e);
	if (err)
		return err;
	if (strlen(text) != size)
		err = error_set(e, EINVAL, "%s: holds NUL bytes, it is not a script", name);
	if (!err)
		err = set_param(params, arg->param, json_stringn(text, size), name, e);
	if (!err)
		err = set_param(params, "file", json_string(name), name, e);
	free(text);
	return err;
}

static int parse_text(const struct command_arg *arg, const char *const *words, size_t n,
		      json_t *params, struct error *e)
{
	char *text;
	size_t size = 1;
	int err;

	for (size_t i = 0; i < n; i++)
		size += strlen(words[i]) + 1;
	text = malloc(size);
	if (!text)
		return error_set(e, ENOMEM, "out of memory");
	text[0] = '\0';
	for (size_t i = 0, used = 0; i < n; i++)
		used += (size_t)sprintf(text + used, "%s%s", i ? " " : "", words[i]);
	err = set_param(params, arg->param, json_string(text), text, e);
	free(text);
	return err;
}

static int parse_words(const struct command_arg *arg, const char *const *words, size_t n,
		       json_t *params, struct error *e)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++) {
		if (json_array_append_new(array, json_string(words[i]))) {
			json_decref(array);
			return error_set(e, EINVAL, "'%s' is not UTF-8 text", words[i]);
		}
	}
	return set_param(params, arg->param, array, "", e);
}

/* Fills in one argument from the front of `words`; stores how many it took. */
static int parse_arg(const struct command_arg *arg, const char *const *words, size_t n,
		     size_t *taken, json_t *params, struct error *e)
{
	int err = 0;

	*taken = 1;
	switch (arg->kind) {
	case COMMAND_ARG_STRING:
	case COMMAND_ARG_PATH:
		return set_param(params, arg->param, json_string(words[0]), words[0], e);
	case COMMAND_ARG_FILE:
		return parse_file(arg, words[0], params, e);
	case COMMAND_ARG_TEXT:
		*taken = n;
		return parse_text(arg, words, n, params, e);
	case COMMAND_ARG_WORDS:
		*taken = n;
		return parse_words(arg, words, n, params, e);
	case COMMAND_ARG_PAIRS:
		*taken = n;
		for (size_t i = 0; i < n && !err; i++)
			err = parse_pair(arg, words[i], params, e);
		return err;
	}
	return -EINVAL;
}

static int parse_args(const struct command *command, const char *const *words, size_t n,
		      json_t *params, struct error *e)
{
	const struct command_arg *arg = command->args;
	size_t taken;
	int err;

	for (; arg->meta && n > 0; arg++, words += taken, n -= taken) {
		err = parse_arg(arg, words, n, &taken, params, e);
		if (err)
			return err;
	}
	if (n > 0)
		return error_set(e, EINVAL, "%s: '%s' is too much", command->name, words[0]);
	if (arg->meta && !arg->optional)
		return error_set(e, EINVAL, "%s: %s is missing", command->name, arg->meta);
	return 0;
}

/* The first word that is no option: the command's name. `n` if there is none. */
static size_t find_name(const char *const *words, size_t n)
{
	size_t i = 0;

	while (i < n && strncmp(words[i], "--", 2) == 0)
		i++;
	return i;
}

int command_parse(const char *const *words, size_t n, const struct command **commandp,
		  json_t **params, struct error *e)
{
	const struct command *command;
	const char **args;
	size_t name = find_name(words, n), n_args = 0;
	bool only_args = false;
	int err = 0;

	*commandp = NULL;
	if (name == n)
		return error_set(e, EINVAL, "no command is given");
	command = command_lookup(words[name], e);
	if (!command)
		return -EINVAL;
	*commandp = command;
	args = calloc(n, sizeof(*args));
	*params = json_object();
	if (!args || !*params)
		err = error_set(e, ENOMEM, "out of memory");
	for (size_t i = 0; i < n && !err; i++) {
		if (i == name)
			continue;
		if (only_args || strncmp(words[i], "--", 2) != 0 ||
		    command->args[0].kind == COMMAND_ARG_WORDS)
			args[n_args++] = words[i];
		else if (words[i][2] == '\0')
			only_args = true;
		else
			err = parse_option(command, words, n, &i, *params, e);
	}
	if (!err)
		err = parse_args(command, args, n_args, *params, e);
	free(args);
	if (err)
		json_decref(*params);
	return err;
}

void command_format_usage(const struct command *command, FILE *out)
{
	fputs(command->name, out);
	for (const struct command_arg *arg = command->args; arg->meta; arg++)
		fprintf(out, arg->optional ? " [%s]" : " %s", arg->meta);
	for (const struct command_option *option = command->options; option->name; option++)
		fprintf(out, option->meta ? " [--%s %s]" : " [--%s]", option->name, option->meta);
}

void command_format_list(FILE *out)
{
	for (int group = 0; group < COMMAND_N_GROUPS; group++) {
		fprintf(out, "\n%s:\n", command_group_titles[group]);
		for (const struct command *command = command_table; command->name; command++) {
			if ((int)command->group != group)
				continue;
			fputs("  ", out);
			command_format_usage(command, out);
			fprintf(out, "\n        %s\n", command->help);
		}
	}
}
