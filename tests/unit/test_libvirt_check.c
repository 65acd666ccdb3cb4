/* SPDX-License-Identifier: BSD-2-Clause */
/* vm-check's judgement: one thing wrong at a time, and the sentence for it. */
#include "tests/unit/test.h"
#include "vswitchd/libvirt_check.h"

#include <string.h>

/* A running VM with one interface that works; each test breaks something of it. */
struct scene {
	struct config config;
	struct config_port *port;
	struct libvirt_domain *domain;
	struct libvirt_nic *nic;
	struct libvirt_wanted wanted;
	struct libvirt_nic_facts nics;
	struct libvirt_facts facts;
	struct libvirt_report report;
};

static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct config_bridge *bridge;

	config_init(&s->config);
	bridge = config_add_bridge(&s->config, "br0", NULL);
	s->port = config_add_port(&s->config, bridge, "web1", "vhost-user", NULL);
	s->domain = libvirt_domain_create("web1", "u");
	s->domain->nics = s->nic = calloc(1, sizeof(*s->nic));
	s->domain->n_nics = 1;
	s->domain->is_running = s->domain->is_persistent = true;
	s->domain->shares_memory[LIBVIRT_LIVE] = s->domain->shares_memory[LIBVIRT_CONFIG] = true;
	*s->nic = (struct libvirt_nic){.mac = "52:54:00:00:00:01",
				       .path = strdup("/run/vswitch/br0/web1.sock"),
				       .reconnects = true,
				       .queues = 1,
				       .in = {true, true}};
	s->wanted = (struct libvirt_wanted){.domain = s->domain,
					    .nic = s->nic,
					    .fate = LIBVIRT_FOLLOWED,
					    .bridge = "br0",
					    .port = "web1"};
	s->nics = (struct libvirt_nic_facts){.wanted = &s->wanted,
					     .config = s->port,
					     .is_open = true,
					     .error = "",
					     .is_connected = true,
					     .connection = "connected",
					     .faults = "",
					     .link = true,
					     .queues_on = 1,
					     .rx_packets = 7,
					     .tx_packets = 5,
					     .n_peers = 2,
					     .n_vlan_peers = 1};
	s->nics.socket = (struct libvirt_file){.exists = true, .gid = 104, .mode = 0140660};
	s->nics.folder = (struct libvirt_file){.exists = true, .mode = 040755};
	s->facts = (struct libvirt_facts){
		.rundir = "/run/vswitch", .domain = s->domain, .nics = &s->nics};
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	libvirt_report_uninit(&s->report);
	libvirt_domain_destroy(s->domain);
	config_uninit(&s->config);
	free(s);
	return 0;
}

static void run(struct scene *s)
{
	libvirt_report_uninit(&s->report);
	assert_int_equal(libvirt_check_run(&s->facts, &s->report), 0);
}

static const struct libvirt_finding *find(const struct scene *s, enum libvirt_level level,
					  const char *says)
{
	for (size_t i = 0; i < s->report.n; i++) {
		if (s->report.findings[i].level == level &&
		    strstr(s->report.findings[i].text.text, says))
			return &s->report.findings[i];
	}
	return NULL;
}

/* Just this problem, and no other. */
static const struct libvirt_finding *has_problem(struct scene *s, const char *says)
{
	run(s);
	assert_int_equal(s->report.n_problems, 1);
	assert_non_null(find(s, LIBVIRT_PROBLEM, says));
	/* an interface with a problem is not said to be well */
	if (find(s, LIBVIRT_PROBLEM, says)->nic)
		assert_null(find(s, LIBVIRT_OK, ""));
	return find(s, LIBVIRT_PROBLEM, says);
}

/* No problem, and this hint. */
static void has_hint(struct scene *s, const char *says)
{
	run(s);
	assert_int_equal(s->report.n_problems, 0);
	assert_non_null(find(s, LIBVIRT_HINT, says));
}

static void test_all_is_well(void **state)
{
	struct scene *s = *state;

	run(s);
	assert_int_equal(s->report.n, 1);
	assert_int_equal(s->report.n_problems, 0);
	assert_non_null(find(s, LIBVIRT_OK, "packets from the guest: 7, to it: 5"));
	assert_ptr_equal(s->report.findings[0].nic, s->nic);
}

static void test_domain(void **state)
{
	struct scene *s = *state;

	s->domain->is_paused = true;
	assert_null(has_problem(s, "is paused: virsh resume web1")->nic);
	s->domain->is_paused = false;
	s->domain->problem = strdup("it is no well-formed XML");
	has_problem(s, "cannot be read");
}

static void test_not_running(void **state)
{
	struct scene *s = *state;

	s->domain->is_running = false;
	s->nics.is_connected = s->nics.link = false;
	s->nics.connection = "listening at x";
	s->nics.rx_packets = s->nics.tx_packets = 0;
	run(s);
	assert_int_equal(s->report.n_problems, 1);
	assert_non_null(find(s, LIBVIRT_PROBLEM, "virsh start web1"));
	assert_non_null(find(s, LIBVIRT_OK, "waits for it: listening at x"));
}

static void test_memory(void **state)
{
	struct scene *s = *state;

	s->domain->shares_memory[LIBVIRT_CONFIG] = false;
	run(s);
	assert_int_equal(s->report.n_problems, 0);
	assert_string_equal(find(s, LIBVIRT_HINT, "after the next start")->xml, libvirt_memory_xml);
	s->domain->shares_memory[LIBVIRT_LIVE] = false;
	run(s);
	assert_string_equal(find(s, LIBVIRT_PROBLEM, "virsh edit")->xml, libvirt_memory_xml);
	s->domain->shares_memory[LIBVIRT_CONFIG] = true;
	run(s);
	assert_null(find(s, LIBVIRT_PROBLEM, "shut it down and start it")->xml);
	s->domain->is_persistent = false;
	run(s);
	assert_non_null(find(s, LIBVIRT_PROBLEM, "start it anew"));
}

static void test_no_interface(void **state)
{
	struct scene *s = *state;

	s->domain->n_nics = 0;
	has_problem(s, "no network interface: vswitchctl attach-vm BRIDGE web1");
	s->domain->n_other_nics = 2;
	has_problem(s, "2 of other types");
	s->domain->n_nics = 1;
}

static void test_fate(void **state)
{
	struct scene *s = *state;

	s->nics.failure = "the disk is full";
	has_hint(s, "the disk is full");
	s->nics.config = NULL;
	has_problem(s, "the disk is full");
	s->nics.failure = NULL;
	has_problem(s, "is being made");
	s->nics.config = s->port;
	s->nics.is_open = false;
	s->nics.error = "the socket is in use";
	has_problem(s, "not open: the socket is in use");
	s->wanted.fate = LIBVIRT_REFUSED;
	error_set(&s->wanted.problem, 1, "there is no bridge br7");
	has_problem(s, "gets no port: there is no bridge br7");
	s->wanted.fate = LIBVIRT_NOT_OURS;
	s->wanted.bridge[0] = s->wanted.port[0] = '\0';
	assert_non_null(strstr(has_problem(s, "is not /run/vswitch/BRIDGE/NAME")->xml,
			       "xmlns:vswitch='urn:vswitch:1' bridge='BRIDGE' mac='52:54"));
	free(s->nic->path);
	s->nic->path = NULL;
	has_problem(s, "it has no socket");
}

static void test_scope(void **state)
{
	struct scene *s = *state;

	s->nic->in[LIBVIRT_CONFIG] = false;
	has_hint(s, "gone with the next start");
	s->nic->in[LIBVIRT_CONFIG] = true;
	s->nic->in[LIBVIRT_LIVE] = false;
	has_problem(s, "comes with the next start");
}

static void test_mode(void **state)
{
	struct scene *s = *state;

	s->nic->reconnects = false;
	has_hint(s, "does not connect again");
	s->nic->is_server = true;
	has_problem(s, "both sides listen");
	assert_int_equal(config_options_set(&s->port->options, "mode", "client"), 0);
	run(s);
	assert_int_equal(s->report.n_problems, 0);
	s->nic->is_server = false;
	has_problem(s, "both sides connect");
}

static void test_queues(void **state)
{
	struct scene *s = *state;

	s->nic->queues = 4;
	has_problem(s, "set-port br0 web1 queues=4");
	assert_int_equal(config_options_set(&s->port->options, "queues", "4"), 0);
	has_hint(s, "1 of 4 queue pairs");
	s->nics.queues_on = 4;
	run(s);
	assert_int_equal(s->report.n, 1);
}

static void test_connection(void **state)
{
	struct scene *s = *state;

	s->nics.faults = "bad_request=3";
	has_hint(s, "bad_request=3");
	s->nics.faults = "";
	s->nics.is_connected = false;
	s->nics.connection = "listening at y";
	has_problem(s, "do not speak with each other: listening at y");
	s->nics.socket.exists = false;
	has_problem(s, "was removed");
	s->nics.folder.exists = false;
	has_problem(s, "folder of its socket");
}

static void test_permissions(void **state)
{
	struct scene *s = *state;

	s->nics.is_connected = false;
	s->domain->user = (struct libvirt_user){.uid = 64055, .gids = {64055, 105}, .n_gids = 2};
	snprintf(s->domain->user.group, sizeof(s->domain->user.group), "libvirt-qemu");
	has_problem(s, "user 64055, which may not connect to /run/vswitch/br0/web1.sock "
		       "(mode 0660, group 104): vswitchctl set-port br0 web1 group=libvirt-qemu");
	s->domain->user.gids[1] = 104;
	has_problem(s, "do not speak");
	s->nics.folder.mode = 040700;
	has_problem(s, "may not search the folder");
	/* QEMU is to make the socket itself */
	s->nics.folder.mode = 040755;
	s->nic->is_server = true;
	assert_int_equal(config_options_set(&s->port->options, "mode", "client"), 0);
	has_problem(s, "may not make a socket in");
	s->nics.folder.gid = 104;
	s->nics.folder.mode = 040775;
	has_problem(s, "do not speak");
}

static void test_link(void **state)
{
	struct scene *s = *state;

	s->nics.link = false;
	has_problem(s, "switched no queue on");
	s->nic->is_down = true;
	has_problem(s, "virsh domif-setlink web1 52:54:00:00:00:01 up");
}

static void test_peers(void **state)
{
	struct scene *s = *state;

	assert_int_equal(config_options_set(&s->port->options, "tag", "10"), 0);
	s->nics.n_vlan_peers = 0;
	has_problem(s, "is in VLAN 10, and no other port of bridge br0");
	s->nics.n_peers = 0;
	has_problem(s, "is alone");
}

static void test_traffic(void **state)
{
	struct scene *s = *state;

	s->nics.tx_packets = 0;
	has_hint(s, "sent none to it");
	s->nics.rx_packets = 0;
	has_problem(s, "has not had one packet from the guest");
}

static void test_drops(void **state)
{
	struct scene *s = *state;

	s->nics.drops[DROP_RULE_DROP] = 3;
	s->nics.drops[DROP_TX_RING_FULL] = 9;
	s->nics.drops[DROP_TX_DOWN] = 5; /* from before the guest was up */
	has_hint(s, "were dropped, rule_drop: 3, a rule says drop");
	assert_non_null(find(s, LIBVIRT_HINT, "were dropped, tx_ring_full: 9"));
	assert_int_equal(s->report.n, 3); /* these and that it is connected */
	s->nics.drops[DROP_RULE_DROP] = 7;
	has_problem(s, "nothing that the guest sends gets through");
}

static void test_may(void **state)
{
	struct libvirt_user user = {.uid = 7, .gids = {8, 9}, .n_gids = 2};
	struct libvirt_file file = {.exists = true, .uid = 1, .gid = 9, .mode = 0640};

	(void)state;
	assert_true(libvirt_user_may(&user, &file, 4));
	assert_false(libvirt_user_may(&user, &file, 2));
	file.gid = 10;
	assert_false(libvirt_user_may(&user, &file, 4));
	file.mode = 0004;
	assert_true(libvirt_user_may(&user, &file, 4));
	file.uid = 7; /* the owner's bits count alone */
	assert_false(libvirt_user_may(&user, &file, 4));
	user.uid = 0;
	assert_true(libvirt_user_may(&user, &file, 7));
}

int main(void)
{
#define TEST(FUNCTION) cmocka_unit_test_setup_teardown(FUNCTION, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_all_is_well), TEST(test_domain),	TEST(test_not_running),
		TEST(test_memory),	TEST(test_no_interface), TEST(test_fate),
		TEST(test_scope),	TEST(test_mode),	TEST(test_queues),
		TEST(test_connection),	TEST(test_permissions), TEST(test_link),
		TEST(test_peers),	TEST(test_traffic),	TEST(test_drops),
		cmocka_unit_test(test_may),
	};

	return cmocka_run_group_tests_name("libvirt_check", tests, NULL, NULL);
}
