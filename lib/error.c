/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int negative_errno(int err)
{
	if (err == 0)
		return -EINVAL;
	return err < 0 ? err : -err;
}

/* Drop a UTF-8 character at the end of `text` that lost some of its bytes when it was cut. */
static void trim_partial_character(char *text)
{
	size_t length = strlen(text);
	size_t lead = length;
	size_t want;

	while (lead > 0 && length - lead < 4 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80)
		lead--;
	if (lead == 0)
		return;
	lead--;
	if (((unsigned char)text[lead] & 0xe0) == 0xc0)
		want = 2;
	else if (((unsigned char)text[lead] & 0xf0) == 0xe0)
		want = 3;
	else if (((unsigned char)text[lead] & 0xf8) == 0xf0)
		want = 4;
	else
		return;
	if (length - lead < want)
		text[lead] = '\0';
}

int error_set(struct error *e, int err, const char *fmt, ...)
{
	int saved = errno;
	char text[ERROR_TEXT_SIZE];
	va_list args;
	int length;

	if (e) {
		va_start(args, fmt);
		length = vsnprintf(text, sizeof(text), fmt, args);
		va_end(args);
		if (length < 0)
			text[0] = '\0';
		else if ((size_t)length >= sizeof(text))
			trim_partial_character(text);
		memcpy(e->text, text, sizeof(text));
	}
	errno = saved;
	return negative_errno(err);
}

int error_prefix(struct error *e, int err, const char *fmt, ...)
{
	int saved = errno;
	char text[ERROR_TEXT_SIZE];
	va_list args;
	int length;
	size_t used;

	if (!e)
		return negative_errno(err);

	va_start(args, fmt);
	length = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (length < 0)
		text[0] = '\0';
	used = strlen(text);
	length = snprintf(text + used, sizeof(text) - used, ": %s", e->text);
	if (length < 0 || (size_t)length >= sizeof(text) - used)
		trim_partial_character(text);
	memcpy(e->text, text, sizeof(text));
	errno = saved;
	return negative_errno(err);
}
