/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VSWITCHD_RPC_H
#define VSWITCHD_RPC_H

/*
 * From a line to a method, and back
 * =================================
 *
 * The daemon's half of the control protocol (ctl/protocol.h) without its sockets: rpc_run() takes
 * one line, decodes the request, looks the method up in a table, checks its parameters against the
 * method's list, calls it, and returns the line that answers. Whatever the line holds, the answer
 * is an answer: this is where bytes from outside are looked at, and what the fuzzer feeds.
 *
 * A method is one row: its name (that of vswitchctl's command), its parameters, its function. The
 * function sees only parameters that are there as declared, so it does not check types again; it
 * returns 0 with a result, or a negative errno with words, which become a refusal
 * (PROTOCOL_REFUSED).
 *
 * A method that has to wait for somebody (libvirt) takes the answer upon itself with rpc_defer(),
 * returns -EINPROGRESS, and calls rpc_finish() when it knows; the connection's next request waits
 * until then, other connections' do not.
 *
 * Thread-safety: the control thread; tables are constant.
 */

#include "lib/error.h"
#include "lib/util.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vswitch;

#define RPC_PARAMS_MAX 12

enum rpc_type {
	RPC_STRING,
	RPC_UINT, /* an integer, 0..UINT32_MAX */
	RPC_BOOL,
	RPC_OPTIONS, /* an object whose values are strings */
	RPC_ARRAY, /* checked by the method */
};

struct rpc_param {
	const char *name; /* NULL ends the list */
	enum rpc_type type;
	bool required;
};

/* Whoever takes answers that come later than the request was run. */
struct rpc_sink {
	/* Holds back the answer to the request that is being run: returns its ticket. */
	uint64_t (*hold)(void *aux);
	/* Sends it; takes `answer` (malloc; NULL: none is wanted) over. */
	void (*answer)(void *aux, uint64_t ticket, char *answer, size_t size);
	void *aux;
};

/* An answer that is still owed. */
struct rpc_later {
	const struct rpc_sink *sink;
	uint64_t ticket;
	json_t *id; /* of the request; owned; NULL: it wants no answer */
	json_t *result; /* object to fill in; owned */
};

/* One request on its way through its method. */
struct rpc_call {
	struct vswitch *vswitch;
	const struct rpc_sink *sink; /* NULL: answers cannot come later */
	json_t *id; /* borrowed; NULL: none */
	bool is_deferred; /* rpc_defer() has taken the result */
	const json_t *params; /* an object, checked */
	json_t *result; /* new object to fill in, or to replace (the call owns it) */
	/* where a refused script is at fault; 0: nowhere */
	const char *file; /* of params */
	unsigned int line;
};

struct rpc_method {
	const char *name; /* NULL ends the table */
	struct rpc_param params[RPC_PARAMS_MAX];
	int (*run)(struct rpc_call *call, struct error *e);
};

/* The table's row of that name, or NULL. */
const struct rpc_method *rpc_lookup(const struct rpc_method *methods, const char *name);

/*
 * Checks that `params` (NULL: none) has all that `method` requires, and nothing that it does not
 * know, each of its type. Returns 0 or -EINVAL with `e` set and *param the name at fault
 * (borrowed).
 */
int rpc_check_params(const struct rpc_method *method, const json_t *params, const char **param,
		     struct error *e) WARN_UNUSED;

/*
 * Carries out the request in `line` (without its newline). Returns the answer as a line with its
 * newline, which the caller frees, and its length; NULL for a request that wants no answer, whose
 * answer comes later (`sink`, NULL: it cannot), or when there is no memory for one.
 */
char *rpc_run(const struct rpc_method *methods, struct vswitch *vswitch,
	      const struct rpc_sink *sink, const char *line, size_t size, size_t *answer_size);

/*
 * For a method: the answer comes later, through rpc_finish(). Returns NULL with `e` set when it
 * cannot. The call's result goes over to it.
 */
struct rpc_later *rpc_defer(struct rpc_call *call, struct error *e);

/* Sends the answer: the result, or if `err` is not 0 the words of `e`. Frees `later`. */
void rpc_finish(struct rpc_later *later, int err, const struct error *e);

/* The answer to a line that was not even read, with the code of enum protocol_code. */
char *rpc_format_error(int code, const char *message, size_t *answer_size);

/* Parameters of a call, known to be there or optional. */
const char *rpc_get_string(const struct rpc_call *call, const char *name); /* NULL: not given */
bool rpc_get_bool(const struct rpc_call *call, const char *name);
uint32_t rpc_get_uint(const struct rpc_call *call, const char *name, uint32_t initial);
bool rpc_has(const struct rpc_call *call, const char *name);

#endif
