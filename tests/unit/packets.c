/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <stdbool.h>
#include <string.h>

#include "tests/unit/packets.h"

/* The packet being written. */
struct writer {
	uint64_t random; /* state of the generator */
	uint8_t *buf;
	uint32_t len;
};

/* splitmix64: every seed is as good as any other. */
static uint32_t draw(struct writer *w, uint32_t bound)
{
	uint64_t z = w->random += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (uint32_t)((z ^ (z >> 31)) >> 32) % bound;
}

static bool one_in(struct writer *w, uint32_t n)
{
	return draw(w, n) == 0;
}

static void put(struct writer *w, uint8_t byte)
{
	if (w->len < PACKETS_SIZE_MAX)
		w->buf[w->len++] = byte;
}

static void put16(struct writer *w, uint32_t value)
{
	put(w, (uint8_t)(value >> 8));
	put(w, (uint8_t)value);
}

static void set16(struct writer *w, uint32_t offset, uint32_t value)
{
	if (offset + 2 > PACKETS_SIZE_MAX)
		return;
	w->buf[offset] = (uint8_t)(value >> 8);
	w->buf[offset + 1] = (uint8_t)value;
}

static void put_random(struct writer *w, uint32_t n)
{
	while (n--)
		put(w, (uint8_t)draw(w, 256));
}

static void put_tcp(struct writer *w)
{
	put_random(w, 12);
	put(w, 0x50 | (uint8_t)draw(w, 16));
	put_random(w, 7);
}

static void put_udp(struct writer *w)
{
	uint32_t n = draw(w, 40);

	put_random(w, 4);
	put16(w, 8 + n);
	put_random(w, 2 + n);
}

/* Options of neighbour discovery, some with silly sizes. */
static void put_nd_options(struct writer *w)
{
	for (uint32_t n = draw(w, 4); n; n--) {
		uint32_t size = one_in(w, 4) ? draw(w, 12) : 1;

		put(w, (uint8_t)(one_in(w, 4) ? draw(w, 256) : 1 + draw(w, 2)));
		put(w, (uint8_t)size);
		put_random(w, size ? size * 8 - 2 : 6);
	}
}

static void put_icmpv6(struct writer *w)
{
	if (one_in(w, 2)) {
		put_random(w, 8 + draw(w, 30));
		return;
	}
	put(w, (uint8_t)(135 + draw(w, 2)));
	put(w, one_in(w, 8) ? 1 : 0);
	put_random(w, 6 + 16);
	put_nd_options(w);
}

static void put_l4(struct writer *w, uint8_t proto)
{
	switch (proto) {
	case 6:
		put_tcp(w);
		break;
	case 17:
	case 136:
		put_udp(w);
		break;
	case 58:
		put_icmpv6(w);
		break;
	default:
		put_random(w, draw(w, 40));
		break;
	}
	put_random(w, draw(w, 30));
}

static uint8_t draw_proto(struct writer *w)
{
	static const uint8_t protos[] = {6, 17, 1, 58, 132, 136, 47, 2};

	return one_in(w, 8) ? (uint8_t)draw(w, 256) : protos[draw(w, sizeof(protos))];
}

static void put_ipv4(struct writer *w)
{
	uint32_t start = w->len, ihl = one_in(w, 4) ? 5 + draw(w, 11) : 5;
	uint8_t proto = draw_proto(w);

	put(w, (uint8_t)(0x40 | ihl));
	put(w, (uint8_t)draw(w, 256));
	put16(w, 0);
	put16(w, draw(w, 65536));
	put16(w, one_in(w, 6) ? draw(w, 65536) : 0x4000);
	put(w, (uint8_t)draw(w, 256));
	put(w, proto);
	put16(w, 0);
	put_random(w, 8 + (ihl - 5) * 4);
	put_l4(w, proto);
	set16(w, start + 2, w->len - start);
}

/* One extension header of type `type`, which names `next`. */
static void put_extension(struct writer *w, uint8_t type, uint8_t next)
{
	uint32_t size = one_in(w, 3) ? draw(w, one_in(w, 8) ? 40 : 4) : 0;

	put(w, next);
	if (type == 44) {
		put(w, 0);
		put16(w, one_in(w, 2) ? draw(w, 65536) : draw(w, 8));
		put_random(w, 4);
	} else if (type == 51) {
		put(w, (uint8_t)size);
		put_random(w, size * 4 + 6);
	} else {
		put(w, (uint8_t)size);
		put_random(w, size * 8 + 6);
	}
}

static void put_ipv6(struct writer *w)
{
	static const uint8_t types[] = {0, 43, 60, 51, 44};
	uint32_t start = w->len, n = one_in(w, 3) ? draw(w, 11) : 0;
	uint8_t proto = draw_proto(w), type = n ? types[draw(w, sizeof(types))] : proto;

	put(w, (uint8_t)(0x60 | draw(w, 16)));
	put_random(w, 3);
	put16(w, 0);
	put(w, type);
	put(w, (uint8_t)draw(w, 256));
	put_random(w, 32);
	while (n--) {
		uint8_t next = n ? types[draw(w, sizeof(types))] : proto;

		put_extension(w, type, next);
		type = next;
	}
	put_l4(w, proto);
	set16(w, start + 4, w->len - start - 40);
}

static void put_arp(struct writer *w)
{
	static const uint8_t header[] = {0, 1, 8, 0, 6, 4};

	for (size_t i = 0; i < sizeof(header); i++)
		put(w, one_in(w, 64) ? 0xff : header[i]);
	put16(w, one_in(w, 8) ? draw(w, 65536) : 1 + draw(w, 2));
	put_random(w, 20);
}

static void put_frame(struct writer *w)
{
	put_random(w, 12);
	for (uint32_t n = one_in(w, 3) ? 1 + draw(w, 3) : 0; n; n--) {
		put16(w, one_in(w, 3) ? 0x88a8 : 0x8100);
		put16(w, draw(w, 65536));
	}
	switch (draw(w, 8)) {
	case 0:
	case 1:
	case 2:
		put16(w, 0x0800);
		put_ipv4(w);
		break;
	case 3:
	case 4:
	case 5:
		put16(w, 0x86dd);
		put_ipv6(w);
		break;
	case 6:
		put16(w, 0x0806);
		put_arp(w);
		break;
	default:
		put16(w, one_in(w, 2) ? draw(w, 0x600) : draw(w, 65536));
		put_random(w, draw(w, 100));
		break;
	}
}

/* Makes it what a sender with bad intentions would send. */
static void damage(struct writer *w)
{
	switch (draw(w, 3)) {
	case 0:
		w->len = draw(w, w->len + 1);
		break;
	case 1:
		put_random(w, draw(w, 60));
		break;
	default:
		for (uint32_t n = 1 + draw(w, 4); n && w->len; n--)
			w->buf[draw(w, one_in(w, 2) ? w->len : (w->len < 60 ? w->len : 60))] =
				(uint8_t)draw(w, 256);
		break;
	}
}

uint32_t packets_make(uint64_t seed, uint8_t *buf)
{
	struct writer w = {.random = seed * 0xd1342543de82ef95ull + 1, .buf = buf};

	put_frame(&w);
	if (one_in(&w, 4))
		damage(&w);
	return w.len;
}
