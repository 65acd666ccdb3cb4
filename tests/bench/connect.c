/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connects and closes, as fast as one process can: how many TCP connections a second come and go.
 *
 *	connect server PORT			accepts and closes until it is killed
 *	connect client ADDRESS PORT SECONDS	prints the rate
 *
 * The client resets its connections, so that none of them keeps a port busy afterwards; each is one
 * exchange of SYN, SYN-ACK and ACK, a byte from the server, and RST.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static _Noreturn void serve(uint16_t port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
	int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 1024))
		die("listen");
	for (;;) {
		int peer = accept(fd, NULL, NULL);

		if (peer < 0)
			continue;
		(void)!send(peer, "x", 1, MSG_NOSIGNAL);
		close(peer);
	}
}

/* One connection. Returns whether the byte came. */
static int connect_once(const struct sockaddr_in *addr)
{
	const struct linger reset = {.l_onoff = 1};
	int ok, fd = socket(AF_INET, SOCK_STREAM, 0);
	char byte;

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	ok = !connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) &&
	     recv(fd, &byte, 1, 0) == 1;
	close(fd);
	return ok;
}

static int run_client(const char *address, uint16_t port, double seconds)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
	double start = now();
	unsigned long n = 0;

	if (inet_pton(AF_INET, address, &addr.sin_addr) != 1)
		return 2;
	while (now() - start < seconds)
		n += (unsigned long)connect_once(&addr);
	printf("%.1f\n", (double)n / (now() - start));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "server"))
		serve((uint16_t)atoi(argv[2]));
	if (argc == 5 && !strcmp(argv[1], "client"))
		return run_client(argv[2], (uint16_t)atoi(argv[3]), atof(argv[4]));
	fprintf(stderr, "usage: connect server PORT | connect client ADDRESS PORT SECONDS\n");
	return 2;
}
