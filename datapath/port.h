/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port.h - where packets come in and go out, and the contract of a port driver.
 *
 * A port has receive queues and transmit queues. Each receive queue is polled by one worker. Each
 * worker has one transmit queue of each port that it uses alone or, when the port has fewer queues
 * than there are workers, shares under the queue's lock.
 *
 * A driver is one `struct port_class`, listed in the array port_classes (port.c). It is split by
 * who runs it: port_TYPE.c holds open, close and what else the control thread calls; port_TYPE_io.c
 * holds rx, tx, flush and arm, which workers call. Nobody outside a driver asks which driver it is.
 *
 * Life cycle of a port:
 *   1. open() (control) makes it with all its queues; nothing flows yet.
 *   2. The datapath publishes it: workers poll its receive queues and may transmit.
 *   3. Removal, phase one: the datapath unpublishes it and waits until no worker can hold it.
 *   4. Removal, phase two: close() (control) stops the kernel side, takes every frame back, frees.
 *
 * Thread-safety: each operation says who calls it. Counters have one writer for each worker slot
 * and may be read by anyone.
 */
#ifndef VSWITCH_DATAPATH_PORT_H
#define VSWITCH_DATAPATH_PORT_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include "datapath/drop.h"
#include "datapath/packet.h"
#include "datapath/tier0.h"
#include "lib/error.h"
#include "lib/mutex.h"

struct datapath;
struct port;
struct worker;

/* Highest datapath port number; numbers start with 1, 0 is "none". */
#define PORT_NO_MAX 4095
/* Longest port name, bytes with the terminating NUL. */
#define PORT_NAME_SIZE 64
/* Queues a port may have in each direction. */
#define PORT_QUEUES_MAX 16

/* Group of programs that run virtual machines, as far as files of ports are concerned. */
#define PORT_GUESTS_GROUP "kvm"

/* One KEY=VALUE as the user gave it. */
struct port_option {
	const char *key;
	const char *value;
};

/* What a driver takes as options; for usage texts, suggestions and completion. Ends with a NULL
 * name. */
struct port_option_def {
	const char *name; /* "mode" */
	const char *values; /* for people: "zerocopy|native|generic|auto" */
	const char *initial; /* value when not given, NULL: none */
	const char *help; /* one sentence */
};

/* What a port is asked to be. */
struct port_config {
	const char *name; /* port name, for most drivers the netdev's as well */
	const struct port_option *options; /* n_options of them, keys unique and known to the
					    * class */
	size_t n_options;
	unsigned int n_workers; /* of the datapath: transmit queues that are worth having */
	/* Folder for what the port makes in the file system, such as sockets; made when needed.
	 * NULL: there is none, and an option has to say where. */
	const char *folder;
	/* Called by datapath_add_port() when the port is open and has its number, before it
	 * receives: the place to tell the pipeline, so that its first packet finds rules. A
	 * negative errno closes the port again. NULL: nothing to do. */
	int (*opened)(void *aux, uint32_t port_no, struct error *err);
	void *opened_aux;
};

/* Counters of one port as one thread counted them: single writer, any reader (relaxed). */
struct port_counters {
	uint64_t rx_packets cacheline_aligned;
	uint64_t rx_bytes;
	uint64_t tx_packets;
	uint64_t tx_bytes;
	uint64_t copies; /* copies made of packets that came in here, for further outputs */
	uint64_t drops[DROP_N_REASONS];
};

/*
 * What a port can take of a packet's offloads; software does the rest before tx (offload.h). A
 * driver may change all but max_segs while workers send (relaxed atomics): its tx() then meets
 * packets that were made ready for what it could do a moment ago.
 */
struct port_caps {
	uint32_t max_len; /* longest frame, bytes, MTU + Ethernet header + one VLAN tag; see
			   * port_get_max_len() */
	bool csum; /* PACKET_CSUM_PARTIAL; see port_cap_get() */
	bool gso_tcp4; /* PACKET_GSO_TCP4, and so on */
	bool gso_tcp6;
	bool gso_udp_l4;
	uint8_t max_segs; /* most segments in a packet; >= 1 */
};

/* A receive queue. Drivers put it at the start of their own structure. */
struct port_rxq {
	struct port *port;
	unsigned int index; /* in port->rxqs */
	struct worker *worker; /* who polls it; set by the datapath, NULL before */
	int fd; /* becomes readable when there is something to receive; -1: always
		 * polled */
	uint32_t owner; /* id for frames lent to the kernel through it */
	unsigned int n_empty; /* polls in a row that gave nothing; the worker's own */
};

/* A transmit queue. Drivers put it at the start of their own structure. */
struct port_txq {
	struct port *port;
	unsigned int index; /* in port->txqs */
	bool shared; /* more than one thread transmits here: take `lock` around tx and
		      * flush */
	struct spinlock lock;
	uint32_t owner; /* id for frames lent to the kernel through it */
};

struct port {
	const struct port_class *class;
	struct datapath *dp;
	char name[PORT_NAME_SIZE];
	uint32_t no; /* datapath port number, 1..PORT_NO_MAX */
	unsigned int n_rxqs;
	unsigned int n_txqs; /* at least 1 */
	struct port_rxq *rxqs[PORT_QUEUES_MAX];
	struct port_txq *txqs[PORT_QUEUES_MAX];
	struct port_caps caps;
	struct port_tier0 tier0; /* what it has for tier 0 */
	bool link_up; /* relaxed atomic, see port_get_link() */
	struct port_option *options; /* those given when it was opened or last set; owned copies */
	size_t n_options;
	struct port_counters *counters; /* one for each worker, and one last for the control
					 * thread */
	uint64_t kernel_drops[DROP_N_REASONS]; /* of stages KERNEL and DEVICE; refresh() */
	uint64_t control_deadline_ns; /* what run_control() said last; the datapath's */
};

/* Receives one name=value of a port's state, such as "mode", "native". */
typedef void port_status_cb(void *aux, const char *name, const char *value);

struct port_class {
	const char *type; /* "afxdp" */
	const char *help; /* one sentence */
	const struct port_option_def *options;

	/* Can the machine and our privileges have such a port at all? Returns 0 or a negative errno
	 * with `err` set. Control thread; may block for some milliseconds. NULL: nobody asks. */
	int (*probe)(struct error *err);

	/* Would its owner lose something by the port that he may not expect? For the moment when
	 * somebody asks for a new one, not when it is opened again. Control thread. Returns 0 or a
	 * negative errno with `err` saying what to do. NULL: never. */
	int (*check_new)(const struct port_config *config, struct error *err);

	/*
	 * Opens a port. Control thread; may block. On success stores a new port whose class, name,
	 * queues and caps are set (the datapath fills in dp, no and counters beforehand, see
	 * port_init()). Returns 0 or a negative errno with `err` set; nothing is left behind then.
	 */
	int (*open)(struct datapath *dp, const struct port_config *config, struct port **portp,
		    struct error *err);

	/* Closes and frees the port; returns every frame. Control thread, when no worker can hold
	 * it; may block for a bounded time (under a second). */
	void (*close)(struct port *port);

	/*
	 * Receives up to `max` packets into `packets`, heads with data, length, offloads and, where
	 * the device gave it, hash and layout set; in_port is set by the caller. The caller owns
	 * them. Refills the queue from `cache`. Counts what it must drop. Worker; never blocks.
	 */
	unsigned int (*rx)(struct port_rxq *rxq, struct frame_cache *cache,
			   struct port_counters *counters, struct packet **packets,
			   unsigned int max);

	/*
	 * Transmits `n` packets, all within port->caps, and owns them from then on: each is sent
	 * and counted in tx_packets and tx_bytes, or freed and counted under a reason. May hold
	 * back the system call until flush(). Worker (under txq->lock if shared) or control thread;
	 * never blocks.
	 */
	void (*tx)(struct port_txq *txq, struct frame_cache *cache, struct port_counters *counters,
		   struct packet **packets, unsigned int n);

	/* Pushes out what tx() held back and takes back frames the kernel is done with. As tx().
	 * NULL: nothing is ever held back. Called at least once after tx(), and from time to time
	 * while the transmit side has frames under way. Returns true while frames are still under
	 * way there. */
	bool (*flush)(struct port_txq *txq, struct frame_cache *cache,
		      struct port_counters *counters);

	/* Arms the queue's fd before the worker sleeps. Returns true when there is something to
	 * receive after all: do not sleep. Worker. NULL: the fd needs no arming. */
	bool (*arm)(struct port_rxq *rxq);

	/* Brings link_up, caps and kernel_drops up to date. Control thread. Returns 0, or -ENODEV
	 * when the device has vanished: the port can only be closed. NULL: nothing to bring up to
	 * date. */
	int (*refresh)(struct port *port);

	/* Tells the port's state by name and value. Control thread. NULL: nothing to tell. */
	void (*get_status)(const struct port *port, port_status_cb *cb, void *aux);

	/* Changes a running port to what `config` says: all options that the port is to have,
	 * those that stay as well. Control thread. -EOPNOTSUPP, or NULL: close and open anew.
	 */
	int (*set)(struct port *port, const struct port_config *config, struct error *err);

	/* For ports that have to do with others than the kernel: a descriptor, the same for the
	 * port's whole life, that becomes readable when run_control() is due. Control thread.
	 * NULL: there is nothing to watch. */
	int (*get_control_fd)(const struct port *port);

	/* Does what is due in the control thread; never blocks longer than for a grace period.
	 * Returns when it is to be called without an event (clock_now() time), or
	 * PORT_CONTROL_NEVER. Not NULL if get_control_fd is not. */
	uint64_t (*run_control)(struct port *port, uint64_t now_ns);
};

/* No deadline. */
#define PORT_CONTROL_NEVER UINT64_MAX

/* All drivers, NULL-terminated. */
extern const struct port_class *const port_classes[];

/* Finds a class by its type; NULL with `err` set (and a suggestion in it) when there is none. */
const struct port_class *port_class_lookup(const char *type, struct error *err);

bool port_class_has_option(const struct port_class *class, const char *key);

/* Refuses unknown and doubled options, with a suggestion. Returns 0 or -EINVAL. */
int port_class_check_options(const struct port_class *class, const struct port_config *config,
			     struct error *err) WARN_UNUSED;

/* The value of option `key`, or its initial value by the class's table, or NULL. */
const char *port_config_get(const struct port_class *class, const struct port_config *config,
			    const char *key);

/* Reads option `key` as a number in [min, max]. Returns 0 or -EINVAL with `err` set. */
int port_config_get_uint(const struct port_class *class, const struct port_config *config,
			 const char *key, unsigned int min, unsigned int max, unsigned int *value,
			 struct error *err) WARN_UNUSED;

/* Reads option `key` as "on" or "off". Returns 0 or -EINVAL with `err` set. */
int port_config_get_bool(const struct port_class *class, const struct port_config *config,
			 const char *key, bool *value, struct error *err) WARN_UNUSED;

/* For drivers' open(): sets class, dp, name and link_up, and allocates the counters. Returns 0,
 * -ENOMEM. */
int port_init(struct port *port, const struct port_class *class, struct datapath *dp,
	      const struct port_config *config) WARN_UNUSED;
/* For drivers' set(): refuses with -EOPNOTSUPP when an option changes that is not among `keys`
 * (NULL-terminated). Returns 0, or a negative errno with `err` set. */
int port_check_changes(const struct port *port, const struct port_config *config,
		       const char *const *keys, struct error *err) WARN_UNUSED;
/* For drivers' set(), when it has succeeded: remembers the options. Returns 0, -ENOMEM. */
int port_set_options(struct port *port, const struct port_config *config) WARN_UNUSED;

/* For drivers' close(): frees what port_init() allocated. */
void port_uninit(struct port *port);

/* For drivers: adds queue `rxq`/`txq` to the port, with a new owner id. */
void port_add_rxq(struct port *port, struct port_rxq *rxq);
void port_add_txq(struct port *port, struct port_txq *txq);

static inline bool port_get_link(const struct port *port)
{
	return __atomic_load_n(&port->link_up, __ATOMIC_RELAXED);
}

static inline void port_set_link(struct port *port, bool up)
{
	__atomic_store_n(&port->link_up, up, __ATOMIC_RELAXED);
}

/* The longest frame; refresh() and set() may change it while workers send. */
static inline uint32_t port_get_max_len(const struct port *port)
{
	return __atomic_load_n(&port->caps.max_len, __ATOMIC_RELAXED);
}

static inline void port_set_max_len(struct port *port, uint32_t max_len)
{
	__atomic_store_n(&port->caps.max_len, max_len, __ATOMIC_RELAXED);
}

/* One of the bools in port_caps, which the driver may change. */
static inline bool port_cap_get(const bool *cap)
{
	return __atomic_load_n(cap, __ATOMIC_RELAXED);
}

static inline void port_cap_set(bool *cap, bool value)
{
	__atomic_store_n(cap, value, __ATOMIC_RELAXED);
}

/* Adds `n` to a counter of which the calling thread is the only writer. */
static inline void counter_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* Sets a counter, likewise. */
static inline void counter_set(uint64_t *counter, uint64_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

static inline uint64_t counter_get(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* Counts `n` packets as dropped. */
static inline void port_count_drop(struct port_counters *counters, enum drop_reason reason,
				   uint64_t n)
{
	counter_add(&counters->drops[reason], n);
}

/* Adds `c`, which others may be counting in, to `sum`. */
void port_add_counters(struct port_counters *sum, const struct port_counters *c);

/* Sums the counters of all threads into `sum`, kernel_drops included. Any thread. */
void port_sum_counters(const struct port *port, struct port_counters *sum);

#endif /* VSWITCH_DATAPATH_PORT_H */
