/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>
#include <xdp/libxdp.h>

#include "bpf/xdp_message.h"
#include "lib/log.h"
#include "lib/util.h"

#define REASON_SIZE 160
/* A verifier log can be long; its end, which matters, is at most this. */
#define MESSAGE_SIZE 65536

static _Thread_local char reason[REASON_SIZE];

static bool has_prefix(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

/* Lines that stand in each verifier log and say nothing of the reason. */
static bool is_noise(const char *line)
{
	static const char *const noise[] = {
		"verification time", "stack depth", "processed ", "-- END", "mark_precise", ";"};

	for (size_t i = 0; i < ARRAY_SIZE(noise); i++)
		if (has_prefix(line, noise[i]))
			return true;
	return *line == '\0';
}

static void keep(const char *text)
{
	size_t len = strcspn(text, "\n");

	while (len && (text[len - 1] == '.' || text[len - 1] == ' '))
		len--;
	snprintf(reason, sizeof(reason), "%.*s", (int)MIN(len, sizeof(reason) - 1), text);
}

/* Keeps the last line of a verifier log that says something. */
static void keep_verifier_line(char *log)
{
	char *save, *line = strtok_r(log, "\n", &save);

	for (; line; line = strtok_r(NULL, "\n", &save))
		if (!is_noise(line))
			keep(line);
}

static void take(char *text)
{
	static const char netlink[] = "Kernel error message: ";
	static const char verifier[] = "-- BEGIN PROG LOAD LOG --\n";
	static const char map[] = "libbpf: map '";
	char *found = strstr(text, netlink);

	if (found) {
		keep(found + strlen(netlink));
		return;
	}
	if (has_prefix(text, map) && strstr(text, "failed to create")) {
		keep(text + strlen("libbpf: "));
		return;
	}
	found = strstr(text, verifier);
	if (found)
		keep_verifier_line(found + strlen(verifier));
}

static int print(const char *library, const char *format, va_list args)
{
	static _Thread_local char text[MESSAGE_SIZE];
	int len = vsnprintf(text, sizeof(text), format, args);

	if (len <= 0)
		return len;
	log_debug("%s: %.*s", library, (int)strcspn(text, "\n"), text);
	take(text);
	return len;
}

static int print_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_DEBUG ? 0 : print("libbpf", format, args);
}

static int print_libxdp(enum libxdp_print_level level, const char *format, va_list args)
{
	return level == LIBXDP_DEBUG ? 0 : print("libxdp", format, args);
}

void xdp_message_start(void)
{
	libbpf_set_print(print_libbpf);
	libxdp_set_print(print_libxdp);
	reason[0] = '\0';
}

void xdp_message_set(const char *text)
{
	keep(text);
}

const char *xdp_message_get(void)
{
	return reason;
}
