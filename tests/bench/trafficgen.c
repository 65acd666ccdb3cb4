// SPDX-License-Identifier: BSD-2-Clause
/*
 * trafficgen: the benchmarks' source and sink of packets, both inside the kernel.
 *
 *   trafficgen send     frames from one device, counted at another, as fast as they go
 *   trafficgen steady   frames at a moderate rate, none of which should be lost; counted at the
 *                       other device, with the longest time that none came, and probes: every
 *                       PROBE_NS one frame of a flow that was never there before
 *   trafficgen latency  one frame at a time with idle gaps: how long does each take
 *   trafficgen forward  bare XDP redirect between two devices: the ceiling for all contenders
 *
 * `send` runs a BPF program in live-frames mode, which makes frames and transmits them without
 * anything above the driver. A call of BPF_PROG_TEST_RUN costs an RCU grace period, so one call is
 * made for the whole run, and a signal ends it. All modes end by themselves: what a person or a
 * script forgets does not go on for ever. Results are one line of JSON on standard output.
 *
 * Thread-safety: main() starts at most one more thread (the generator), which shares only
 * `generator.stop` and the BPF maps with it.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "tests/bench/thread_time.h"
#include "tests/bench/trafficgen.h"
#include "tests/bench/trafficgen.skel.h"

#define LIVE_BATCH 64 /* frames made at a time; the kernel's own default */
#define LIVE_REPEAT (1 << 30) /* about five minutes of frames; then the call is made again */
#define MAX_SECONDS 600 /* no run lasts longer than this, whatever was asked for */
#define NS_PER_SEC 1000000000ull
#define LATENCY_TIMEOUT_MS 200 /* a frame that takes longer counts as lost */
#define TICK_NS 100000ull /* steady: from one burst to the next */
#define TICK_BURST 64u /* frames in it; what is left is made up for in the next ones */
#define PROBE_NS 1000000ull /* steady: from one probe to the next */
#define DRAIN_SECONDS 0.3 /* for frames on their way when sending ends */

/* The command line. */
struct options {
	const char *tx; /* device that frames leave from (forward: come in at) */
	const char *rx; /* device where they are counted (forward: go out of) */
	unsigned int flows; /* 1 to TRAFFIC_MAX_FLOWS */
	unsigned int size; /* bytes, without the Ethernet checksum */
	unsigned int core; /* CPU for everything this program does */
	double warmup; /* seconds before counting starts */
	double seconds; /* how long to count (forward: to live) */
	unsigned int count; /* latency: frames to send */
	unsigned int rate; /* steady: frames a second, without probes */
	unsigned int gap_us; /* latency: idle time before each */
	pid_t watch; /* send: process whose busiest thread is timed; 0: none */
	bool sink_tc; /* send: count at tc ingress instead of XDP */
	bool mark_flows; /* send: count distinct flows at the sink */
};

/* A frame, at most TRAFFIC_MAX_SIZE bytes of it in use. */
union frame {
	struct {
		struct ethhdr eth;
		struct iphdr ip;
		struct udphdr udp;
		uint32_t sequence; /* latency mode; inside the smallest frame */
	} __attribute__((packed)) h;
	uint8_t bytes[TRAFFIC_MAX_SIZE];
};

/* The thread that sits in the kernel making frames. */
struct generator {
	int prog_fd;
	union frame *frame;
	unsigned int size;
	atomic_bool stop; /* set before the signal that interrupts the kernel */
	int result; /* 0 or negative errno of the last call */
};

static volatile sig_atomic_t ending;

static void on_signal(int sig)
{
	(void)sig;
	ending = 1;
}

/* Only there to interrupt the generator's system call. */
static void on_wakeup(int sig)
{
	(void)sig;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

static void sleep_seconds(double seconds)
{
	struct timespec time = {
		.tv_sec = (time_t)seconds,
		.tv_nsec = (long)((seconds - (time_t)seconds) * NS_PER_SEC),
	};

	while (!ending && nanosleep(&time, &time) < 0 && errno == EINTR)
		;
}

static int pin(unsigned int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	return sched_setaffinity(0, sizeof(set), &set) < 0 ? -errno : 0;
}

static int mac_of(const char *dev, uint8_t mac[ETH_ALEN])
{
	struct ifreq req = {0};
	int fd, err = 0;

	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0)
		return -errno;
	strncpy(req.ifr_name, dev, IFNAMSIZ - 1);
	if (ioctl(fd, SIOCGIFHWADDR, &req) < 0)
		err = -errno;
	else
		memcpy(mac, req.ifr_hwaddr.sa_data, ETH_ALEN);
	close(fd);
	return err;
}

/* Unfolded one's complement sum of `size` bytes (even), in host order. */
static uint32_t sum16(const void *data, size_t size)
{
	const uint8_t *bytes = data;
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < size; i += 2)
		sum += bytes[i] << 8 | bytes[i + 1];
	return sum;
}

/* Gives `frame` a flow, and the checksums that go with it, from what frame_init() left. */
static void frame_set_flow(union frame *frame, uint32_t flow, uint32_t ip_sum, uint32_t udp_sum)
{
	uint32_t source = traffic_source(flow), source_sum = (source >> 16) + (source & 0xffff);
	uint16_t port = traffic_port(flow);

	frame->h.ip.saddr = htonl(source);
	frame->h.ip.check = htons(traffic_fold(ip_sum + source_sum));
	frame->h.udp.source = htons(port);
	frame->h.udp.check = htons(traffic_fold(udp_sum + source_sum + port));
}

/*
 * Fills `frame` with flow 0's addresses but without source address, source port and checksums, and
 * gives the sums over the rest, which the BPF program completes. Returns 0 or negative errno.
 */
static int frame_init(union frame *frame, const struct options *opts, uint32_t *ip_sum,
		      uint32_t *udp_sum)
{
	unsigned int udp_size = opts->size - sizeof(struct ethhdr) - sizeof(struct iphdr);
	int err;

	memset(frame, 0, sizeof(*frame));
	err = mac_of(opts->tx, frame->h.eth.h_source);
	if (!err)
		err = mac_of(opts->rx, frame->h.eth.h_dest);
	if (err)
		return err;
	frame->h.eth.h_proto = htons(ETH_P_IP);
	frame->h.ip.version = 4;
	frame->h.ip.ihl = 5;
	frame->h.ip.tot_len = htons(opts->size - sizeof(struct ethhdr));
	frame->h.ip.frag_off = htons(IP_DF);
	frame->h.ip.ttl = 64;
	frame->h.ip.protocol = IPPROTO_UDP;
	frame->h.ip.daddr = htonl(TRAFFIC_TARGET);
	frame->h.udp.dest = htons(TRAFFIC_DST_PORT);
	frame->h.udp.len = htons(udp_size);
	*ip_sum = sum16(&frame->h.ip, sizeof(frame->h.ip));
	*udp_sum = sum16(&frame->h.ip.daddr, sizeof(frame->h.ip.daddr)) + IPPROTO_UDP + udp_size +
		   sum16(&frame->h.udp, sizeof(frame->h.udp));
	return 0;
}

static int open_programs(const struct options *opts, uint32_t ip_sum, uint32_t udp_sum,
			 unsigned int out_ifindex, struct trafficgen **skel)
{
	int err;

	*skel = trafficgen__open();
	if (!*skel)
		return -errno;
	(*skel)->rodata->n_flows = opts->flows;
	(*skel)->rodata->out_ifindex = out_ifindex;
	(*skel)->rodata->ip_sum = ip_sum;
	(*skel)->rodata->udp_sum = udp_sum;
	(*skel)->rodata->mark_flows = opts->mark_flows;
	(*skel)->rodata->take_times = opts->rate;
	err = trafficgen__load(*skel);
	if (err) {
		trafficgen__destroy(*skel);
		*skel = NULL;
	}
	return err;
}

/* Adds the counts of all CPUs up; `here`: packets that were counted on CPU `core`. */
static int read_counts(struct trafficgen *skel, struct traffic_count *total, unsigned int core,
		       uint64_t *here)
{
	int n_cpus = libbpf_num_possible_cpus();
	struct traffic_count *each;
	uint32_t zero = 0;
	int err;

	if (n_cpus < 0)
		return n_cpus;
	each = calloc(n_cpus, sizeof(*each));
	if (!each)
		return -ENOMEM;
	memset(total, 0, sizeof(*total));
	*here = 0;
	err = bpf_map_lookup_elem(bpf_map__fd(skel->maps.counts), &zero, each);
	for (int i = 0; !err && i < n_cpus; i++) {
		total->packets += each[i].packets;
		total->bytes += each[i].bytes;
		total->others += each[i].others;
		if ((unsigned int)i == core)
			*here = each[i].packets;
	}
	free(each);
	return err;
}

static unsigned int count_flows(struct trafficgen *skel, unsigned int flows)
{
	unsigned int n = 0;
	uint8_t mark;

	for (uint32_t i = 0; i < flows; i++)
		if (!bpf_map_lookup_elem(bpf_map__fd(skel->maps.seen), &i, &mark))
			n += mark;
	return n;
}

static void *generate(void *arg)
{
	struct generator *gen = arg;
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = gen->frame, .data_size_in = gen->size,
		    .repeat = LIVE_REPEAT, .batch_size = LIVE_BATCH,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

	while (!atomic_load(&gen->stop)) {
		gen->result = bpf_prog_test_run_opts(gen->prog_fd, &run);
		if (gen->result && gen->result != -EINTR)
			break;
	}
	return NULL;
}

/* The generator looks at `stop` only between calls, and a signal that arrives just before a call
 * interrupts nothing, so it is sent until the thread has gone. */
static void generator_stop(struct generator *gen, pthread_t thread)
{
	struct timespec pause;

	atomic_store(&gen->stop, true);
	do {
		pthread_kill(thread, SIGUSR1);
		clock_gettime(CLOCK_REALTIME, &pause);
		pause.tv_nsec += 20000000;
		if (pause.tv_nsec >= (long)NS_PER_SEC) {
			pause.tv_nsec -= NS_PER_SEC;
			pause.tv_sec++;
		}
	} while (pthread_timedjoin_np(thread, NULL, &pause) == ETIMEDOUT);
}

/* Where frames are counted and dropped. */
struct sink {
	struct bpf_link *link; /* XDP: the earliest place */
	struct bpf_tc_hook hook; /* tc ingress: what a network stack begins with */
	bool has_hook;
};

static int sink_open(struct sink *sink, const struct options *opts, struct trafficgen *skel)
{
	int ifindex = (int)if_nametoindex(opts->rx), err;
	LIBBPF_OPTS(bpf_tc_opts, tc, .prog_fd = bpf_program__fd(skel->progs.sink_tc));

	if (!opts->sink_tc) {
		sink->link = bpf_program__attach_xdp(skel->progs.sink, ifindex);
		return sink->link ? 0 : -errno;
	}
	sink->hook = (struct bpf_tc_hook){
		.sz = sizeof(sink->hook),
		.ifindex = ifindex,
		.attach_point = BPF_TC_INGRESS,
	};
	err = bpf_tc_hook_create(&sink->hook);
	if (err)
		return err;
	sink->has_hook = true;
	return bpf_tc_attach(&sink->hook, &tc);
}

static void sink_close(struct sink *sink)
{
	if (sink->has_hook) {
		sink->hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
		bpf_tc_hook_destroy(&sink->hook);
	}
	bpf_link__destroy(sink->link);
}

static int run_send(const struct options *opts)
{
	struct generator gen = {.size = opts->size};
	struct thread_time before = {0}, after = {0};
	struct traffic_count from, to;
	uint32_t ip_sum, udp_sum;
	struct trafficgen *skel;
	uint64_t started, took, generated, here_before, here;
	struct sink sink = {0};
	union frame frame;
	pthread_t thread;
	int err;

	err = frame_init(&frame, opts, &ip_sum, &udp_sum);
	if (!err)
		err = open_programs(opts, ip_sum, udp_sum, if_nametoindex(opts->tx), &skel);
	if (err)
		return err;
	err = sink_open(&sink, opts, skel);
	if (err)
		goto out_sink;
	gen.prog_fd = bpf_program__fd(skel->progs.generate);
	gen.frame = &frame;
	err = -pthread_create(&thread, NULL, generate, &gen);
	if (err)
		goto out_sink;
	sleep_seconds(opts->warmup);
	thread_time_sample(opts->watch, &before);
	started = clock_ns(CLOCK_MONOTONIC);
	generated = skel->bss->generated;
	err = read_counts(skel, &from, opts->core, &here_before);
	sleep_seconds(opts->seconds);
	if (!err)
		err = read_counts(skel, &to, opts->core, &here);
	thread_time_sample(opts->watch, &after);
	took = clock_ns(CLOCK_MONOTONIC) - started;
	generated = skel->bss->generated - generated;
	generator_stop(&gen, thread);
	if (!err && gen.result != -EINTR)
		err = gen.result;
	if (!err)
		printf("{\"sent\": %" PRIu64 ", \"received\": %" PRIu64 ", \"bytes\": %" PRIu64
		       ", \"others\": %" PRIu64 ", \"on_core\": %" PRIu64
		       ", \"seconds\": %.6f, \"flows\": %u"
		       ", \"thread_seconds\": %.6f}\n",
		       generated, (uint64_t)(to.packets - from.packets),
		       (uint64_t)(to.bytes - from.bytes), (uint64_t)(to.others - from.others),
		       here - here_before, (double)took / NS_PER_SEC,
		       opts->mark_flows ? count_flows(skel, opts->flows) : opts->flows,
		       (double)thread_time_busiest(&before, &after) / NS_PER_SEC);
out_sink:
	sink_close(&sink);
	trafficgen__destroy(skel);
	return err;
}

static int packet_socket(const char *dev, int protocol)
{
	struct timeval timeout = {.tv_usec = LATENCY_TIMEOUT_MS * 1000};
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(protocol),
		.sll_ifindex = if_nametoindex(dev),
	};
	int fd, on = 1;

	fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* A sender of frames at a steady rate. */
struct steady {
	const struct options *opts;
	union frame frame;
	uint32_t ip_sum, udp_sum;
	int fd; /* packet socket at opts->tx */
	uint64_t start;
	uint64_t n_sent; /* without probes */
	uint32_t n_probes;
	uint64_t longest_pause; /* between two bursts, ns: time that somebody else took */
};

static int steady_send(struct steady *steady, uint32_t flow)
{
	frame_set_flow(&steady->frame, flow, steady->ip_sum, steady->udp_sum);
	return send(steady->fd, &steady->frame, steady->opts->size, 0) < 0 ? -errno : 0;
}

/* Sends what is due. Returns 0, also when the device takes no more for now, or negative errno. */
static int steady_burst(struct steady *steady, uint64_t now)
{
	const struct options *opts = steady->opts;
	uint64_t age = now - steady->start, due = age * opts->rate / NS_PER_SEC;
	int err = 0;

	for (unsigned int i = 0; i < TICK_BURST && steady->n_sent < due && !err; i++) {
		err = steady_send(steady, steady->n_sent % opts->flows);
		if (!err)
			steady->n_sent++;
	}
	if (!err && age / PROBE_NS > steady->n_probes && steady->n_probes < TRAFFIC_MAX_PROBES) {
		err = steady_send(steady, opts->flows + steady->n_probes);
		if (!err)
			steady->n_probes++;
	}
	return err == -ENOBUFS ? 0 : err;
}

static int steady_run(struct steady *steady)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), end, tick, before;
	int err = 0;

	steady->start = tick = before = now;
	end = now + (uint64_t)(steady->opts->seconds * NS_PER_SEC);
	while (now < end && !ending && !err) {
		struct timespec until;

		if (now - before > steady->longest_pause)
			steady->longest_pause = now - before;
		before = now;
		err = steady_burst(steady, now);
		tick += TICK_NS;
		until.tv_sec = tick / NS_PER_SEC;
		until.tv_nsec = tick % NS_PER_SEC;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		now = clock_ns(CLOCK_MONOTONIC);
	}
	return err;
}

/* One line of JSON; `end` is when sending ended. */
static int steady_print(const struct steady *steady, struct trafficgen *skel, uint64_t end)
{
	uint64_t gap = skel->bss->longest_gap, last = skel->bss->last_arrival, arrival;
	struct traffic_count count;
	uint64_t here;
	int err;

	err = read_counts(skel, &count, steady->opts->core, &here);
	if (err)
		return err;
	if (end > last && end - last > gap)
		gap = end - last;
	printf("{\"sent\": %" PRIu64 ", \"received\": %" PRIu64 ", \"longest_gap_ms\": %.3f"
	       ", \"longest_pause_ms\": %.3f, \"probes\": [",
	       steady->n_sent, (uint64_t)count.packets, (double)gap / 1e6,
	       (double)steady->longest_pause / 1e6);
	for (uint32_t i = 0; i < steady->n_probes && !err; i++) {
		err = bpf_map_lookup_elem(bpf_map__fd(skel->maps.arrivals), &i, &arrival);
		printf("%s%" PRIu64, i ? ", " : "", arrival);
	}
	printf("]}\n");
	return err;
}

static int run_steady(const struct options *opts)
{
	struct steady steady = {.opts = opts};
	struct trafficgen *skel;
	struct sink sink = {0};
	uint64_t end;
	int err;

	err = frame_init(&steady.frame, opts, &steady.ip_sum, &steady.udp_sum);
	if (!err)
		err = open_programs(opts, 0, 0, 0, &skel);
	if (err)
		return err;
	err = sink_open(&sink, opts, skel);
	if (err)
		goto out_sink;
	steady.fd = err = packet_socket(opts->tx, 0);
	if (err < 0)
		goto out_sink;
	err = steady_run(&steady);
	end = clock_ns(CLOCK_MONOTONIC);
	sleep_seconds(DRAIN_SECONDS);
	if (!err)
		err = steady_print(&steady, skel, end);
	close(steady.fd);
out_sink:
	sink_close(&sink);
	trafficgen__destroy(skel);
	return err;
}

static int run_forward(const struct options *opts)
{
	struct trafficgen *skel;
	struct bpf_link *link;
	int err;

	err = open_programs(opts, 0, 0, if_nametoindex(opts->rx), &skel);
	if (err)
		return err;
	link = bpf_program__attach_xdp(skel->progs.forward, if_nametoindex(opts->tx));
	if (!link) {
		err = -errno;
	} else {
		printf("{\"ready\": true}\n");
		fflush(stdout);
		sleep_seconds(opts->seconds);
		bpf_link__destroy(link);
	}
	trafficgen__destroy(skel);
	return err;
}

/*
 * Waits for the frame with this sequence number and gives the time at which the kernel received it,
 * so that waking this process is not part of the figure. Returns 0, or -EAGAIN when it did not
 * come.
 */
static int receive(int fd, uint32_t sequence, uint64_t *when)
{
	char control[CMSG_SPACE(sizeof(struct timespec))];
	union frame frame;
	struct iovec iov = {.iov_base = &frame, .iov_len = sizeof(frame)};
	struct timespec stamp;
	struct cmsghdr *cmsg;

	for (int tries = 0; tries < 64; tries++) {
		struct msghdr msg = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		ssize_t size = recvmsg(fd, &msg, 0);

		if (size < 0)
			return -errno;
		cmsg = CMSG_FIRSTHDR(&msg);
		if (size < TRAFFIC_MIN_SIZE || !cmsg || cmsg->cmsg_type != SCM_TIMESTAMPNS ||
		    frame.h.udp.dest != htons(TRAFFIC_DST_PORT) || frame.h.sequence != sequence)
			continue;
		memcpy(&stamp, CMSG_DATA(cmsg), sizeof(stamp));
		*when = stamp.tv_sec * NS_PER_SEC + stamp.tv_nsec;
		return 0;
	}
	return -EAGAIN;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void print_latency(uint64_t *ns, unsigned int n, unsigned int lost)
{
	static const double quantiles[] = {0, 0.1, 0.5, 0.9, 0.99, 1};

	qsort(ns, n, sizeof(*ns), compare_u64);
	printf("{\"received\": %u, \"lost\": %u", n, lost);
	for (size_t i = 0; n && i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
		printf(", \"p%g\": %.3f", quantiles[i] * 100,
		       ns[(size_t)(quantiles[i] * (n - 1))] / 1000.0);
	printf("}\n");
}

/* Microseconds from just before sendto() to the kernel's receive time stamp at the far end. */
static int run_latency(const struct options *opts)
{
	unsigned int n = 0, lost = 0;
	uint32_t ip_sum, udp_sum;
	int tx, rx, err;
	union frame frame;
	uint64_t *ns;

	err = frame_init(&frame, opts, &ip_sum, &udp_sum);
	if (err)
		return err;
	frame_set_flow(&frame, 0, ip_sum, udp_sum);
	frame.h.udp.check = 0; /* none: the sequence number changes */
	tx = packet_socket(opts->tx, 0);
	rx = packet_socket(opts->rx, ETH_P_ALL);
	ns = calloc(opts->count, sizeof(*ns));
	if (tx < 0 || rx < 0 || !ns) {
		err = tx < 0 ? tx : rx < 0 ? rx : -ENOMEM;
		goto out;
	}
	for (unsigned int i = 0; i < opts->count && !ending; i++) {
		uint64_t sent, received = 0;

		sleep_seconds(opts->gap_us / 1e6);
		frame.h.sequence = htonl(i);
		sent = clock_ns(CLOCK_REALTIME);
		if (send(tx, &frame, opts->size, 0) < 0) {
			err = -errno;
			goto out;
		}
		if (receive(rx, htonl(i), &received))
			lost++;
		else
			ns[n++] = received > sent ? received - sent : 0;
	}
	print_latency(ns, n, lost);
out:
	free(ns);
	if (rx >= 0)
		close(rx);
	if (tx >= 0)
		close(tx);
	return err;
}

static void usage(FILE *out)
{
	fprintf(out, "usage: trafficgen send|steady|latency|forward --tx DEV --rx DEV [--flows N] "
		     "[--size BYTES] [--core N]\n"
		     "       [--warmup S] [--seconds S] [--watch PID] [--sink-tc] [--mark-flows]\n"
		     "       [--count N] [--gap-us N] [--rate N]\n");
}

static int parse_options(int argc, char **argv, struct options *opts)
{
	static const struct option longs[] = {
		{"tx", required_argument, NULL, 't'},	   {"rx", required_argument, NULL, 'r'},
		{"flows", required_argument, NULL, 'f'},   {"size", required_argument, NULL, 's'},
		{"core", required_argument, NULL, 'c'},	   {"warmup", required_argument, NULL, 'w'},
		{"seconds", required_argument, NULL, 'd'}, {"count", required_argument, NULL, 'n'},
		{"gap-us", required_argument, NULL, 'g'},  {"watch", required_argument, NULL, 'p'},
		{"sink-tc", no_argument, NULL, 'k'},	   {"rate", required_argument, NULL, 'a'},
		{"mark-flows", no_argument, NULL, 'm'},	   {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 't':
			opts->tx = optarg;
			break;
		case 'r':
			opts->rx = optarg;
			break;
		case 'f':
			opts->flows = strtoul(optarg, NULL, 0);
			break;
		case 's':
			opts->size = strtoul(optarg, NULL, 0);
			break;
		case 'c':
			opts->core = strtoul(optarg, NULL, 0);
			break;
		case 'w':
			opts->warmup = strtod(optarg, NULL);
			break;
		case 'd':
			opts->seconds = strtod(optarg, NULL);
			break;
		case 'n':
			opts->count = strtoul(optarg, NULL, 0);
			break;
		case 'g':
			opts->gap_us = strtoul(optarg, NULL, 0);
			break;
		case 'p':
			opts->watch = atoi(optarg);
			break;
		case 'a':
			opts->rate = strtoul(optarg, NULL, 0);
			break;
		case 'k':
			opts->sink_tc = true;
			break;
		case 'm':
			opts->mark_flows = true;
			break;
		default:
			return -EINVAL;
		}
	}
	if (!opts->tx || !opts->rx || !opts->flows || opts->flows > TRAFFIC_MAX_FLOWS ||
	    opts->size < TRAFFIC_MIN_SIZE || opts->size > TRAFFIC_MAX_SIZE ||
	    !(opts->warmup >= 0 && opts->seconds > 0) || !opts->count ||
	    opts->warmup + opts->seconds > MAX_SECONDS)
		return -EINVAL;
	if (!if_nametoindex(opts->tx) || !if_nametoindex(opts->rx))
		return -ENODEV;
	return 0;
}

int main(int argc, char **argv)
{
	struct options opts = {
		.flows = 1, .size = 64, .warmup = 0.5, .seconds = 2, .count = 200, .gap_us = 10000};
	struct sigaction action = {.sa_handler = on_signal};
	const char *mode = argc > 1 ? argv[1] : "";
	int err;

	err = argc > 1 ? parse_options(argc - 1, argv + 1, &opts) : -EINVAL;
	if (err == -EINVAL) {
		usage(stderr);
		return 2;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	action.sa_handler = on_wakeup;
	sigaction(SIGUSR1, &action, NULL);
	if (!err)
		err = pin(opts.core);
	if (!err && !strcmp(mode, "send"))
		err = run_send(&opts);
	else if (!err && !strcmp(mode, "forward"))
		err = run_forward(&opts);
	else if (!err && !strcmp(mode, "steady"))
		err = opts.rate ? run_steady(&opts) : -EINVAL;
	else if (!err && !strcmp(mode, "latency"))
		err = run_latency(&opts);
	else if (!err)
		err = -EINVAL;
	if (err) {
		fprintf(stderr, "trafficgen %s: %s\n", mode, strerror(-err));
		return 1;
	}
	return 0;
}
