/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/suggest.h"

#include "lib/util.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Words longer than this get no suggestion: the table of distances lies on the stack. */
#define SUGGEST_WORD_MAX 40

/* Optimal string alignment distance; both words at most SUGGEST_WORD_MAX long. */
static unsigned int distance_get(const char *a, size_t a_length, const char *b, size_t b_length)
{
	unsigned int d[SUGGEST_WORD_MAX + 1][SUGGEST_WORD_MAX + 1];

	for (size_t i = 0; i <= a_length; i++)
		d[i][0] = (unsigned int)i;
	for (size_t j = 0; j <= b_length; j++)
		d[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= a_length; i++) {
		for (size_t j = 1; j <= b_length; j++) {
			unsigned int cost = a[i - 1] != b[j - 1];
			unsigned int best = MIN(d[i - 1][j], d[i][j - 1]) + 1;

			best = MIN(best, d[i - 1][j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = MIN(best, d[i - 2][j - 2] + 1);
			d[i][j] = best;
		}
	}
	return d[a_length][b_length];
}

void suggest_init(struct suggest *s, const char *word)
{
	s->word = word;
	s->best = NULL;
	s->distance = (unsigned int)(strlen(word) + 2) / 3 + 1;
}

void suggest_offer(struct suggest *s, const char *candidate)
{
	size_t word_length = strlen(s->word);
	size_t length = strlen(candidate);
	unsigned int distance;

	if (word_length > SUGGEST_WORD_MAX || length > SUGGEST_WORD_MAX)
		return;
	if (word_length >= 2 && strncmp(s->word, candidate, word_length) == 0)
		distance = 1;
	else
		distance = distance_get(s->word, word_length, candidate, length);
	if (distance < s->distance) {
		s->distance = distance;
		s->best = candidate;
	}
}

const char *suggest_format(const struct suggest *s, char *buf, size_t size)
{
	if (s->best)
		snprintf(buf, size, ", did you mean '%s'?", s->best);
	else if (size > 0)
		buf[0] = '\0';
	return buf;
}
