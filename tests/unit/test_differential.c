/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole switch, real datapath, workers, caches and tables, against the model (switch_model.h):
 * random rules, random packets over memory ports, random changes in between. Each packet must come
 * out where and as the model says, starting with the first one after a change has returned; and
 * each rule must have counted what the model's counted.
 *
 * Packets go in by many queues at once and are handled by several workers, so a batch must not
 * depend on its order: packets that change what is learned are sent alone.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "datapath/port_mem.h"
#include "lib/clock.h"
#include "lib/mutex.h"
#include "lib/rcu.h"
#include "openflow/bridge.h"
#include "openflow/rule_text.h"
#include "openflow/xlate.h"
#include "tests/unit/model_random.h"
#include "tests/unit/random.h"
#include "tests/unit/switch_model.h"
#include "tests/unit/test.h"

#define QUEUES 3
#define TEMPLATES 48
#define BATCH 24
#define PAYLOAD 20
#define PAYLOAD_NOISE 120 /* tells noise from what is checked */

struct bench {
	struct random rng;
	struct bridge_table *bridges;
	struct datapath *dp;
	struct bridge *bridge;
	struct model model;
	uint32_t port_nos[MODEL_PORTS + 1]; /* datapath numbers, 0: not there */
	uint64_t n_injected[MODEL_PORTS + 1]; /* since the port was added */
	uint32_t homes[MODEL_RANDOM_HOSTS]; /* port that a host sends from */
	struct model_packet templates[TEMPLATES];
	struct model_packet batch[BATCH];
	unsigned int n_batch;
	unsigned int round;
	bool has_noise;
	struct mutex noise_lock; /* held while noise is sent, and while it must not be */
	const char *change; /* what was done last */
};

/* ---- set-up ---- */

static const char *port_name(uint32_t port)
{
	static const char *const names[] = {NULL, "p1", "p2", "p3", "p4", "p5", "p6"};

	return names[port];
}

static void fill_port_config(struct bench *b, uint32_t port, struct bridge_port_config *config)
{
	struct model_port *model = &b->model.ports[port];

	model->tag = random_chance(&b->rng, 30) ? 10 : 0;
	model->is_limited = !model->tag && random_chance(&b->rng, 20);
	memset(config, 0, sizeof(*config));
	config->name = port_name(port);
	config->ofport_request = port;
	config->tag = model->tag;
	if (model->is_limited)
		config->trunks.w[0] = 1 | 1 << 20;
}

static void add_port(struct bench *b, uint32_t port)
{
	struct port_option options[] = {{"collect", "on"}, {"queues", "3"}};
	struct port_config config = {.name = port_name(port), .options = options, .n_options = 2};
	struct bridge_port_config bridge_config;
	struct error err = ERROR_INIT;

	if (datapath_add_port(b->dp, "mem", &config, &b->port_nos[port], &err))
		fail_msg("%s", err.text);
	fill_port_config(b, port, &bridge_config);
	bridge_config.port_no = b->port_nos[port];
	if (bridge_add_port(b->bridge, &bridge_config, NULL, &err))
		fail_msg("%s", err.text);
	b->model.ports[port].is_there = true;
	b->n_injected[port] = 0;
}

static void remove_port(struct bench *b, uint32_t port)
{
	assert_int_equal(bridge_remove_port(b->bridge, port_name(port), NULL), 0);
	assert_int_equal(datapath_remove_port(b->dp, b->port_nos[port]), 0);
	b->port_nos[port] = 0;
	b->model.ports[port].is_there = false;
	model_forget(&b->model, port);
}

static void start(struct bench *b, uint64_t seed, unsigned int n_workers, uint32_t max_flows)
{
	struct datapath_config config = {.n_workers = n_workers,
					 .n_frames = 8192,
					 .max_flows = max_flows,
					 .pipeline = &xlate_pipeline};
	struct rule_spec normal = {0};
	struct ofaction action = {.type = OFACTION_OUTPUT, .port = OFPORT_NORMAL};

	memset(b, 0, sizeof(*b));
	random_init(&b->rng, seed);
	mutex_init(&b->noise_lock);
	assert_int_equal(bridge_table_create(&b->bridges, NULL), 0);
	config.pipeline_aux = b->bridges;
	assert_int_equal(datapath_create(&config, &b->dp, NULL), 0);
	bridge_table_set_datapath(b->bridges, b->dp);
	assert_int_equal(bridge_create(b->bridges, "br0", &b->bridge, NULL), 0);
	normal.actions.actions = &action;
	normal.actions.n = 1;
	model_add(&b->model, &normal);
	for (uint32_t port = 1; port <= MODEL_PORTS; port++)
		add_port(b, port);
	for (uint32_t host = 0; host < MODEL_RANDOM_HOSTS; host++)
		b->homes[host] = 1 + host % MODEL_PORTS;
}

static void stop(struct bench *b)
{
	struct frame_pool *pool = datapath_get_pool(b->dp);

	model_clear(&b->model);
	for (uint32_t port = 1; port <= MODEL_PORTS; port++) {
		if (b->model.ports[port].is_there)
			remove_port(b, port);
	}
	assert_int_equal(frame_pool_count(pool, FRAME_HELD), 0);
	mutex_uninit(&b->noise_lock);
	datapath_destroy(b->dp);
	bridge_table_destroy(b->bridges);
	rcu_drain();
}

/* ---- packets ---- */

static void random_packet(struct bench *b, struct model_packet *packet)
{
	static const uint16_t types[] = {0x0800, 0x0800, 0x0800, 0x86dd, 0x88b5};
	static const uint8_t protocols[] = {6, 17, 17, 1, 47};
	uint32_t src = random_below(&b->rng, MODEL_RANDOM_HOSTS);
	uint32_t dst = random_below(&b->rng, MODEL_RANDOM_HOSTS);

	memset(packet, 0, sizeof(*packet));
	model_mac(src, packet->src);
	model_mac(dst, packet->dst);
	if (random_chance(&b->rng, 10))
		memset(packet->dst, 0xff, 6);
	packet->in_port = b->homes[src];
	packet->spec = (struct frame_spec){
		.ethertype = types[random_below(&b->rng, 5)],
		.tagged = random_chance(&b->rng, 30),
		.proto = protocols[random_below(&b->rng, 5)],
		.src = model_random_address(&b->rng),
		.dst = model_random_address(&b->rng),
		.sport = (uint16_t)random_below(&b->rng, 4),
		.dport = (uint16_t)(80 + random_below(&b->rng, 4)),
		.ttl = random_chance(&b->rng, 10) ? 1 : 64,
		.tos = (uint8_t)(random_below(&b->rng, 3) << 2),
		.payload_len = PAYLOAD,
	};
	if (packet->spec.tagged)
		packet->spec.tci = (uint16_t)(random_below(&b->rng, 3) * 10 |
					      random_below(&b->rng, 2) << 13);
}

/* One that was there before, mostly: only then caches have something to say. */
static void choose_packet(struct bench *b, struct model_packet *packet)
{
	struct model_packet *template = &b->templates[random_below(&b->rng, TEMPLATES)];

	if (!template->spec.ethertype || random_chance(&b->rng, 15))
		random_packet(b, template);
	*packet = *template;
	packet->in_port = b->homes[packet->src[5]];
}

static void inject(struct bench *b, uint32_t port, unsigned int queue, const uint8_t *frame,
		   uint32_t len)
{
	__atomic_fetch_add(&b->n_injected[port], 1, __ATOMIC_RELAXED);
	assert_int_equal(port_mem_inject(datapath_get_port(b->dp, b->port_nos[port]), queue, frame,
					 len, NULL), 0);
}

/* Waits until all that was sent has been received and gone through the workers' rounds. */
static void settle(struct bench *b)
{
	uint64_t end = clock_now() + 20 * CLOCK_NS_PER_S;
	struct port_counters sum;

	mutex_lock(&b->noise_lock);
	for (uint32_t port = 1; port <= MODEL_PORTS; port++) {
		uint64_t n = __atomic_load_n(&b->n_injected[port], __ATOMIC_RELAXED);

		if (!b->port_nos[port])
			continue;
		for (;;) {
			port_sum_counters(datapath_get_port(b->dp, b->port_nos[port]), &sum);
			if (sum.rx_packets >= n)
				break;
			assert_true(clock_now() < end);
			sched_yield();
		}
	}
	mutex_unlock(&b->noise_lock);
	/* Not datapath_invalidate(): that would hide an invalidation that was forgotten. */
	rcu_wait();
}

/* ---- comparing ---- */

static int compare_outputs(const void *a_, const void *b_)
{
	const struct model_output *a = a_, *b = b_;

	if (a->port != b->port)
		return a->port < b->port ? -1 : 1;
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return memcmp(a->frame, b->frame, a->len);
}

/* Takes what came out of all ports, without the noise. */
static void collect(struct bench *b, struct model_outputs *got)
{
	uint8_t frame[MODEL_FRAME];

	got->n = 0;
	for (uint32_t port = 1; port <= MODEL_PORTS; port++) {
		struct port *p = b->port_nos[port] ? datapath_get_port(b->dp, b->port_nos[port])
						   : NULL;
		int len;

		while (p && (len = port_mem_collect(p, frame, sizeof(frame), NULL, 0)) >= 0) {
			struct model_output *out = &got->list[got->n];

			if (len >= PAYLOAD_NOISE)
				continue;
			assert_true(got->n < MODEL_OUTPUTS);
			out->port = port;
			out->len = (uint32_t)len;
			memcpy(out->frame, frame, sizeof(frame));
			got->n++;
		}
	}
}

static void print_outputs(const char *what, const struct model_outputs *outputs)
{
	print_message("%s:\n", what);
	for (uint32_t i = 0; i < outputs->n; i++) {
		print_message("  port %u:", outputs->list[i].port);
		for (uint32_t at = 0; at < outputs->list[i].len; at++)
			print_message(" %02x", outputs->list[i].frame[at]);
		print_message("\n");
	}
}

static void compare(struct bench *b, struct model_outputs *expected, struct model_outputs *got)
{
	bool same = expected->n == got->n;

	qsort(expected->list, expected->n, sizeof(expected->list[0]), compare_outputs);
	qsort(got->list, got->n, sizeof(got->list[0]), compare_outputs);
	for (uint32_t i = 0; same && i < got->n; i++)
		same = compare_outputs(&expected->list[i], &got->list[i]) == 0;
	if (same)
		return;
	print_outputs("expected", expected);
	print_outputs("got", got);
	fail_msg("seed %#llx, round %u, after %s: %u packets in, %u frames out, not %u",
		 (unsigned long long)test_seed(), b->round, b->change, b->n_batch, got->n,
		 expected->n);
}

/* Sends the batch through both switches. */
static void flush_batch(struct bench *b)
{
	static struct model_outputs expected, got;
	uint8_t frame[MODEL_FRAME];

	if (!b->n_batch)
		return;
	expected.n = 0;
	for (unsigned int i = 0; i < b->n_batch; i++) {
		uint32_t len = model_build(&b->batch[i], frame);

		model_run(&b->model, &b->batch[i], &expected);
		inject(b, b->batch[i].in_port, random_below(&b->rng, QUEUES), frame, len);
	}
	settle(b);
	collect(b, &got);
	compare(b, &expected, &got);
	b->n_batch = 0;
}

/* Puts a packet into the batch, or sends it alone if it is going to be learned from. */
static void submit(struct bench *b, const struct model_packet *packet)
{
	struct model_outputs outputs = {0};
	bool alone;

	if (!b->model.ports[packet->in_port].is_there)
		return;
	b->model.is_dry = true;
	model_run(&b->model, packet, &outputs);
	b->model.is_dry = false;
	alone = b->model.would_learn;
	if (alone)
		flush_batch(b);
	b->batch[b->n_batch++] = *packet;
	/* Six outputs each are the most that fit into what is compared. */
	if (alone || b->n_batch == MODEL_OUTPUTS / 12 || b->n_batch == BATCH)
		flush_batch(b);
}

/* ---- rules ---- */

/* A rule whose priority no other match has, so that there is one winner. */
static void random_rule(struct bench *b, struct rule_spec *spec)
{
	bool taken;

	memset(spec, 0, sizeof(*spec));
	model_random_match(&b->rng, &spec->match);
	do {
		spec->priority = (uint16_t)(1 + random_below(&b->rng, 1000));
		taken = false;
		for (int i = 0; i < MODEL_RULES; i++)
			taken |= b->model.rules[i].is_there &&
				 b->model.rules[i].spec.priority == spec->priority;
	} while (taken);
	model_random_actions(&b->rng, &spec->actions);
}

/* Some rule that is there; never none. */
static const struct rule_spec *pick_rule(struct bench *b)
{
	for (;;) {
		const struct model_rule *rule = &b->model.rules[random_below(&b->rng, MODEL_RULES)];

		if (rule->is_there)
			return &rule->spec;
	}
}

/* ---- changes ---- */

/* One random change of rules, made in the model at once and left to be made in the switch. The
 * caller owns mod->spec and its actions. */
static void random_mod(struct bench *b, struct flow_mod *mod, struct rule_spec *spec)
{
	static const char *const names[] = {"add",	     "modify",	"modify_strict",
					    "delete",	     "delete_strict"};
	uint32_t n = model_count_rules(&b->model);

	mod->spec = spec;
	mod->type = random_below(&b->rng, 5);
	if (n < 12 || (n < 24 && random_chance(&b->rng, 30)))
		mod->type = FLOW_MOD_ADD;
	if (n > 50)
		mod->type = FLOW_MOD_DELETE;
	b->change = names[mod->type];
	switch (mod->type) {
	case FLOW_MOD_ADD:
		random_rule(b, spec);
		if (n && random_chance(&b->rng, 40)) {
			spec->match = pick_rule(b)->match;
			for (int i = 0; i < MODEL_RULES; i++) {
				if (b->model.rules[i].is_there &&
				    match_equals(&b->model.rules[i].spec.match, &spec->match))
					spec->priority = b->model.rules[i].spec.priority;
			}
		}
		model_add(&b->model, spec);
		break;
	case FLOW_MOD_MODIFY:
	case FLOW_MOD_DELETE:
		random_rule(b, spec);
		/* wide enough to meet something, too narrow to meet all, mostly */
		if (random_chance(&b->rng, 70)) {
			const struct rule_spec *like = pick_rule(b);

			for (int i = 0; i < FLOW_KEY_WORDS; i++) {
				spec->match.mask.w[i] = like->match.mask.w[i];
				if (random_chance(&b->rng, 50))
					spec->match.mask.w[i] = 0;
				spec->match.value.w[i] =
					like->match.value.w[i] & spec->match.mask.w[i];
			}
		}
		if (mod->type == FLOW_MOD_MODIFY)
			model_modify(&b->model, spec, false);
		else
			model_delete(&b->model, spec, false);
		break;
	case FLOW_MOD_MODIFY_STRICT:
	case FLOW_MOD_DELETE_STRICT:
		random_rule(b, spec);
		spec->match = pick_rule(b)->match;
		spec->priority = pick_rule(b)->priority;
		for (int i = 0; i < MODEL_RULES; i++) {
			if (b->model.rules[i].is_there && random_chance(&b->rng, 10)) {
				spec->match = b->model.rules[i].spec.match;
				spec->priority = b->model.rules[i].spec.priority;
			}
		}
		if (mod->type == FLOW_MOD_MODIFY_STRICT)
			model_modify(&b->model, spec, true);
		else
			model_delete(&b->model, spec, true);
		break;
	}
}

static void change_rules(struct bench *b, unsigned int n)
{
	struct rule_spec specs[8];
	struct flow_mod mods[8];

	for (unsigned int i = 0; i < n; i++)
		random_mod(b, &mods[i], &specs[i]);
	assert_int_equal(bridge_modify_flows(b->bridge, mods, n, NULL, NULL), 0);
	for (unsigned int i = 0; i < n; i++)
		ofaction_list_uninit(&specs[i].actions);
}

/* Half of the rules there are, and some new ones. */
static void replace_rules(struct bench *b)
{
	struct rule_spec specs[MODEL_RULES];
	uint32_t n = 0, n_kept = 0;

	b->change = "replace";
	for (int i = 0; i < MODEL_RULES; i++) {
		struct model_rule *rule = &b->model.rules[i];

		if (!rule->is_there)
			continue;
		if (random_chance(&b->rng, 50)) {
			specs[n] = rule->spec;
			ofaction_list_init(&rule->spec.actions);
			assert_int_equal(ofaction_list_clone(&rule->spec.actions,
							     &specs[n].actions), 0);
			n++;
			n_kept++;
		} else {
			model_delete(&b->model, &(struct rule_spec){.match = rule->spec.match,
								    .priority =
									    rule->spec.priority},
				     true);
		}
	}
	for (; n < n_kept + 5; n++) {
		random_rule(b, &specs[n]);
		model_add(&b->model, &specs[n]);
	}
	assert_int_equal(bridge_replace_flows(b->bridge, specs, n, NULL, NULL), 0);
	for (uint32_t i = 0; i < n; i++)
		ofaction_list_uninit(&specs[i].actions);
}

/* A change that is refused: nothing of it may be seen. */
static void change_in_vain(struct bench *b)
{
	struct rule_spec drop_all = {.priority = UINT16_MAX}, bad = {.table_id = FLOW_TABLE_ALL};
	struct rule_spec any = {0};
	struct flow_mod mods[] = {{FLOW_MOD_DELETE, &any},
				  {FLOW_MOD_ADD, &drop_all},
				  {FLOW_MOD_ADD, &bad}};

	b->change = "a change that was refused";
	assert_int_equal(bridge_modify_flows(b->bridge, mods, 3, NULL, NULL), -EINVAL);
}

static void change_port(struct bench *b)
{
	uint32_t port = 1 + random_below(&b->rng, MODEL_PORTS);
	struct bridge_port_config config;

	if (!b->model.ports[port].is_there) {
		b->change = "a port was added";
		add_port(b, port);
	} else if (random_chance(&b->rng, 50) && !b->has_noise) {
		b->change = "a port was removed";
		remove_port(b, port);
	} else {
		b->change = "a port's VLANs were changed";
		fill_port_config(b, port, &config);
		assert_int_equal(bridge_set_port(b->bridge, &config, NULL), 0);
	}
}

/* Static entries come and go. */
static void change_static(struct bench *b)
{
	uint32_t host = random_below(&b->rng, MODEL_RANDOM_HOSTS), port = b->homes[host];
	uint16_t vlan = (uint16_t)(10 * random_below(&b->rng, 3));
	uint8_t mac[6];

	model_mac(host, mac);
	if (b->model.location[vlan][host] && random_chance(&b->rng, 50)) {
		b->change = "an address was removed";
		assert_int_equal(bridge_remove_mac(b->bridge, mac, vlan, NULL), 0);
		b->model.location[vlan][host] = 0;
	} else if (b->model.ports[port].is_there) {
		b->change = "an address was made known";
		/* and is an ordinary entry again at once, for the model knows no other */
		assert_int_equal(bridge_add_static_mac(b->bridge, mac, vlan, port_name(port), NULL),
				 0);
		assert_int_equal(bridge_remove_mac(b->bridge, mac, vlan, NULL), 0);
		b->model.location[vlan][host] = 0;
	}
}

static void change_something(struct bench *b)
{
	switch (random_below(&b->rng, 16)) {
	case 0:
		b->change = "fdb-flush";
		bridge_flush_fdb(b->bridge);
		model_forget(&b->model, 0);
		break;
	case 1:
		change_port(b);
		break;
	case 2:
	case 3:
		b->change = "a host moved";
		b->homes[random_below(&b->rng, MODEL_RANDOM_HOSTS)] =
			1 + random_below(&b->rng, MODEL_PORTS);
		break;
	case 4:
		replace_rules(b);
		break;
	case 5:
		change_in_vain(b);
		break;
	case 6:
		b->change = "counters were folded";
		datapath_fold_counters(b->dp);
		bridge_table_run(b->bridges, clock_now(), NULL, NULL);
		break;
	case 7:
		b->change = "caches were swept";
		datapath_sweep(b->dp, random_chance(&b->rng, 50) ? 1 : CLOCK_NS_PER_S);
		break;
	case 8:
		change_rules(b, 2 + random_below(&b->rng, 7));
		break;
	case 9:
		change_static(b);
		break;
	default:
		change_rules(b, 1);
	}
}

/* ---- counters ---- */

static void compare_counter(void *aux, const struct rule *rule)
{
	struct bench *b = aux;
	struct rule_stats stats;

	rule_get_stats(rule, &stats);
	for (int i = 0; i < MODEL_RULES; i++) {
		struct model_rule *model = &b->model.rules[i];

		if (!model->is_there || model->spec.priority != rule->priority ||
		    !match_equals(&model->spec.match, &rule->match))
			continue;
		if (model->n_packets != stats.n_packets)
			fail_msg("seed %#llx, round %u, after %s: rule of priority %u counted "
				 "%llu packets, not %llu", (unsigned long long)test_seed(),
				 b->round, b->change, rule->priority,
				 (unsigned long long)stats.n_packets,
				 (unsigned long long)model->n_packets);
		return;
	}
	fail_msg("there is a rule of priority %u that there should not be", rule->priority);
}

static void compare_counters(struct bench *b)
{
	datapath_fold_counters(b->dp);
	assert_int_equal(bridge_dump_flows(b->bridge, NULL, compare_counter, b), 0);
	assert_int_equal(flow_table_get_n_rules(bridge_get_flow_table(b->bridge), 0),
			 model_count_rules(&b->model));
}

static void run_rounds(struct bench *b, unsigned int n_rounds)
{
	b->change = "the start";
	for (b->round = 0; b->round < n_rounds; b->round++) {
		for (unsigned int i = 0; i < 2 * BATCH; i++) {
			struct model_packet packet;

			choose_packet(b, &packet);
			submit(b, &packet);
		}
		flush_batch(b);
		if (!b->has_noise && b->round % 8 == 0)
			compare_counters(b);
		change_something(b);
	}
}

static void test_one_worker(void **state UNUSED)
{
	struct bench b;

	start(&b, test_seed(), 1, 0);
	run_rounds(&b, 250);
	stop(&b);
}

static void test_workers(void **state UNUSED)
{
	struct bench b;

	start(&b, test_seed() + 1, 3, 0);
	run_rounds(&b, 250);
	stop(&b);
}

/* A cache that holds next to nothing is no less right. */
static void test_tiny_cache(void **state UNUSED)
{
	struct bench b;

	start(&b, test_seed() + 2, 2, 4);
	run_rounds(&b, 100);
	stop(&b);
}

/* ---- under traffic ---- */

/* Packets that nobody looks at, from hosts of their own, so that caches are busy while things
 * change. */
struct noise {
	struct bench *b;
	_Atomic bool stop;
	uint64_t n_sent;
	struct port *ports[MODEL_PORTS + 1];
};

static void *noise_run(void *arg)
{
	struct noise *noise = arg;
	struct timespec nap = {.tv_nsec = 200000};
	uint8_t frame[MODEL_FRAME];
	struct bench local; /* for random_packet() */

	memset(&local, 0, sizeof(local));
	random_init(&local.rng, test_seed() + 77);
	for (uint32_t host = 0; host < MODEL_RANDOM_HOSTS; host++)
		local.homes[host] = 1 + host % MODEL_PORTS;
	while (!atomic_load(&noise->stop)) {
		mutex_lock(&noise->b->noise_lock);
		for (int i = 0; i < 4; i++) {
			struct model_packet packet;

			random_packet(&local, &packet);
			model_mac(MODEL_RANDOM_HOSTS + packet.in_port - 1, packet.src);
			packet.spec.payload_len = PAYLOAD_NOISE;
			if (port_mem_inject(noise->ports[packet.in_port],
					    random_below(&local.rng, QUEUES), frame,
					    model_build(&packet, frame), NULL))
				continue;
			__atomic_fetch_add(&noise->b->n_injected[packet.in_port], 1,
					   __ATOMIC_RELAXED);
			noise->n_sent++;
		}
		mutex_unlock(&noise->b->noise_lock);
		nanosleep(&nap, NULL);
	}
	return NULL;
}

static void test_under_traffic(void **state UNUSED)
{
	struct noise noise = {0};
	pthread_t thread;
	struct bench b;

	start(&b, test_seed() + 3, 3, 0);
	b.has_noise = true;
	noise.b = &b;
	for (uint32_t port = 1; port <= MODEL_PORTS; port++)
		noise.ports[port] = datapath_get_port(b.dp, b.port_nos[port]);
	assert_int_equal(pthread_create(&thread, NULL, noise_run, &noise), 0);
	run_rounds(&b, 120);
	atomic_store(&noise.stop, true);
	rcu_offline();
	pthread_join(thread, NULL);
	rcu_online();
	assert_true(noise.n_sent > 0);
	settle(&b);
	stop(&b);
}

static int group_setup(void **state UNUSED)
{
	print_message("seed %#llx\n", (unsigned long long)test_seed());
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_worker),
		cmocka_unit_test(test_workers),
		cmocka_unit_test(test_tiny_cache),
		cmocka_unit_test(test_under_traffic),
	};

	return cmocka_run_group_tests_name("differential", tests, group_setup, NULL);
}
