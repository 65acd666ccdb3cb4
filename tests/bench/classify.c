// SPDX-License-Identifier: BSD-2-Clause
/*
 * classify: the real datapath and the real rules, fed from memory: what does a packet cost when no
 * kernel is involved?
 *
 * A worker replays a capture file from the mem port "in" for ever; a script of rules (with the port
 * names "in" and "out") sends it to the mem port "out", which counts and frees. Measured is the
 * worker's processor time, in cycles of the time stamp counter, over the packets it took: receiving
 * (a copy of each packet from the loaded file), parsing, look-up, actions, and handing over.
 *
 *   classify --pcap FILE --rules FILE [--core N] [--seconds S]      measure by time
 *   classify --pcap FILE --rules FILE --packets N                   so many and end: for callgrind
 *   classify --pcap FILE --rules FILE --misses                      the pipeline alone, each packet
 *                                                                   translated, in this thread
 *
 * One line of JSON comes out.
 *
 * Thread-safety: main() is the control thread; the datapath starts the worker.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/flow_parse.h"
#include "datapath/datapath.h"
#include "lib/clock.h"
#include "lib/error.h"
#include "lib/rcu.h"
#include "openflow/bridge.h"
#include "openflow/rule_script.h"
#include "openflow/xlate.h"
#include "tests/bench/thread_time.h"

/* Packets of the file that --misses takes at most. */
#define MISSES_MAX 100000
/* Time for the caches to fill before measuring, s. */
#define WARM_UP 0.5
/* Longest that --packets may take, s: callgrind is some fifty times slower than the processor. */
#define PACKETS_TIMEOUT 600

/* The command line. */
struct options {
	const char *pcap;
	const char *rules;
	int core; /* CPU of the worker, -1: any */
	double seconds; /* how long to measure */
	uint64_t n_packets; /* instead: how many to take */
	bool misses; /* instead: translate each packet of the file */
	bool metadata; /* hash and layout come with the packet, as from the XDP program */
};

/* The switch under test. */
struct setup {
	struct bridge_table *bridges;
	struct bridge *bridge;
	struct datapath *dp;
	uint32_t in; /* datapath port numbers */
	uint32_t out;
	uint32_t n_rules;
	double load_seconds; /* to read the rules and put them in force */
};

/* What the worker had done at some moment. */
struct sample {
	struct thread_time threads; /* the worker is the busiest */
	uint64_t cycles; /* time stamp counter */
	uint64_t now_ns; /* clock_now() */
	struct worker_stats stats;
};

static void take_sample(const struct datapath *dp, struct sample *sample)
{
	thread_time_sample(getpid(), &sample->threads);
	sample->cycles = clock_cycles();
	sample->now_ns = clock_now();
	datapath_get_worker_stats(dp, 0, &sample->stats);
}

static void sleep_seconds(double seconds)
{
	usleep((useconds_t)(seconds * 1e6));
}

/* ---- setting up ---- */

/* Port names for the rule script: "in" is 1, "out" is 2. */
static uint32_t get_number(void *aux, const char *name, size_t length)
{
	struct bridge_port_info info;
	char text[PORT_NAME_SIZE];

	if (length >= sizeof(text))
		return OFPORT_NONE;
	memcpy(text, name, length);
	text[length] = '\0';
	return bridge_lookup_port(aux, text, &info) ? info.ofport : OFPORT_NONE;
}

static const char *get_name(void *aux, uint32_t port)
{
	struct bridge_port_info info;

	return bridge_lookup_ofport(aux, port, &info) ? info.name : NULL;
}

static void offer(void *aux UNUSED, struct suggest *s UNUSED)
{
}

static char *read_file(const char *path, size_t *size, struct error *err)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	long end;

	if (!file || fseek(file, 0, SEEK_END) || (end = ftell(file)) < 0 ||
	    fseek(file, 0, SEEK_SET) || !(text = malloc((size_t)end + 1)) ||
	    fread(text, 1, (size_t)end, file) != (size_t)end) {
		error_set(err, errno ? errno : EIO, "%s: %m", path);
		free(text);
		text = NULL;
	} else {
		text[end] = '\0';
		*size = (size_t)end;
	}
	if (file)
		fclose(file);
	return text;
}

static int load_rules(struct setup *setup, const char *path, struct error *err)
{
	const struct ofport_names names = {
		.get_number = get_number,
		.get_name = get_name,
		.offer = offer,
		.aux = setup->bridge,
	};
	static struct rule_script_errors errors;
	struct rule_script script;
	uint64_t started_ns;
	size_t size;
	char *text;
	int ret;

	text = read_file(path, &size, err);
	if (!text)
		return -EINVAL;
	started_ns = clock_now();
	ret = rule_script_parse(path, text, size, true, &names, &script, &errors);
	if (ret) {
		*err = errors.errors[0];
	} else {
		ret = bridge_modify_flows(setup->bridge, script.mods, script.n, NULL, err);
		setup->n_rules = (uint32_t)script.n;
		setup->load_seconds = (double)(clock_now() - started_ns) / CLOCK_NS_PER_S;
		rule_script_uninit(&script);
	}
	free(text);
	return ret;
}

static int add_port(struct setup *setup, const char *name, const struct port_option *options,
		    size_t n_options, uint32_t *port_no, struct error *err)
{
	const struct port_config config = {
		.name = name,
		.options = options,
		.n_options = n_options,
		.n_workers = 1,
	};
	struct bridge_port_config place = {.name = name, .ofport_request = OFPORT_NONE};
	int ret = datapath_add_port(setup->dp, "mem", &config, port_no, err);

	if (ret)
		return ret;
	place.port_no = *port_no;
	return bridge_add_port(setup->bridge, &place, NULL, err);
}

/* Makes switch and rules and the port "out"; `in` is opened, and with it traffic begins, by
 * start_traffic(). */
static int setup_init(struct setup *setup, const struct options *opts, struct error *err)
{
	struct datapath_config config = {
		.n_workers = 1,
		.cores = &opts->core,
		.pipeline = &xlate_pipeline,
	};
	int ret;

	memset(setup, 0, sizeof(*setup));
	ret = bridge_table_create(&setup->bridges, err);
	if (ret)
		return ret;
	config.pipeline_aux = setup->bridges;
	ret = datapath_create(&config, &setup->dp, err);
	if (ret)
		return ret;
	bridge_table_set_datapath(setup->bridges, setup->dp);
	ret = bridge_create(setup->bridges, "br0", &setup->bridge, err);
	if (!ret)
		ret = add_port(setup, "in", NULL, 0, &setup->in, err);
	if (!ret)
		ret = add_port(setup, "out", NULL, 0, &setup->out, err);
	if (!ret)
		ret = load_rules(setup, opts->rules, err);
	return ret;
}

static void setup_uninit(struct setup *setup)
{
	if (setup->bridge)
		bridge_destroy(setup->bridge);
	if (setup->dp)
		datapath_destroy(setup->dp);
	if (setup->bridges)
		bridge_table_destroy(setup->bridges);
}

/* Replaces the silent port "in" by one that replays the file. */
static int start_traffic(struct setup *setup, const struct options *opts, const char *loops,
			 struct error *err)
{
	const struct port_option options[] = {
		{"rx", opts->pcap},
		{"loop", loops},
		{"metadata", opts->metadata ? "on" : "off"},
	};
	int ret = bridge_remove_port(setup->bridge, "in", err);

	if (!ret)
		ret = datapath_remove_port(setup->dp, setup->in);
	if (!ret)
		ret = add_port(setup, "in", options, ARRAY_SIZE(options), &setup->in, err);
	return ret;
}

/* ---- measuring ---- */

static int run_timed(struct setup *setup, const struct options *opts, struct error *err)
{
	struct sample from, to;
	double hertz, packets, cycles;
	int ret = start_traffic(setup, opts, "forever", err);

	if (ret)
		return ret;
	sleep_seconds(WARM_UP);
	take_sample(setup->dp, &from);
	sleep_seconds(opts->seconds);
	take_sample(setup->dp, &to);
	packets = (double)(to.stats.rx_packets - from.stats.rx_packets);
	hertz = (double)(to.cycles - from.cycles) / (double)(to.now_ns - from.now_ns);
	cycles = (double)thread_time_busiest(&from.threads, &to.threads) * hertz;
	printf("{\"packets\": %.0f, \"cycles\": %.0f, \"hits_signature\": %" PRIu64
	       ", \"hits_megaflow\": %" PRIu64 ", \"misses\": %" PRIu64
	       ", \"subtables_probed\": %" PRIu64 ", \"flows\": %" PRIu64
	       ", \"subtables\": %" PRIu64 "}\n",
	       packets, cycles, to.stats.hits_signature - from.stats.hits_signature,
	       to.stats.hits_megaflow - from.stats.hits_megaflow,
	       to.stats.misses - from.stats.misses,
	       to.stats.subtables_probed - from.stats.subtables_probed, (uint64_t)to.stats.n_flows,
	       (uint64_t)to.stats.n_subtables);
	return 0;
}

/* Packets in the file, handing each to `cb`. Returns how many or a negative errno. */
static int for_each_packet(const char *path, void (*cb)(void *aux, const uint8_t *data, uint32_t),
			   void *aux, struct error *err)
{
	char text[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const u_char *data;
	pcap_t *pcap = pcap_open_offline(path, text);
	int n = 0;

	if (!pcap)
		return error_set(err, EINVAL, "%s", text);
	for (; pcap_next_ex(pcap, &header, &data) == 1; n++)
		if (cb)
			cb(aux, data, header->caplen);
	pcap_close(pcap);
	return n;
}

static int run_counted(struct setup *setup, const struct options *opts, struct error *err)
{
	int n = for_each_packet(opts->pcap, NULL, NULL, err), ret;
	uint64_t loops, end_ns = clock_now() + PACKETS_TIMEOUT * CLOCK_NS_PER_S;
	struct worker_stats stats;
	char text[32];

	if (n <= 0)
		return n ? n : error_set(err, EINVAL, "%s: no packets", opts->pcap);
	loops = (opts->n_packets + (uint64_t)n - 1) / (uint64_t)n;
	snprintf(text, sizeof(text), "%" PRIu64, loops);
	ret = start_traffic(setup, opts, text, err);
	if (ret)
		return ret;
	do {
		sleep_seconds(0.05);
		datapath_get_worker_stats(setup->dp, 0, &stats);
	} while (stats.rx_packets < loops * (uint64_t)n && clock_now() < end_ns);
	printf("{\"packets\": %" PRIu64 "}\n", stats.rx_packets);
	return 0;
}

/* Keys of packets, for --misses. */
struct keys {
	uint32_t in_port;
	size_t n;
	struct flow_key keys[MISSES_MAX];
};

static void collect_key(void *aux, const uint8_t *data, uint32_t size)
{
	struct keys *keys = aux;
	struct flow_layout layout;

	if (keys->n == MISSES_MAX ||
	    flow_key_parse(data, data + size, size, &keys->keys[keys->n], &layout))
		return;
	keys->keys[keys->n++].in_port = keys->in_port;
}

static int compare_ns(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* One translation for each packet, as after a miss in all caches. The verdict is let go of again.
 */
static int run_misses(struct setup *setup, const struct options *opts, struct error *err)
{
	struct keys *keys = calloc(1, sizeof(*keys));
	uint32_t *ns = calloc(MISSES_MAX, sizeof(*ns));
	struct pipeline_verdict verdict = {0};
	double sum = 0;
	int ret;

	if (!keys || !ns) {
		free(keys);
		free(ns);
		return error_set(err, ENOMEM, "no memory");
	}
	keys->in_port = setup->in;
	ret = for_each_packet(opts->pcap, collect_key, keys, err);
	action_list_init(&verdict.actions);
	for (size_t i = 0; i < keys->n; i++) {
		uint64_t started_ns = clock_now();

		verdict.actions.n = 0;
		verdict.cookie = NULL;
		xlate_pipeline.translate(setup->bridges, &keys->keys[i], &verdict);
		ns[i] = (uint32_t)(clock_now() - started_ns);
		sum += ns[i];
		if (verdict.cookie)
			xlate_pipeline.release(setup->bridges, verdict.cookie);
	}
	action_list_uninit(&verdict.actions);
	if (keys->n) {
		qsort(ns, keys->n, sizeof(*ns), compare_ns);
		printf("{\"packets\": %zu, \"rules\": %u, \"load_seconds\": %.3f, \"mean_ns\": %.0f"
		       ", \"median_ns\": %u, \"p99_ns\": %u, \"max_ns\": %u}\n",
		       keys->n, setup->n_rules, setup->load_seconds, sum / (double)keys->n,
		       ns[keys->n / 2], ns[keys->n * 99 / 100], ns[keys->n - 1]);
	}
	free(keys);
	free(ns);
	return ret < 0 ? ret : 0;
}

/* ---- the command line ---- */

static int parse_options(int argc, char **argv, struct options *opts)
{
	static const struct option longs[] = {
		{"pcap", required_argument, NULL, 'p'},
		{"rules", required_argument, NULL, 'r'},
		{"core", required_argument, NULL, 'c'},
		{"seconds", required_argument, NULL, 's'},
		{"packets", required_argument, NULL, 'n'},
		{"misses", no_argument, NULL, 'm'},
		{"metadata", no_argument, NULL, 'x'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'p':
			opts->pcap = optarg;
			break;
		case 'r':
			opts->rules = optarg;
			break;
		case 'c':
			opts->core = atoi(optarg);
			break;
		case 's':
			opts->seconds = strtod(optarg, NULL);
			break;
		case 'n':
			opts->n_packets = strtoull(optarg, NULL, 0);
			break;
		case 'm':
			opts->misses = true;
			break;
		case 'x':
			opts->metadata = true;
			break;
		default:
			return -EINVAL;
		}
	}
	return opts->pcap && opts->rules && opts->seconds > 0 && opts->seconds < 600 ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
	struct options opts = {.core = -1, .seconds = 1};
	struct error err = ERROR_INIT;
	struct setup setup;
	int ret;

	if (parse_options(argc, argv, &opts)) {
		fprintf(stderr, "usage: classify --pcap FILE --rules FILE [--core N] [--metadata] "
				"[--seconds S | --packets N | --misses]\n");
		return 2;
	}
	ret = setup_init(&setup, &opts, &err);
	if (!ret)
		ret = opts.misses      ? run_misses(&setup, &opts, &err)
		      : opts.n_packets ? run_counted(&setup, &opts, &err)
				       : run_timed(&setup, &opts, &err);
	setup_uninit(&setup);
	if (ret)
		fprintf(stderr, "classify: %s\n", err.text);
	return ret ? 1 : 0;
}
