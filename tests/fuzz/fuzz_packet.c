/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way of a hostile packet through the datapath: parsed, its offloads checked, changed by
 * actions, cut or finished for the way out. The input is a struct recipe, up to ACTIONS_MAX actions
 * and the frame; the frame is parsed where it lies, too, so that the address sanitizer sees a byte
 * too far.
 *
 * What must hold: offsets lie in the frame and in order, unused words and padding of the key are
 * zero, the parse of a copy in segments is the parse of the whole, and each frame is back at the
 * end.
 */
#include "bpf/flow_parse.h"
#include "datapath/action.h"
#include "datapath/frame_pool.h"
#include "datapath/offload.h"
#include "datapath/packet.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#define FRAMES 2048
#define ACTIONS_MAX 4

/* First bytes of the input. */
struct recipe {
	uint8_t csum; /* enum packet_csum, modulo */
	uint8_t gso_type; /* of virtio_net_hdr */
	uint8_t n_actions; /* modulo ACTIONS_MAX + 1 */
	uint8_t piece; /* segments of 64 times (1 + this) bytes */
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
} PACKED;

struct recipe_action {
	uint8_t type; /* enum action_type, modulo */
	uint8_t value[16];
	uint8_t mask[16];
} PACKED;

static struct frame_pool *pool;
static struct frame_cache cache;

int LLVMFuzzerInitialize(int *argc UNUSED, char ***argv UNUSED)
{
	if (frame_pool_create(FRAMES, &pool, NULL))
		abort();
	frame_cache_init(&cache, pool);
	return 0;
}

static void must(bool condition)
{
	if (!condition)
		abort();
}

static void check_layout(const struct flow_key *key, const struct flow_layout *layout, size_t size)
{
	must(layout->l3_off <= size && layout->l4_off <= size);
	must(!layout->l4_off || (layout->l3_off && layout->l3_off < layout->l4_off));
	must(!layout->l3_off || layout->l3_off >= 14);
	must(layout->n_words == FLOW_KEY_WORDS_IPV4 || layout->n_words == FLOW_KEY_WORDS_IPV6 ||
	     layout->n_words == FLOW_KEY_WORDS);
	for (int i = layout->n_words; i < FLOW_KEY_WORDS; i++)
		must(!key->w[i]);
	must(!key->in_port && !key->pad1 && !key->pad2 && !key->pad3);
}

static struct packet *make_packet(const struct recipe *recipe, const uint8_t *frame, size_t size)
{
	struct packet *packet = packet_alloc(&cache);
	size_t piece = 64 * (size_t)(1 + recipe->piece);
	size_t n = MIN(size, piece);
	struct packet *tail = packet;

	must(packet != NULL);
	memcpy(packet->data, frame, MIN(n, (size_t)packet_tailroom(packet)));
	packet->len = (uint32_t)MIN(n, (size_t)packet_tailroom(packet));
	packet->total_len = (uint32_t)size;
	for (size_t done = packet->len; done < size; done += n) {
		tail->next = packet_alloc(&cache);
		must(tail->next != NULL);
		tail = tail->next;
		n = MIN(MIN(size - done, piece), (size_t)packet_tailroom(tail));
		memcpy(tail->data, frame + done, n);
		tail->len = (uint32_t)n;
		packet->n_segs++;
	}
	packet->csum = recipe->csum % (PACKET_CSUM_MAYBE + 1);
	packet->gso_type = recipe->gso_type;
	packet->gso_size = recipe->gso_size;
	packet->csum_start = recipe->csum_start;
	packet->csum_offset = recipe->csum_offset;
	return packet;
}

/* Applies one action of the input; false: the packet is to be dropped. */
static bool apply(const struct recipe_action *recipe, struct packet *packet)
{
	struct action action = {.type = recipe->type % (ACTION_SET_VLAN_TCI + 1)};
	struct flow_key key;
	char text[256];

	memcpy(&action.value, recipe->value, sizeof(recipe->value));
	memcpy(&action.mask, recipe->mask, sizeof(recipe->mask));
	must(action_list_format(&action, 1, text, sizeof(text)) > 0);
	if (action.type == ACTION_OUTPUT)
		return true;
	return packet_extract(packet, &key) == 0 && action_apply(&action, packet) == 0;
}

static void send_out(struct packet *packet)
{
	struct packet *segments[OFFLOAD_SEGMENTS_MAX];
	int n;

	if (packet->gso_type != PACKET_GSO_NONE) {
		n = packet_segment(&cache, packet, false, segments, OFFLOAD_SEGMENTS_MAX);
		for (int i = 0; i < n; i++)
			packet_free(&cache, segments[i]);
		return;
	}
	if (packet->csum == PACKET_CSUM_PARTIAL && packet_finish_csum(packet) == 0)
		must(packet->csum != PACKET_CSUM_PARTIAL);
	packet_free(&cache, packet);
}

static void run_packet(const struct recipe *recipe, const struct recipe_action *actions,
		       unsigned int n_actions, const uint8_t *frame, size_t size)
{
	struct packet *packet = make_packet(recipe, frame, size);
	struct packet *clone;
	struct flow_key key, again;

	if (packet_extract(packet, &key) || packet_check_offload(packet)) {
		packet_free(&cache, packet);
		return;
	}
	key.in_port = 0;
	check_layout(&key, &packet->layout, size);
	packet_resolve_csum(packet);
	clone = packet_clone(&cache, packet);
	must(clone != NULL);
	must(packet_extract(clone, &again) == 0);
	again.in_port = 0;
	must(memcmp(&key, &again, sizeof(key)) == 0);
	send_out(clone);
	for (unsigned int i = 0; i < n_actions; i++) {
		if (!apply(&actions[i], packet)) {
			packet_free(&cache, packet);
			return;
		}
	}
	send_out(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recipe_action actions[ACTIONS_MAX];
	struct flow_layout layout;
	struct recipe recipe;
	struct flow_key key;
	size_t n_actions;

	if (size < sizeof(recipe))
		return 0;
	memcpy(&recipe, data, sizeof(recipe));
	data += sizeof(recipe);
	size -= sizeof(recipe);
	n_actions = MIN((size_t)recipe.n_actions % (ACTIONS_MAX + 1), size / sizeof(actions[0]));
	memcpy(actions, data, n_actions * sizeof(actions[0]));
	data += n_actions * sizeof(actions[0]);
	size -= n_actions * sizeof(actions[0]);
	if (size > PACKET_LEN_MAX)
		return 0;

	if (flow_key_parse(data, data + size, (uint32_t)size, &key, &layout) == 0)
		check_layout(&key, &layout, size);
	run_packet(&recipe, actions, (unsigned int)n_actions, data, size);

	frame_cache_uninit(&cache);
	must(frame_pool_count(pool, FRAME_FREE) == pool->n_frames);
	frame_cache_init(&cache, pool);
	return 0;
}
