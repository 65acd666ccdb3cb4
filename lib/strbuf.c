/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/strbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRBUF_CAPACITY_MIN 128

void strbuf_uninit(struct strbuf *sb)
{
	free(sb->text);
	*sb = (struct strbuf)STRBUF_INIT;
}

void strbuf_clear(struct strbuf *sb)
{
	sb->length = 0;
	sb->failed = false;
	if (sb->text)
		sb->text[0] = '\0';
}

const char *strbuf_get(const struct strbuf *sb)
{
	return sb->text ? sb->text : "";
}

char *strbuf_detach(struct strbuf *sb)
{
	char *text = NULL;

	strbuf_put(sb, "", 0);
	if (!sb->failed) {
		text = sb->text;
		sb->text = NULL;
	}
	strbuf_uninit(sb);
	return text;
}

/* Makes room for `length` more bytes and the NUL. False: there is none, and sb->failed is set. */
static bool strbuf_reserve(struct strbuf *sb, size_t length)
{
	size_t capacity = sb->capacity ? sb->capacity : STRBUF_CAPACITY_MIN;
	char *text;

	if (sb->failed)
		return false;
	if (length < sb->capacity - sb->length)
		return true;
	while (capacity - sb->length <= length && capacity <= SIZE_MAX / 2)
		capacity *= 2;
	text = capacity - sb->length > length ? realloc(sb->text, capacity) : NULL;
	if (!text) {
		sb->failed = true;
		return false;
	}
	sb->text = text;
	sb->capacity = capacity;
	return true;
}

void strbuf_put(struct strbuf *sb, const char *text, size_t length)
{
	if (!strbuf_reserve(sb, length))
		return;
	memcpy(sb->text + sb->length, text, length);
	sb->length += length;
	sb->text[sb->length] = '\0';
}

void strbuf_puts(struct strbuf *sb, const char *text)
{
	strbuf_put(sb, text, strlen(text));
}

void strbuf_putc(struct strbuf *sb, char c)
{
	strbuf_put(sb, &c, 1);
}

void strbuf_printf(struct strbuf *sb, const char *fmt, ...)
{
	va_list args, again;
	int length;

	va_start(args, fmt);
	va_copy(again, args);
	length = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (length >= 0 && strbuf_reserve(sb, (size_t)length)) {
		vsnprintf(sb->text + sb->length, (size_t)length + 1, fmt, again);
		sb->length += (size_t)length;
	}
	va_end(again);
}

void strbuf_put_decimal(struct strbuf *sb, uint64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	strbuf_put(sb, digits + at, sizeof(digits) - at);
}

void strbuf_put_hex(struct strbuf *sb, uint64_t number, unsigned int digits)
{
	char text[16];
	size_t at = sizeof(text);

	do {
		text[--at] = "0123456789abcdef"[number & 15];
		number >>= 4;
	} while (number || (sizeof(text) - at < digits && at > 0));
	strbuf_put(sb, text + at, sizeof(text) - at);
}
