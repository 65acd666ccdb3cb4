/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

/*
 * Tables on a terminal
 * ====================
 *
 * Collects cells row by row and prints them in columns as wide as their widest cell; numbers
 * stand to the right. The last column is never padded. Bytes that would move the cursor are printed
 *as '?', for names come from outside; UTF-8 counts by characters.
 *
 *	static const struct table_column columns[] = {{"PORT", false}, {"PACKETS", true}};
 *	struct table table;
 *
 *	table_init(&table, columns, ARRAY_SIZE(columns));
 *	table_add(&table, "%s", name);
 *	table_add(&table, "%" PRIu64, packets);
 *	table_print(&table, stdout);
 *	table_uninit(&table);
 *
 * A lack of memory loses cells, and the program is about to end anyway.
 *
 * Thread-safety: none needed, no shared state.
 */

#include "lib/util.h"

#include <stdbool.h>
#include <stdio.h>

struct table_column {
	const char *title;
	bool right; /* aligned to the right */
};

struct table {
	const struct table_column *columns; /* not owned */
	size_t n_columns;
	char **cells; /* owned, n of them, row after row */
	size_t n, size;
	unsigned int indent; /* blanks ahead of each line */
	bool headless; /* without a line of titles */
};

void table_init(struct table *table, const struct table_column *columns, size_t n_columns);
void table_uninit(struct table *table);

/* Appends the next cell. */
void table_add(struct table *table, const char *fmt, ...) PRINTF_FORMAT(2, 3);

/* Prints titles and rows. A table without rows prints nothing. */
void table_print(const struct table *table, FILE *out);

/* Prints text with the bytes that would move the cursor as '?'. */
void table_print_text(const char *text, FILE *out);

#endif
