/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_SYSTEM_SERIALS_H
#define TESTS_SYSTEM_SERIALS_H

/*
 * Traffic in which each packet has a number, for tests that change where it goes: one thread sends,
 * two receive, and each received number is noted with the period in which it arrived. So a packet
 * that was sent after a change had returned, and went where the old answer said, is found.
 *
 *	serials_start(send_one, sinks);
 *	struct serials_period period;
 *	... change ...
 *	serials_begin(&period);			// the change has returned
 *	serials_wait(2000);			// packets of this period
 *	serials_end(&period);
 *	n_sent = serials_stop();
 *	n = serials_check(&period, 1);		// all that arrived came to sinks[1]
 *	serials_free();
 *
 * A change that takes effect before it returns is announced by serials_announce().
 *
 * Thread-safety: one thread calls; `send` is called in another.
 */

#include <stdbool.h>
#include <stdint.h>

/* Numbers there are. */
#define SERIALS_MAX (1u << 25)
/* Where a test packet has its number, and its length. */
#define SERIALS_OFFSET 20
#define SERIALS_FRAME_LEN 60

struct serials_period {
	uint16_t epoch;
	uint32_t first; /* sent after the change had returned */
	uint32_t end; /* one past the last that was sent before the next change began */
};

/* Number of the next packet; taken. */
uint32_t serials_take(void);
/* Begins to count from 0. */
void serials_reset(void);

/* Starts the threads. `send` sends the next packet, and returns false when there was no room. */
void serials_start(bool (*send)(void), const int sinks[2]);
/* Stops them. Returns how many packets were sent. */
uint64_t serials_stop(void);
/* Frees what is known of received packets. */
void serials_free(void);

/* A change begins: what arrives from here on is the next period's. */
void serials_announce(struct serials_period *period);
/* It has returned: what is sent from here on must obey it. */
void serials_begin(struct serials_period *period);
void serials_end(struct serials_period *period);

/* Lets so many packets be sent that the period can be judged, and the flow gets hot again. */
void serials_wait(uint32_t n);

/*
 * No packet that was sent in the period, and received before the next one began, was received
 * elsewhere than at sinks[sink]; -1: none at all was. (One that waited in a ring for longer,
 * because the worker did not run, went where the next answer said.) Returns how many were received
 * in the period.
 */
uint32_t serials_check(const struct serials_period *period, int sink);

#endif
