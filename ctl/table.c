/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void table_init(struct table *table, const struct table_column *columns, size_t n_columns)
{
	*table = (struct table){.columns = columns, .n_columns = n_columns};
}

void table_uninit(struct table *table)
{
	for (size_t i = 0; i < table->n; i++)
		free(table->cells[i]);
	free(table->cells);
}

void table_add(struct table *table, const char *fmt, ...)
{
	va_list args;
	char *text;
	int length;

	if (table->n == table->size) {
		size_t size = MAX(table->size * 2, (size_t)64);
		char **grown = realloc(table->cells, size * sizeof(*grown));

		if (!grown)
			return;
		table->cells = grown;
		table->size = size;
	}
	va_start(args, fmt);
	length = vasprintf(&text, fmt, args);
	va_end(args);
	if (length >= 0)
		table->cells[table->n++] = text;
}

/* Characters of UTF-8 text. */
static size_t text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

void table_print_text(const char *text, FILE *out)
{
	for (; *text; text++)
		fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, out);
}

static void print_cell(const struct table *table, size_t column, const char *text, size_t width,
		       FILE *out)
{
	size_t padding = width - MIN(text_width(text), width);
	bool last = column + 1 == table->n_columns;

	if (column > 0)
		fputs("  ", out);
	if (table->columns[column].right)
		fprintf(out, "%*s", (int)padding, "");
	table_print_text(text, out);
	if (!table->columns[column].right && !last)
		fprintf(out, "%*s", (int)padding, "");
}

void table_print(const struct table *table, FILE *out)
{
	size_t n_rows = table->n / table->n_columns;
	size_t *widths;

	if (n_rows == 0)
		return;
	widths = calloc(table->n_columns, sizeof(*widths));
	if (!widths)
		return;
	for (size_t i = 0; i < table->n_columns && !table->headless; i++)
		widths[i] = text_width(table->columns[i].title);
	for (size_t i = 0; i < n_rows * table->n_columns; i++)
		widths[i % table->n_columns] =
			MAX(widths[i % table->n_columns], text_width(table->cells[i]));
	for (size_t row = table->headless; row <= n_rows; row++) {
		fprintf(out, "%*s", (int)table->indent, "");
		for (size_t i = 0; i < table->n_columns; i++)
			print_cell(table, i,
				   row ? table->cells[(row - 1) * table->n_columns + i]
				       : table->columns[i].title,
				   widths[i], out);
		fputc('\n', out);
	}
	free(widths);
}
