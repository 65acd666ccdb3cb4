/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VSWITCHD_STORE_PRIV_H
#define VSWITCHD_STORE_PRIV_H

/*
 * What the two halves of the store share: store.c opens, checks, sets aside and keeps transactions,
 * store_rows.c turns config values into rows and back.
 *
 * Statements are prepared on first use and kept until the database is closed.
 *
 * Thread-safety: as store.h.
 */

#include "vswitchd/store.h"

#include <sqlite3.h>

/* One entry a statement; the texts stand in store.c. */
enum store_sql {
	STORE_SQL_BEGIN,
	STORE_SQL_COMMIT,
	STORE_SQL_FIND_BRIDGE,
	STORE_SQL_PUT_BRIDGE,
	STORE_SQL_DELETE_BRIDGE,
	STORE_SQL_PUT_PORT,
	STORE_SQL_DELETE_PORT,
	STORE_SQL_PUT_MAC,
	STORE_SQL_DELETE_MAC,
	STORE_SQL_PUT_RULE,
	STORE_SQL_DELETE_RULE,
	STORE_SQL_CLEAR_RULES,
	STORE_SQL_LOAD_BRIDGES,
	STORE_SQL_LOAD_PORTS,
	STORE_SQL_LOAD_MACS,
	STORE_SQL_LOAD_RULES,
	STORE_N_SQL
};

struct store {
	char *path; /* of the file; owned */
	sqlite3 *db; /* NULL only while the file is being set aside */
	sqlite3_stmt *statements[STORE_N_SQL]; /* NULL: not yet prepared */
	int64_t seq; /* highest sequence number that a rule has or had */
	int log_pages; /* length of the write-ahead log */
	char bridge_name[CONFIG_BRIDGE_NAME_SIZE]; /* whose id is bridge_id; "": nobody's */
	int64_t bridge_id;
	char note[512]; /* see store_get_note(); "": nothing to say */
};

/* The negative errno for a result code of SQLite; -EBADMSG: damage. */
int store_errno(int code);

/* Fills in `e` with SQLite's words and returns the negative errno. */
int store_fail(struct store *store, int code, struct error *e);

/* The statement, reset; NULL: see sqlite3_errcode(). */
sqlite3_stmt *store_get_statement(struct store *store, enum store_sql sql);

/* Runs a statement that has been bound (NULL: it could not be prepared) and resets it. */
int store_run(struct store *store, sqlite3_stmt *statement, struct error *e) WARN_UNUSED;

/* Renames the file and begins a new one; see store.h. */
int store_set_aside(struct store *store, const char *why, struct error *e) WARN_UNUSED;

#endif
