/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitchd/process.h"

#include <stdio.h>
#include <string.h>

/* proc(5): starttime is the 22nd field of stat; the 2nd, in parentheses, may hold anything. */
#define STARTTIME_AFTER_NAME 20

/* Reads the first line of a file. */
static bool read_line(const char *path, char *buf, size_t size)
{
	FILE *in = fopen(path, "re");
	bool read = in && fgets(buf, (int)size, in);

	if (in)
		fclose(in);
	return read;
}

/* The field with number `n`, from 1, of `text`; NULL: there are not so many. */
static const char *find_field(const char *text, unsigned int n)
{
	for (; text && n > 1; n--) {
		text = strchr(text, ' ');
		if (text)
			text++;
	}
	return text;
}

bool process_get_identity(const char *pid, char identity[PROCESS_IDENTITY_SIZE])
{
	char path[64], boot[64], stat[1024];
	const char *name_end, *tick;

	identity[0] = '\0';
	if (!pid[0] || strspn(pid, "0123456789") != strlen(pid) || strlen(pid) > 10)
		return false;
	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	if (!read_line(path, stat, sizeof(stat)) ||
	    !read_line("/proc/sys/kernel/random/boot_id", boot, sizeof(boot)))
		return false;
	name_end = strrchr(stat, ')');
	tick = name_end && name_end[1] ? find_field(name_end + 2, STARTTIME_AFTER_NAME) : NULL;
	if (!tick)
		return false;
	snprintf(identity, PROCESS_IDENTITY_SIZE, "%.36s/%.*s", boot, (int)strcspn(tick, " "),
		 tick);
	return true;
}
