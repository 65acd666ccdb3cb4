/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"

#include <string.h>

#include "tests/unit/frames.h"

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

/* Sum of big-endian 16-bit words, folded. */
static uint32_t sum_words(const uint8_t *p, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

uint32_t frame_l3(const uint8_t *frame)
{
	return get16(frame + 12) == 0x8100 ? 18 : 14;
}

uint32_t frame_l4(const uint8_t *frame)
{
	uint32_t l3 = frame_l3(frame);

	switch (get16(frame + l3 - 2)) {
	case 0x0800:
		return l3 + (frame[l3] & 15u) * 4;
	case 0x86dd:
		return l3 + 40;
	default:
		return 0;
	}
}

static uint32_t pseudo(const uint8_t *frame, uint32_t l4_len)
{
	const uint8_t *ip = frame + frame_l3(frame);

	if (ip[0] >> 4 == 4)
		return sum_words(ip + 12, 8, l4_len + ip[9]);
	return sum_words(ip + 8, 32, l4_len + ip[6]);
}

static uint32_t csum_offset(uint8_t proto)
{
	switch (proto) {
	case 6:
		return 16;
	case 17:
		return 6;
	case 1:
	case 58:
		return 2;
	default:
		return 0;
	}
}

static uint32_t build_l4(const struct frame_spec *spec, uint8_t *p)
{
	uint32_t header = 0;

	switch (spec->proto) {
	case 6:
		put16(p, spec->sport);
		put16(p + 2, spec->dport);
		put32(p + 4, spec->seq);
		p[12] = 5 << 4;
		p[13] = spec->tcp_flags;
		put16(p + 14, 0x1000);
		header = 20;
		break;
	case 17:
		put16(p, spec->sport);
		put16(p + 2, spec->dport);
		put16(p + 4, 8 + spec->payload_len);
		header = 8;
		break;
	case 1:
	case 58:
		p[0] = (uint8_t)spec->sport;
		p[1] = (uint8_t)spec->dport;
		header = 8;
		break;
	}
	for (uint32_t i = 0; i < spec->payload_len; i++)
		p[header + i] = (uint8_t)(i * 7 + i / 251);
	return header + spec->payload_len;
}

static uint32_t build_l3(const struct frame_spec *spec, uint8_t *ip, uint32_t l4_len)
{
	if (spec->ethertype == 0x0800) {
		ip[0] = 0x45;
		ip[1] = spec->tos;
		put16(ip + 2, 20 + l4_len);
		put16(ip + 4, 0x1234);
		ip[8] = spec->ttl;
		ip[9] = spec->proto;
		put32(ip + 12, 0xc6120000u | (spec->src & 0x1ffff));
		put32(ip + 16, 0xc6120000u | (spec->dst & 0x1ffff));
		put16(ip + 10, ~sum_words(ip, 20, 0) & 0xffff);
		return 20;
	}
	ip[0] = (uint8_t)(0x60 | spec->tos >> 4);
	ip[1] = (uint8_t)(spec->tos << 4);
	put16(ip + 4, l4_len);
	ip[6] = spec->proto;
	ip[7] = spec->ttl;
	for (int i = 0; i < 2; i++) {
		put32(ip + 8 + 16 * i, 0x20010db8);
		put32(ip + 20 + 16 * i, i ? spec->dst : spec->src);
	}
	return 40;
}

uint32_t frame_build(const struct frame_spec *spec, uint8_t *buf)
{
	uint32_t l3 = spec->tagged ? 18 : 14, l4, l4_len, at = csum_offset(spec->proto);
	bool is_ip = spec->ethertype == 0x0800 || spec->ethertype == 0x86dd;

	memset(buf, 0, l3 + 40 + 20);
	memcpy(buf, "\x02\0\0\0\0\x02\x02\0\0\0\0\x01", 12);
	if (spec->tagged) {
		put16(buf + 12, 0x8100);
		put16(buf + 14, spec->tci);
	}
	put16(buf + l3 - 2, spec->ethertype);
	if (!is_ip)
		return l3 +
		       build_l4(&(struct frame_spec){.payload_len = spec->payload_len}, buf + l3);
	l4 = l3 + (spec->ethertype == 0x0800 ? 20 : 40);
	l4_len = build_l4(spec, buf + l4);
	build_l3(spec, buf + l3, l4_len);
	if (at) {
		uint32_t sum = spec->proto == 1 ? 0 : pseudo(buf, l4_len);

		if (!spec->partial) {
			sum = ~sum_words(buf + l4, l4_len, sum) & 0xffff;
			sum = sum || spec->proto != 17 ? sum : 0xffff;
		}
		put16(buf + l4 + at, sum);
	}
	return l4 + l4_len;
}

bool frame_sums_are_right(const uint8_t *frame, uint32_t len)
{
	uint32_t l3 = frame_l3(frame), l4 = frame_l4(frame), l4_len;
	uint8_t proto;

	if (!l4)
		return true;
	if (frame[l3] >> 4 == 4) {
		if (sum_words(frame + l3, l4 - l3, 0) != 0xffff)
			return false;
		l4_len = get16(frame + l3 + 2) - (l4 - l3);
		proto = frame[l3 + 9];
	} else {
		l4_len = get16(frame + l3 + 4);
		proto = frame[l3 + 6];
	}
	if (l4 + l4_len > len)
		return false;
	if (!csum_offset(proto))
		return true;
	return sum_words(frame + l4, l4_len, proto == 1 ? 0 : pseudo(frame, l4_len)) == 0xffff;
}
