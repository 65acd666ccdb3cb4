/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/test.h"

#include "lib/log.h"
#include "vswitchd/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A state directory of its own for each test. */
struct fixture {
	char dir[64];
	char file[96];
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/vswitch-store-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->file, sizeof(f->file), "%s/%s", f->dir, STORE_FILE_NAME);
	*state = f;
	return 0;
}

/* Removes the directory; returns how many entries whose name contains `word` there were. */
static unsigned int count_entries(const char *path, const char *word, bool remove_them)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	unsigned int n = 0;

	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		n += strstr(entry->d_name, word) != NULL;
		if (remove_them)
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
	return n;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	count_entries(f->dir, "", true);
	rmdir(f->dir);
	free(f);
	return 0;
}

static struct store *open_store(const struct fixture *f)
{
	struct error e = ERROR_INIT;
	struct store *store = NULL;

	if (store_open(f->dir, &store, &e))
		fail_msg("%s", e.text);
	return store;
}

static void make_key(uint8_t key[CONFIG_RULE_KEY_SIZE], unsigned int n)
{
	/* not in order, as hashes are not */
	memset(key, (int)(n * 37 % 251), CONFIG_RULE_KEY_SIZE);
	memcpy(key + 8, &n, sizeof(n));
}

static void append_rule(struct config_bridge *bridge, unsigned int n)
{
	uint8_t key[CONFIG_RULE_KEY_SIZE];
	char *text;

	make_key(key, n);
	assert_true(asprintf(&text, "priority=%u actions=drop", n) > 0);
	assert_int_equal(config_append_rule(bridge, key, text), 0);
}

static const uint8_t mac[6] = {2, 0, 0x5e, 0, 0x53, 9};

static void make_example(struct config *config, unsigned int n_rules)
{
	struct config_bridge *bridge;
	struct config_port *port;

	config_init(config);
	bridge = config_add_bridge(config, "br0", NULL);
	assert_int_equal(config_options_set(&bridge->options, "local", "no"), 0);
	port = config_add_port(config, bridge, "p0", "mem", NULL);
	port->ofport = 9;
	assert_int_equal(config_options_set(&port->options, "rx", "/tmp/\xc3\xa4 \"file\""), 0);
	port = config_add_port(config, bridge, "br0-c1", "afxdp", NULL);
	port->ofport = 2;
	port->container = strdup("c1");
	assert_int_equal(config_options_set(&port->container_options, "ip", "192.0.2.1/24"), 0);
	assert_int_equal(config_set_mac(bridge, mac, 12, "p0"), 0);
	for (unsigned int i = 0; i < n_rules; i++)
		append_rule(bridge, i);
}

/* Writes what turns `from` into `to`. */
static int write_diff(struct store *store, const struct config *from, const struct config *to,
		      struct error *e)
{
	const struct config_rule initial = {.key = {0xff}, .text = "x"};
	struct config_diff diff;
	int err;

	assert_int_equal(config_diff_create(from, to, &initial, &diff), 0);
	err = store_begin(store, e);
	for (size_t i = 0; i < diff.n && !err; i++)
		err = store_apply_action(store, &diff.actions[i], e);
	if (err)
		store_rollback(store);
	else
		err = store_commit(store, e);
	config_diff_uninit(&diff);
	return err;
}

static void assert_store_holds(struct store *store, const struct config *expected)
{
	const struct config_rule initial = {.key = {0xff}, .text = "x"};
	struct config_diff diff;
	struct config found;
	struct error e = ERROR_INIT;

	if (store_load(store, &found, &e))
		fail_msg("%s", e.text);
	assert_int_equal(found.n_bridges, expected->n_bridges);
	assert_int_equal(config_diff_create(&found, expected, &initial, &diff), 0);
	assert_int_equal(diff.n, 0);
	for (size_t i = 0; i < expected->n_bridges; i++) {
		const struct config_bridge *a = &found.bridges[i], *b = &expected->bridges[i];

		assert_int_equal(a->n_rules, b->n_rules);
		for (size_t j = 0; j < a->n_rules; j++) /* in the order they were added */
			assert_string_equal(a->rules[j].text, b->rules[j].text);
	}
	config_diff_uninit(&diff);
	config_uninit(&found);
}

static void test_round_trip(void **state)
{
	const struct fixture *f = *state;
	struct config nothing, example, less;
	struct store *store = open_store(f);
	struct stat st;

	config_init(&nothing);
	make_example(&example, 500);
	assert_store_holds(store, &nothing);
	assert_int_equal(write_diff(store, &nothing, &example, NULL), 0);
	assert_store_holds(store, &example);
	store_close(store);
	assert_int_equal(stat(f->file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	store = open_store(f);
	assert_null(store_get_note(store));
	assert_store_holds(store, &example);

	/* fewer rules, without the port and its address */
	make_example(&less, 100);
	config_remove_port(config_lookup_bridge(&less, "br0"), "p0");
	assert_int_equal(config_remove_mac(config_lookup_bridge(&less, "br0"), mac, 12), 0);
	assert_int_equal(write_diff(store, &example, &less, NULL), 0);
	assert_store_holds(store, &less);
	assert_int_equal(write_diff(store, &less, &nothing, NULL), 0);
	assert_store_holds(store, &nothing);
	store_close(store);
	config_uninit(&example);
	config_uninit(&less);
}

static void test_replaced_rules(void **state)
{
	const struct fixture *f = *state;
	struct config nothing, example, changed;
	struct store *store = open_store(f);

	config_init(&nothing);
	make_example(&example, 50);
	make_example(&changed, 50);
	free(changed.bridges[0].rules[7].text);
	changed.bridges[0].rules[7].text = strdup("priority=7 actions=output:1");
	assert_int_equal(write_diff(store, &nothing, &example, NULL), 0);
	assert_int_equal(write_diff(store, &example, &changed, NULL), 0);
	assert_store_holds(store, &changed);

	/* the same key twice in one go: the later one counts */
	assert_int_equal(store_begin(store, NULL), 0);
	append_rule(&changed.bridges[0], 7);
	append_rule(&changed.bridges[0], 7);
	changed.bridges[0].rules[50].text[0] = 'X';
	assert_int_equal(store_put_rules(store, "br0", &changed.bridges[0].rules[50], 2, NULL), 0);
	assert_int_equal(store_commit(store, NULL), 0);
	assert_store_holds(store, &example);
	store_close(store);
	config_uninit(&example);
	config_uninit(&changed);
}

static void test_rollback(void **state)
{
	const struct fixture *f = *state;
	struct config nothing, example;
	struct store *store = open_store(f);

	config_init(&nothing);
	make_example(&example, 10);
	assert_int_equal(store_begin(store, NULL), 0);
	assert_int_equal(store_put_bridge(store, &example.bridges[0], NULL), 0);
	assert_int_equal(store_put_rules(store, "br0", example.bridges[0].rules, 10, NULL), 0);
	store_rollback(store);
	store_rollback(store); /* harmless */
	assert_store_holds(store, &nothing);
	/* a row of a bridge that is not there is refused */
	assert_int_equal(store_begin(store, NULL), 0);
	assert_int_equal(store_put_rules(store, "br0", example.bridges[0].rules, 1, NULL), -ENOENT);
	store_close(store);
	config_uninit(&example);
}

static void test_one_process_at_a_time(void **state)
{
	const struct fixture *f = *state;
	struct store *store = open_store(f), *second;
	struct error e = ERROR_INIT;
	int status;

	/* POSIX locks are a process's: another one has to try */
	if (fork() == 0)
		_exit(store_open(f->dir, &second, &e) == -EBUSY &&
				      strstr(e.text, "in use by another process")
			      ? 0
			      : 1);
	wait(&status);
	assert_int_equal(status, 0);
	store_close(store);
}

/* Is killed in the middle of a transaction after a committed one. */
static void test_killed(void **state)
{
	const struct fixture *f = *state;
	struct config nothing, example;
	struct store *store;
	int status;

	config_init(&nothing);
	make_example(&example, 300);
	if (fork() == 0) {
		store = open_store(f);
		if (write_diff(store, &nothing, &example, NULL) || store_begin(store, NULL) ||
		    store_clear_rules(store, "br0", NULL))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	wait(&status);
	assert_true(WIFSIGNALED(status));
	store = open_store(f);
	assert_store_holds(store, &example);
	store_close(store);
	config_uninit(&example);
}

/* Opens a damaged store: set aside, empty, and usable. */
static void assert_set_aside(const struct fixture *f, unsigned int before)
{
	struct config nothing, example;
	struct store *store = open_store(f);

	config_init(&nothing);
	make_example(&example, 3);
	assert_store_holds(store, &nothing);
	assert_non_null(store_get_note(store));
	assert_non_null(strstr(store_get_note(store), ".damaged-"));
	assert_true(count_entries(f->dir, "vswitch.db.damaged-", false) > before);
	assert_int_equal(write_diff(store, &nothing, &example, NULL), 0);
	assert_store_holds(store, &example);
	store_close(store);
	config_uninit(&example);
}

static void write_store(const struct fixture *f, unsigned int n_rules)
{
	struct config nothing, example;
	struct store *store = open_store(f);

	config_init(&nothing);
	make_example(&example, n_rules);
	assert_int_equal(write_diff(store, &nothing, &example, NULL), 0);
	store_close(store);
	config_uninit(&example);
}

static void test_garbage(void **state)
{
	const struct fixture *f = *state;
	int fd = open(f->file, O_CREAT | O_WRONLY, 0600);

	for (int i = 0; i < 1000; i++)
		assert_int_equal(write(fd, "this is no database, it is a letter to my aunt\n", 47),
				 47);
	close(fd);
	assert_set_aside(f, 0);
}

static void test_overwritten_page(void **state)
{
	const struct fixture *f = *state;
	int fd;

	write_store(f, 2000);
	fd = open(f->file, O_WRONLY);
	for (int page = 1; page < 40; page++)
		assert_int_equal(pwrite(fd, "\x55\xaa\x55\xaa\x55\xaa\x55\xaa", 8, page * 4096), 8);
	close(fd);
	assert_set_aside(f, 0);
}

static void test_truncated(void **state)
{
	const struct fixture *f = *state;
	struct stat st;

	write_store(f, 2000);
	assert_int_equal(stat(f->file, &st), 0);
	assert_int_equal(truncate(f->file, st.st_size / 2 + 100), 0);
	assert_set_aside(f, 0);
}

/* A file of no bytes is a store that was never begun. */
static void test_empty_file(void **state)
{
	const struct fixture *f = *state;
	struct store *store;

	close(open(f->file, O_CREAT | O_WRONLY, 0600));
	store = open_store(f);
	assert_null(store_get_note(store));
	store_close(store);
}

/* Changes the file with the sqlite3 program; skips the test where there is none. */
static void change_file(const struct fixture *f, const char *sql)
{
	char command[512];

	snprintf(command, sizeof(command), "sqlite3 %s \"%s\" 2>/dev/null", f->file, sql);
	if (system(command) != 0)
		skip();
}

/* Whole as a database, but its rows make no sense. */
static void test_senseless_rows(void **state)
{
	const struct fixture *f = *state;
	static const char *const changes[] = {
		"UPDATE port SET options = '[1]'",
		"UPDATE port SET ofport = 99999999",
		"UPDATE port SET name = 'a b' WHERE name = 'p0'",
		"UPDATE mac SET vlan = 5000",
		"UPDATE rule SET key = x'00'",
		"DROP TABLE mac",
	};

	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		write_store(f, 1);
		change_file(f, changes[i]);
		assert_set_aside(f, 0);
		count_entries(f->dir, "", true);
	}
}

static void test_older_version(void **state)
{
	const struct fixture *f = *state;
	struct config example;
	struct store *store;

	write_store(f, 20);
	change_file(f, "ALTER TABLE port DROP COLUMN process; PRAGMA user_version = 1");
	make_example(&example, 20);
	for (int i = 0; i < 2; i++) {
		store = open_store(f);
		assert_null(store_get_note(store));
		assert_store_holds(store, &example);
		store_close(store);
	}
	config_uninit(&example);
}

static void test_newer_version(void **state)
{
	const struct fixture *f = *state;
	struct error e = ERROR_INIT;
	struct config example;
	struct store *store;

	write_store(f, 20);
	change_file(f, "PRAGMA user_version = 1000");
	assert_int_equal(store_open(f->dir, &store, &e), -EPROTO);
	assert_non_null(strstr(e.text, "newer vswitchd"));
	change_file(f, "PRAGMA user_version = 2");
	make_example(&example, 20);
	store = open_store(f);
	assert_store_holds(store, &example);
	store_close(store);
	config_uninit(&example);
}

/* Files that are no business of ours are left alone, and opening fails with a reason. */
static void test_unusable(void **state)
{
	const struct fixture *f = *state;
	struct error e = ERROR_INIT;
	struct store *store;

	assert_int_equal(store_open("/nowhere/at/all", &store, &e), -ENOENT);
	assert_int_equal(store_open("/dev/null", &store, &e), -ENOTDIR);
	assert_int_equal(mkdir(f->file, 0700), 0);
	assert_true(store_open(f->dir, &store, &e) < 0);
	assert_true(strlen(e.text) > 0);
	rmdir(f->file);
}

/* A full disk, or what the process is told is one: refused, and nothing of it is there. */
static void test_full_disk(void **state)
{
	const struct fixture *f = *state;
	struct config nothing, small, large;
	struct rlimit limit, old;
	struct error e = ERROR_INIT;
	struct store *store;

	signal(SIGXFSZ, SIG_IGN);
	config_init(&nothing);
	make_example(&small, 10);
	make_example(&large, 20000);
	store = open_store(f);
	assert_int_equal(write_diff(store, &nothing, &small, NULL), 0);
	getrlimit(RLIMIT_FSIZE, &old);
	limit = (struct rlimit){.rlim_cur = 256 << 10, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_true(write_diff(store, &small, &large, &e) < 0);
	assert_true(strlen(e.text) > 0);
	assert_store_holds(store, &small);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(write_diff(store, &small, &large, &e), 0);
	assert_store_holds(store, &large);
	store_tidy(store);
	assert_store_holds(store, &large);
	store_close(store);
	store = open_store(f);
	assert_store_holds(store, &large);
	store_close(store);
	config_uninit(&small);
	config_uninit(&large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_replaced_rules, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rollback, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_process_at_a_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_killed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_garbage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_overwritten_page, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_truncated, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_empty_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_senseless_rows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_older_version, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_newer_version, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unusable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full_disk, set_up, tear_down),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
