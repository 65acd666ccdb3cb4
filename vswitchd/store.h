/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VSWITCHD_STORE_H
#define VSWITCHD_STORE_H

/*
 * The configuration on disk
 * =========================
 *
 * One SQLite file, STATEDIR/vswitch.db, holds what config.h describes: a row for each bridge, port,
 *static MAC and rule. It is written in transactions, with a write-ahead log and synchronous=FULL:
 *when store_commit() returns 0 the change survives a crash of the daemon and of the machine; when
 *it fails, or the daemon dies before, nothing of it is there.
 *
 *	err = store_begin(store, e);
 *	err = store_put_port(store, "br0", &port, e);	// any number of changes
 *	...
 *	err = store_commit(store, e);			// or store_rollback(store)
 *
 * Only one process may have the file open: it is locked for as long as the store is open, so that a
 * second daemon on the same state directory is refused, whatever its rundir.
 *
 * Damage. A file that is not a database, fails SQLite's check, belongs to another program or holds
 *rows that make no sense is not repaired and not deleted: it is renamed to
 * vswitch.db.damaged-YYYYMMDDTHHMMSSZ (its log with it), a new one is begun, and store_get_note()
 *says so for as long as the daemon runs. What is merely unreadable (permissions, a full disk, I/O
 *errors) or was written by a newer version is left in place, and opening fails.
 *
 * Rules are kept under their 16-byte key, so that replacing and deleting one is one look-up, and
 * with a sequence number, so that they come back in the order in which they were first added.
 *
 * Thread-safety: one thread, the control thread. Each call may block on the disk.
 */

#include "vswitchd/config.h"

#include "lib/error.h"
#include "lib/util.h"

struct store;

#define STORE_FILE_NAME "vswitch.db"

/*
 * Opens or makes the store; `statedir` is made if only its last part is missing. Returns 0, -EBUSY
 * (another process has it), -EACCES, or another negative errno, with `e` set.
 */
int store_open(const char *statedir, struct store **storep, struct error *e) WARN_UNUSED;

/* Closes; an open transaction is rolled back. NULL is allowed. */
void store_close(struct store *store);

/* Path of the file; the store's. */
const char *store_get_path(const struct store *store);

/* One line about a damaged store that was set aside, or NULL; the store's. */
const char *store_get_note(const struct store *store);

/*
 * Reads everything into `config` (uninitialised before). Damage that shows only here sets the file
 * aside as well: the config is then empty and the call succeeds.
 */
int store_load(struct store *store, struct config *config, struct error *e) WARN_UNUSED;

/* Folds a long log into the file; outside of transactions, about once a second. */
void store_tidy(struct store *store);

/* ---- changes: inside a transaction ------------------------------------------------------------
 */

int store_begin(struct store *store, struct error *e) WARN_UNUSED;
int store_commit(struct store *store, struct error *e) WARN_UNUSED; /* rolls back when it fails */
void store_rollback(struct store *store); /* harmless when there is no transaction */

/* Writes name and options; no ports, MACs or rules. */
int store_put_bridge(struct store *store, const struct config_bridge *bridge,
		     struct error *e) WARN_UNUSED;
/* With all that is in it. */
int store_delete_bridge(struct store *store, const char *bridge, struct error *e) WARN_UNUSED;

int store_put_port(struct store *store, const char *bridge, const struct config_port *port,
		   struct error *e) WARN_UNUSED;
int store_delete_port(struct store *store, const char *port, struct error *e) WARN_UNUSED;

int store_put_mac(struct store *store, const char *bridge, const struct config_mac *mac,
		  struct error *e) WARN_UNUSED;
int store_delete_mac(struct store *store, const char *bridge, const struct config_mac *mac,
		     struct error *e) WARN_UNUSED;

/* Adds or replaces `n` rules. */
int store_put_rules(struct store *store, const char *bridge, const struct config_rule *rules,
		    size_t n, struct error *e) WARN_UNUSED;
/* Deletes `n` rules by their keys; those that are not there do no harm. */
int store_delete_rules(struct store *store, const char *bridge, const struct config_rule *rules,
		       size_t n, struct error *e) WARN_UNUSED;
/* Deletes all rules of the bridge. */
int store_clear_rules(struct store *store, const char *bridge, struct error *e) WARN_UNUSED;

/* Writes what one action of a diff changes. */
int store_apply_action(struct store *store, const struct config_action *action,
		       struct error *e) WARN_UNUSED;

#endif
