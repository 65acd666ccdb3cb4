/* SPDX-License-Identifier: BSD-2-Clause */
#include "vswitchd/store.h"

#include "lib/log.h"
#include "vswitchd/store_priv.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* "vsw1": marks the file as ours, for file(1) and for us. */
#define STORE_APPLICATION_ID 0x76737731
#define STORE_SCHEMA_VERSION 2
#define STORE_LOG_PAGES_MAX 1000 /* of the write-ahead log, before it is folded in */

static const char schema[] =
	"CREATE TABLE bridge (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
	" options TEXT NOT NULL);"
	"CREATE TABLE port (name TEXT PRIMARY KEY,"
	" bridge INTEGER NOT NULL REFERENCES bridge(id) ON DELETE CASCADE,"
	" type TEXT NOT NULL, ofport INTEGER NOT NULL, options TEXT NOT NULL,"
	" container TEXT, container_options TEXT, process TEXT) WITHOUT ROWID;"
	"CREATE INDEX port_bridge ON port(bridge);"
	"CREATE TABLE mac (bridge INTEGER NOT NULL REFERENCES bridge(id) ON DELETE CASCADE,"
	" vlan INTEGER NOT NULL, address BLOB NOT NULL, port TEXT NOT NULL,"
	" PRIMARY KEY (bridge, vlan, address)) WITHOUT ROWID;"
	"CREATE TABLE rule (bridge INTEGER NOT NULL REFERENCES bridge(id) ON DELETE CASCADE,"
	" key BLOB NOT NULL, seq INTEGER NOT NULL, text TEXT NOT NULL,"
	" PRIMARY KEY (bridge, key)) WITHOUT ROWID;";

/* What turns the tables of version i into those of version i + 1. */
static const char *const migrations[STORE_SCHEMA_VERSION] = {
	[1] = "ALTER TABLE port ADD COLUMN process TEXT",
};

static const char *const statements[] = {
	[STORE_SQL_BEGIN] = "BEGIN IMMEDIATE",
	[STORE_SQL_COMMIT] = "COMMIT",
	[STORE_SQL_FIND_BRIDGE] = "SELECT id FROM bridge WHERE name = ?1",
	[STORE_SQL_PUT_BRIDGE] = "INSERT INTO bridge (name, options) VALUES (?1, ?2)"
				 " ON CONFLICT (name) DO UPDATE SET options = ?2",
	[STORE_SQL_DELETE_BRIDGE] = "DELETE FROM bridge WHERE name = ?1",
	[STORE_SQL_PUT_PORT] =
		"INSERT INTO port (name, bridge, type, ofport, options, container,"
		" container_options, process) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
		" ON CONFLICT (name) DO UPDATE"
		" SET bridge = ?2, type = ?3, ofport = ?4, options = ?5, container = ?6,"
		" container_options = ?7, process = ?8",
	[STORE_SQL_DELETE_PORT] = "DELETE FROM port WHERE name = ?1",
	[STORE_SQL_PUT_MAC] =
		"INSERT INTO mac (bridge, vlan, address, port) VALUES (?1, ?2, ?3, ?4)"
		" ON CONFLICT (bridge, vlan, address) DO UPDATE SET port = ?4",
	[STORE_SQL_DELETE_MAC] = "DELETE FROM mac WHERE bridge = ?1 AND vlan = ?2 AND address = ?3",
	[STORE_SQL_PUT_RULE] = "INSERT INTO rule (bridge, key, seq, text) VALUES (?1, ?2, ?3, ?4)"
			       " ON CONFLICT (bridge, key) DO UPDATE SET text = ?4",
	[STORE_SQL_DELETE_RULE] = "DELETE FROM rule WHERE bridge = ?1 AND key = ?2",
	[STORE_SQL_CLEAR_RULES] = "DELETE FROM rule WHERE bridge = ?1",
	[STORE_SQL_LOAD_BRIDGES] = "SELECT id, name, options FROM bridge ORDER BY id",
	[STORE_SQL_LOAD_PORTS] = "SELECT name, type, ofport, options, container,"
				 " container_options, process"
				 " FROM port WHERE bridge = ?1",
	[STORE_SQL_LOAD_MACS] = "SELECT vlan, address, port FROM mac WHERE bridge = ?1",
	[STORE_SQL_LOAD_RULES] = "SELECT key, text FROM rule WHERE bridge = ?1 ORDER BY seq",
};
ASSERT_ENTRIES(statements, STORE_N_SQL);

/* ---- SQLite's words ---------------------------------------------------------------------------
 */

int store_errno(int code)
{
	switch (code & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_PERM:
	case SQLITE_AUTH:
	case SQLITE_CANTOPEN:
		return -EACCES;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_ERROR: /* tables or columns that are not there */
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	default:
		return -EIO;
	}
}

int store_fail(struct store *store, int code, struct error *e)
{
	if ((code & 0xff) == SQLITE_BUSY)
		return error_set(
			e, EBUSY,
			"%s is in use by another process; stop it, or choose another --statedir",
			store->path);
	return error_set(e, store_errno(code), "%s: %s", store->path,
			 store->db ? sqlite3_errmsg(store->db) : sqlite3_errstr(code));
}

sqlite3_stmt *store_get_statement(struct store *store, enum store_sql sql)
{
	sqlite3_stmt *statement = store->statements[sql];

	if (!statement) {
		if (sqlite3_prepare_v3(store->db, statements[sql], -1, SQLITE_PREPARE_PERSISTENT,
				       &statement, NULL) != SQLITE_OK)
			return NULL;
		store->statements[sql] = statement;
	}
	sqlite3_reset(statement);
	return statement;
}

int store_run(struct store *store, sqlite3_stmt *statement, struct error *e)
{
	int code = statement ? sqlite3_step(statement) : sqlite3_errcode(store->db);
	int err = 0;

	if (code != SQLITE_DONE && code != SQLITE_ROW)
		err = store_fail(store, code, e);
	if (statement)
		sqlite3_reset(statement);
	return err;
}

/* The integer that a statement of one row and column gives. */
static int query_integer(struct store *store, const char *sql, int64_t *value, struct error *e)
{
	sqlite3_stmt *statement;
	int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);

	if (code != SQLITE_OK)
		return store_fail(store, code, e);
	code = sqlite3_step(statement);
	*value = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
	sqlite3_finalize(statement);
	return code == SQLITE_ROW ? 0 : store_fail(store, code, e);
}

static int execute(struct store *store, const char *sql, struct error *e)
{
	int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : store_fail(store, code, e);
}

/* ---- opening ----------------------------------------------------------------------------------
 */

static void close_database(struct store *store)
{
	for (int i = 0; i < STORE_N_SQL; i++) {
		sqlite3_finalize(store->statements[i]);
		store->statements[i] = NULL;
	}
	sqlite3_close_v2(store->db);
	store->db = NULL;
}

/* Makes the tables in a new file. */
static int create_schema(struct store *store, struct error *e)
{
	char pragmas[128];
	int err;

	snprintf(pragmas, sizeof(pragmas), "PRAGMA application_id = %d; PRAGMA user_version = %d;",
		 STORE_APPLICATION_ID, STORE_SCHEMA_VERSION);
	err = execute(store, "BEGIN IMMEDIATE", e);
	if (!err)
		err = execute(store, schema, e);
	if (!err)
		err = execute(store, pragmas, e);
	if (!err)
		err = execute(store, "COMMIT", e);
	return err;
}

/* Brings the tables of an older version up to date. */
static int migrate(struct store *store, int64_t version, struct error *e)
{
	char pragma[64];
	int err;

	err = execute(store, "BEGIN IMMEDIATE", e);
	for (; !err && version < STORE_SCHEMA_VERSION; version++)
		err = execute(store, migrations[version], e);
	snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d; COMMIT", STORE_SCHEMA_VERSION);
	return err ? err : execute(store, pragma, e);
}

/* Is the file ours, whole, and of a version that we know? -EBADMSG: it is damaged. */
static int check_database(struct store *store, struct error *e)
{
	int64_t application_id, version, n_tables;
	sqlite3_stmt *statement;
	int err, code;

	err = query_integer(store, "SELECT count(*) FROM sqlite_schema", &n_tables, e);
	if (!err)
		err = query_integer(store, "PRAGMA application_id", &application_id, e);
	if (!err)
		err = query_integer(store, "PRAGMA user_version", &version, e);
	if (err)
		return err;
	if (n_tables == 0 && application_id == 0)
		return create_schema(store, e);
	if (application_id != STORE_APPLICATION_ID)
		return error_set(e, EBADMSG, "%s: a database of another program", store->path);
	if (version > STORE_SCHEMA_VERSION)
		return error_set(
			e, EPROTO,
			"%s: written by a newer vswitchd (schema %lld, this one knows %d); run "
			"that one, or choose another --statedir",
			store->path, (long long)version, STORE_SCHEMA_VERSION);

	code = sqlite3_prepare_v2(store->db, "PRAGMA quick_check(1)", -1, &statement, NULL);
	if (code != SQLITE_OK)
		return store_fail(store, code, e);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW &&
	    strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0)
		err = error_set(e, EBADMSG, "%s: %s", store->path,
				sqlite3_column_text(statement, 0));
	else if (code != SQLITE_ROW)
		err = store_fail(store, code, e);
	sqlite3_finalize(statement);
	if (!err && version < STORE_SCHEMA_VERSION)
		err = version < 1 ? error_set(e, EBADMSG, "%s: no version of ours", store->path)
				  : migrate(store, version, e);
	return err;
}

/* SQLite tells how long the log is by now. */
static int note_log(void *aux, sqlite3 *db, const char *name, int n_pages)
{
	struct store *store = aux;

	(void)db;
	(void)name;
	store->log_pages = n_pages;
	return SQLITE_OK;
}

static int open_database(struct store *store, struct error *e)
{
	static const char pragmas[] =
		"PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
		"PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -65536;"
		"PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;"
		"PRAGMA wal_autocheckpoint = 0;"
		"BEGIN IMMEDIATE; COMMIT;"; /* takes the lock, and keeps it */
	int code, err;

	code = sqlite3_open_v2(store->path, &store->db,
			       SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
				       SQLITE_OPEN_NOFOLLOW,
			       NULL);
	if (code != SQLITE_OK) {
		err = store_fail(store, code, e);
		close_database(store);
		return err;
	}
	sqlite3_extended_result_codes(store->db, 1);
	err = execute(store, pragmas, e);
	sqlite3_wal_hook(store->db, note_log,
			 store); /* in place of its own, which the pragmas set */
	if (!err)
		err = check_database(store, e);
	if (!err)
		err = query_integer(store, "SELECT coalesce(max(seq), 0) FROM rule", &store->seq,
				    e);
	if (err)
		close_database(store);
	return err;
}

int store_set_aside(struct store *store, const char *why, struct error *e)
{
	static const char *const parts[] = {"", "-wal", "-shm", "-journal"};
	char from[PATH_MAX + 64], to[PATH_MAX + 64], stamp[32];
	time_t now = time(NULL);
	struct tm tm;

	close_database(store);
	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		snprintf(from, sizeof(from), "%s%s", store->path, parts[i]);
		snprintf(to, sizeof(to), "%s.damaged-%s%s", store->path, stamp, parts[i]);
		if (rename(from, to) < 0 && errno != ENOENT)
			return error_set(e, errno, "cannot rename the damaged %s: %m", from);
	}
	snprintf(store->note, sizeof(store->note),
		 "the configuration store was damaged (%s) and was set aside as %s.damaged-%s; the "
		 "switch started without a configuration",
		 why, store->path, stamp);
	log_error("%s", store->note);
	return open_database(store, e);
}

static int make_statedir(const char *statedir, struct error *e)
{
	struct stat st;

	if (mkdir(statedir, 0700) < 0 && errno != EEXIST)
		return error_set(e, errno, "cannot make the state directory %s: %m", statedir);
	if (stat(statedir, &st) < 0)
		return error_set(e, errno, "state directory %s: %m", statedir);
	if (!S_ISDIR(st.st_mode))
		return error_set(e, ENOTDIR, "state directory %s: not a directory", statedir);
	return 0;
}

/* SQLite says "unable to open" for every reason there is: find out which. */
static int explain_open(struct store *store, int err, struct error *e)
{
	if (err != -EACCES)
		return err;
	if (access(store->path, R_OK | W_OK) < 0 && errno != ENOENT)
		return error_set(e, errno, "%s: %m", store->path);
	return err;
}

int store_open(const char *statedir, struct store **storep, struct error *e)
{
	struct error why = ERROR_INIT;
	struct store *store;
	int err;

	err = make_statedir(statedir, e);
	if (err)
		return err;
	store = calloc(1, sizeof(*store));
	if (!store || asprintf(&store->path, "%s/%s", statedir, STORE_FILE_NAME) < 0) {
		free(store);
		return error_set(e, ENOMEM, "out of memory");
	}
	err = open_database(store, &why);
	if (err == -EBADMSG)
		err = store_set_aside(store, why.text, &why);
	if (err) {
		err = explain_open(store, err, &why);
		if (e)
			*e = why;
		store_close(store);
		return err;
	}
	if (chmod(store->path, 0600) < 0)
		log_warn("%s: cannot make it private: %m", store->path);
	*storep = store;
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	close_database(store);
	free(store->path);
	free(store);
}

const char *store_get_path(const struct store *store)
{
	return store->path;
}

const char *store_get_note(const struct store *store)
{
	return store->note[0] ? store->note : NULL;
}

void store_tidy(struct store *store)
{
	int code;

	if (store->log_pages < STORE_LOG_PAGES_MAX)
		return;
	/* tried again when the log has grown; nothing is lost in the meantime */
	store->log_pages = 0;
	code = sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	if (code != SQLITE_OK)
		log_warn_limited("%s: the log cannot be folded in: %s", store->path,
				 sqlite3_errmsg(store->db));
}

/* ---- transactions -----------------------------------------------------------------------------
 */

int store_begin(struct store *store, struct error *e)
{
	store->bridge_name[0] = '\0';
	return store_run(store, store_get_statement(store, STORE_SQL_BEGIN), e);
}

int store_commit(struct store *store, struct error *e)
{
	int err = store_run(store, store_get_statement(store, STORE_SQL_COMMIT), e);

	if (err)
		store_rollback(store);
	return err;
}

void store_rollback(struct store *store)
{
	if (!sqlite3_get_autocommit(store->db) &&
	    sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
		log_error("%s: cannot roll back: %s", store->path, sqlite3_errmsg(store->db));
}
