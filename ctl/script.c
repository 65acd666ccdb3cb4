/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/script.h"

#include "ctl/command.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Characters that a shell would act on. */
static const char special[] = "$`;|&<>()*?";

/* The text being cut up. */
struct splitter {
	const char *at, *end;
	char *out; /* where the next character of a word goes */
	unsigned int line;
};

/* Copies a quoted stretch; `at` is behind its opening quote. */
static int copy_quoted(struct splitter *s, char quote, struct error *e)
{
	while (s->at < s->end && *s->at != quote) {
		char c = *s->at++;

		if (c == '\n')
			return error_set(e, EINVAL, "the quote is not closed in this line");
		if (quote == '"' && (c == '$' || c == '`'))
			return error_set(e, EINVAL, "'%c' means something to a shell: use '", c);
		if (quote == '"' && c == '\\' && s->at < s->end &&
		    (*s->at == '"' || *s->at == '\\'))
			c = *s->at++;
		*s->out++ = c;
	}
	if (s->at == s->end)
		return error_set(e, EINVAL, "the quote is not closed");
	s->at++;
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Passes over blanks, and the ends of lines that continue. */
static void skip_blanks(struct splitter *s)
{
	while (s->at < s->end) {
		if (is_blank(*s->at)) {
			s->at++;
		} else if (*s->at == '\\' && (s->at + 1 == s->end || s->at[1] == '\n')) {
			s->at = MIN(s->at + 2, s->end);
			s->line++;
		} else {
			break;
		}
	}
}

/* Copies one word, up to a blank or the line's end. */
static int copy_word(struct splitter *s, struct error *e)
{
	int err = 0;

	while (s->at < s->end && !is_blank(*s->at) && *s->at != '\n' && !err) {
		char c = *s->at++;

		if (c == '\'' || c == '"') {
			err = copy_quoted(s, c, e);
		} else if (c == '\\') {
			if (s->at == s->end)
				break;
			if (*s->at == '\n')
				s->line++; /* the line goes on, and so does the word */
			else
				*s->out++ = *s->at;
			s->at++;
		} else if (c == '\0' || strchr(special, c)) {
			err = error_set(e, EINVAL, "'%c' means something to a shell: put it in '",
					c ? c : '?');
		} else {
			*s->out++ = c;
		}
	}
	*s->out++ = '\0';
	return err;
}

int script_split(const char **text, const char *end, char *buf, const char **words,
		 unsigned int *line, struct error *e)
{
	struct splitter s = {.at = *text, .end = end, .out = buf, .line = *line};
	int n = 0, err = 0;

	for (;;) {
		skip_blanks(&s);
		if (s.at == s.end || *s.at == '\n' || *s.at == '#')
			break;
		if (n == SCRIPT_WORDS_MAX) {
			err = error_set(e, EINVAL, "more than %d words", SCRIPT_WORDS_MAX);
			break;
		}
		words[n++] = s.out;
		err = copy_word(&s, e);
		if (err)
			break;
	}
	while (s.at < s.end && *s.at != '\n')
		s.at++;
	if (s.at < s.end)
		s.at++;
	*text = s.at;
	*line = s.line + 1;
	return err ? err : n;
}

/* Parses the words of one line and appends the command. */
static int append_command(json_t *commands, const char *const *words, size_t n, unsigned int line,
			  struct error *e)
{
	const struct command *command;
	json_t *params;
	int err;

	if (strcmp(words[0], "vswitchctl") == 0) {
		words++;
		n--;
	}
	err = command_parse(words, n, &command, &params, e);
	if (err)
		return err;
	if (!command->in_script) {
		json_decref(params);
		return error_set(
			e, EINVAL,
			"'%s' does not say how things shall be: it has no place in a script",
			command->name);
	}
	if (json_array_append_new(commands, json_pack("{s:i, s:s, s:o}", "line", (int)line,
						      "method", command->name, "params", params)))
		return error_set(e, ENOMEM, "out of memory");
	return 0;
}

int script_parse(const char *text, size_t size, const char *file, json_t **commands,
		 struct error *e)
{
	const char *words[SCRIPT_WORDS_MAX], *end = text + size;
	char *buf = malloc(2 * size + 1);
	unsigned int line = 1, next = 1;
	int err = 0;

	*commands = json_array();
	if (!buf || !*commands)
		err = error_set(e, ENOMEM, "out of memory");
	while (!err && text < end) {
		int n;

		line = next;
		n = script_split(&text, end, buf, words, &next, e);
		if (n > 0)
			err = append_command(*commands, words, (size_t)n, line, e);
		else
			err = n;
	}
	free(buf);
	if (!err)
		return 0;
	json_decref(*commands);
	return error_prefix(e, err, "%s:%u", file, line);
}
