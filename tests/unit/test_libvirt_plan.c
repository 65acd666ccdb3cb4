/* SPDX-License-Identifier: BSD-2-Clause */
/* From domains to ports: values in, actions out, and nothing left to do once they are done. */
#include "tests/unit/test.h"
#include "vswitchd/libvirt_plan.h"

#include <string.h>

#define RUNDIR "/run/vswitch"
#define LIST_MAX 16 /* interfaces, or hints, of a domain here */

/* A config with bridges br0 and br1, and domains. */
struct scene {
	struct config config;
	struct libvirt_domain *domains[8];
	size_t n;
	struct libvirt_plan *plan; /* of the last run */
};

static int set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	config_init(&scene->config);
	assert_non_null(config_add_bridge(&scene->config, "br0", NULL));
	assert_non_null(config_add_bridge(&scene->config, "br1", NULL));
	*state = scene;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *scene = *state;

	libvirt_plan_destroy(scene->plan);
	for (size_t i = 0; i < scene->n; i++)
		libvirt_domain_destroy(scene->domains[i]);
	config_uninit(&scene->config);
	free(scene);
	return 0;
}

static struct libvirt_domain *add_domain(struct scene *scene, const char *name)
{
	struct libvirt_domain *domain = libvirt_domain_create(name, name);

	scene->domains[scene->n++] = domain;
	return domain;
}

static struct libvirt_nic *add_nic(struct libvirt_domain *domain, const char *mac, const char *path)
{
	struct libvirt_nic *nic;

	/* whoever got one keeps it when more are added */
	if (!domain->nics)
		domain->nics = calloc(LIST_MAX, sizeof(*nic));
	assert_true(domain->n_nics < LIST_MAX);
	nic = &domain->nics[domain->n_nics++];
	*nic = (struct libvirt_nic){.path = path ? strdup(path) : NULL, .queues = 1};
	snprintf(nic->mac, sizeof(nic->mac), "%s", mac);
	return nic;
}

static struct libvirt_hint *add_hint(struct libvirt_domain *domain, const char *bridge,
				     const char *mac)
{
	struct libvirt_hint *hint;

	if (!domain->hints)
		domain->hints = calloc(LIST_MAX, sizeof(*hint));
	assert_true(domain->n_hints < LIST_MAX);
	hint = &domain->hints[domain->n_hints++];
	*hint = (struct libvirt_hint){.bridge = strdup(bridge), .mac = mac ? strdup(mac) : NULL};
	return hint;
}

/* Plans, carries all actions out, and checks that a second plan finds nothing to do. Returns how
 * many actions there were. */
static size_t settle(struct scene *scene)
{
	struct libvirt_plan *again;
	struct error e = ERROR_INIT;
	size_t n;

	libvirt_plan_destroy(scene->plan);
	assert_int_equal(libvirt_plan_create(&scene->config, RUNDIR, scene->domains, scene->n,
					     &scene->plan),
			 0);
	for (size_t i = 0; i < scene->plan->n_actions; i++)
		assert_int_equal(libvirt_plan_edit(scene->plan, &scene->plan->actions[i],
						   &scene->config, &e),
				 0);
	n = scene->plan->n_actions;
	assert_int_equal(
		libvirt_plan_create(&scene->config, RUNDIR, scene->domains, scene->n, &again), 0);
	assert_int_equal(again->n_actions, 0);
	libvirt_plan_destroy(again);
	return n;
}

static const struct config_port *get_port(const struct scene *scene, const char *bridge,
					  const char *name)
{
	return config_lookup_port(NULL, config_lookup_bridge(&scene->config, bridge), name, NULL);
}

static void has(const struct config_port *port, const char *key, const char *value)
{
	const char *is = config_options_get(&port->options, key);

	if (value)
		assert_string_equal(is ? is : "(none)", value);
	else
		assert_null(is);
}

/* A port by its socket's folder, with all that the XML says. */
static void test_by_path(void **state)
{
	struct scene *scene = *state;
	struct libvirt_nic *nic = add_nic(add_domain(scene, "web1"), "52:54:00:00:00:01",
					  RUNDIR "/br0/web1-a.sock");
	const struct config_port *port;

	nic->queues = 4;
	nic->mtu = 1600;
	assert_int_equal(settle(scene), 1);
	port = get_port(scene, "br0", "web1-a");
	assert_non_null(port);
	assert_string_equal(port->type, "vhost-user");
	has(port, "path", NULL); /* it is the default */
	has(port, "mode", NULL); /* the switch listens */
	has(port, "queues", "4");
	has(port, "mtu", "1600");
	has(port, "domain", "web1");
	has(port, "domain-mac", "52:54:00:00:00:01");
	has(port, "domain-by", "follow");
	assert_true(libvirt_port_follows(port));
}

/* Names without ".sock", and QEMU as the one who listens. */
static void test_by_bare_path(void **state)
{
	struct scene *scene = *state;

	add_nic(add_domain(scene, "d"), "", RUNDIR "//br1/x")->is_server = true;
	assert_int_equal(settle(scene), 1);
	assert_non_null(get_port(scene, "br1", "x"));
	has(get_port(scene, "br1", "x"), "path", RUNDIR "//br1/x");
	has(get_port(scene, "br1", "x"), "mode", "client");
	has(get_port(scene, "br1", "x"), "domain-mac", NULL);
}

/* Sockets that are somebody else's. */
static void test_not_ours(void **state)
{
	static const char *const paths[] = {
		"/run/openvswitch/vhu1",
		"/run/vswitc/br0/a",
		"",
		RUNDIR "/",
		RUNDIR "/a.sock",
		RUNDIR "/br0/",
		RUNDIR "/br0/deep/a",
		RUNDIR "x/br0/a.sock",
		RUNDIR "/a-name-too-long-for-a-bridge/a",
	};
	struct scene *scene = *state;
	struct libvirt_domain *domain = add_domain(scene, "d");

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		add_nic(domain, "", paths[i]);
	add_nic(domain, "", NULL);
	assert_int_equal(settle(scene), 0);
	for (size_t i = 0; i < scene->plan->n_wanted; i++)
		assert_int_equal(scene->plan->wanted[i].fate, LIBVIRT_NOT_OURS);
}

static void test_by_metadata(void **state)
{
	struct scene *scene = *state;
	struct libvirt_domain *domain = add_domain(scene, "db");
	struct libvirt_hint *hint;

	add_nic(domain, "52:54:00:00:00:01", "/srv/vm/one.sock");
	add_nic(domain, "52:54:00:00:00:02", "/srv/vm/two.sock");
	add_nic(domain, "52:54:00:00:00:03", RUNDIR "/br0/three.sock")->dev = strdup("vnet7");
	add_hint(domain, "br0", NULL);
	hint = add_hint(domain, "br1", "52:54:00:00:00:02");
	hint->tag = strdup("10");
	hint->name = strdup("db-2");
	add_hint(domain, "br1", NULL)->dev = strdup("vnet7");
	assert_int_equal(settle(scene), 3);
	has(get_port(scene, "br0", "one"), "path", "/srv/vm/one.sock");
	has(get_port(scene, "br0", "one"), "tag", NULL);
	has(get_port(scene, "br1", "db-2"), "tag", "10");
	assert_non_null(get_port(scene, "br1", "three"));
	/* the metadata goes: so do the two that only it asked for */
	free(hint->tag);
	hint->tag = NULL;
	assert_int_equal(settle(scene), 1);
	has(get_port(scene, "br1", "db-2"), "tag", NULL);
}

/* What the XML does not speak of is left to people. */
static void test_other_options_stay(void **state)
{
	struct scene *scene = *state;
	struct libvirt_nic *nic = add_nic(add_domain(scene, "d"), "52:54:00:00:00:01",
					  RUNDIR "/br0/p.sock");
	struct config_port *port;

	settle(scene);
	port = (struct config_port *)(uintptr_t)get_port(scene, "br0", "p");
	assert_int_equal(config_options_set(&port->options, "tag", "7"), 0);
	assert_int_equal(config_options_set(&port->options, "features", "0x1"), 0);
	assert_int_equal(config_options_set(&port->options, "queues", "3"), 0);
	port->ofport = 9;
	assert_int_equal(settle(scene), 1); /* queues */
	has(port, "tag", "7");
	has(port, "features", "0x1");
	has(port, "queues", NULL);
	nic->is_server = true;
	assert_int_equal(settle(scene), 1);
	assert_int_equal(get_port(scene, "br0", "p")->ofport, 9);
}

/* A domain that is gone takes its port and the static addresses along; others' stay. */
static void test_removal(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1}, other[6] = {2, 0, 0, 0, 0, 2};
	struct scene *scene = *state;
	struct config_bridge *bridge = config_lookup_bridge(&scene->config, "br0");

	assert_non_null(config_add_port(&scene->config, bridge, "hand", "vhost-user", NULL));
	add_nic(add_domain(scene, "a"), "", RUNDIR "/br0/a.sock");
	add_nic(add_domain(scene, "b"), "", RUNDIR "/br0/b.sock");
	assert_int_equal(settle(scene), 2);
	assert_int_equal(config_set_mac(bridge, mac, 0, "a"), 0);
	assert_int_equal(config_set_mac(bridge, other, 0, "b"), 0);
	libvirt_domain_destroy(scene->domains[0]);
	scene->domains[0] = scene->domains[1];
	scene->n = 1;
	assert_int_equal(settle(scene), 1);
	assert_null(get_port(scene, "br0", "a"));
	assert_non_null(get_port(scene, "br0", "b"));
	assert_non_null(get_port(scene, "br0", "hand"));
	assert_int_equal(bridge->n_macs, 1);
	assert_string_equal(bridge->macs[0].port, "b");
}

/* An interface moves to another bridge. */
static void test_move(void **state)
{
	struct scene *scene = *state;
	struct libvirt_domain *domain = add_domain(scene, "d");

	add_nic(domain, "52:54:00:00:00:01", RUNDIR "/br0/p.sock");
	settle(scene);
	add_hint(domain, "br1", NULL);
	assert_int_equal(settle(scene), 2);
	assert_null(get_port(scene, "br0", "p"));
	assert_non_null(get_port(scene, "br1", "p"));
}

/* A socket that a port made by hand has, or attach-vm, is nobody else's. */
static void test_covered(void **state)
{
	struct scene *scene = *state;
	struct libvirt_domain *domain = add_domain(scene, "d");
	struct config_bridge *bridge = config_lookup_bridge(&scene->config, "br0");
	struct config_port *port =
		config_add_port(&scene->config, bridge, "hand", "vhost-user", NULL);

	add_nic(domain, "", RUNDIR "/br0/hand.sock");
	assert_int_equal(settle(scene), 0);
	assert_int_equal(scene->plan->wanted[0].fate, LIBVIRT_COVERED);
	assert_string_equal(scene->plan->wanted[0].port, "hand");
	assert_int_equal(config_options_set(&port->options, "path", "/x"), 0);
	/* now its name is taken, but not its socket */
	assert_int_equal(settle(scene), 0);
	assert_int_equal(scene->plan->wanted[0].fate, LIBVIRT_REFUSED);
	assert_non_null(strstr(scene->plan->wanted[0].problem.text, "another port named hand"));
	add_nic(domain, "", "/x");
	settle(scene);
	assert_int_equal(scene->plan->wanted[1].fate, LIBVIRT_COVERED);
}

static void refused(struct scene *scene, size_t i, const char *says)
{
	assert_int_equal(scene->plan->wanted[i].fate, LIBVIRT_REFUSED);
	assert_non_null(strstr(scene->plan->wanted[i].problem.text, says));
}

static void test_refused(void **state)
{
	char path[200] = RUNDIR "/br0/";
	struct scene *scene = *state;
	struct libvirt_domain *domain = add_domain(scene, "d");

	memset(path + strlen(path), 'a', 60);
	memset(path + strlen(path), 'b', 60);
	add_nic(domain, "52:54:00:00:00:01", RUNDIR "/br7/p.sock");
	add_nic(domain, "52:54:00:00:00:02", RUNDIR "/br0/p q.sock");
	add_nic(domain, "52:54:00:00:00:03", RUNDIR "/br0/br1.sock");
	add_nic(domain, "52:54:00:00:00:04", path);
	add_nic(domain, "52:54:00:00:00:05", RUNDIR "/br0/ok.sock");
	add_nic(domain, "52:54:00:00:00:06", RUNDIR "/br1/ok.sock");
	add_hint(domain, "br0", "52:54:00:00:00:04");
	assert_int_equal(settle(scene), 1);
	refused(scene, 0, "no bridge br7: add-br br7");
	refused(scene, 1, "'p q'");
	refused(scene, 2, "br1 is the name of a bridge");
	refused(scene, 3, "longer than 107 bytes");
	assert_int_equal(scene->plan->wanted[4].fate, LIBVIRT_FOLLOWED);
	refused(scene, 5, "domain d has a port named ok already");
	assert_true(libvirt_plan_asks(scene->plan, "ok"));
	assert_false(libvirt_plan_asks(scene->plan, "other"));
	/* the bridge comes */
	assert_non_null(config_add_bridge(&scene->config, "br7", NULL));
	assert_int_equal(settle(scene), 1);
	assert_non_null(get_port(scene, "br7", "p"));
}

/* A hint whose bridge or path makes no sense. */
static void test_bad_hint(void **state)
{
	struct scene *scene = *state;
	struct libvirt_domain *domain = add_domain(scene, "d");

	add_nic(domain, "52:54:00:00:00:01", "/a.sock");
	add_nic(domain, "52:54:00:00:00:02", "relative.sock");
	add_nic(domain, "52:54:00:00:00:03", "/srv/../../etc/x");
	add_hint(domain, "a-name-too-long-for-a-bridge", "52:54:00:00:00:01");
	add_hint(domain, "br0", NULL);
	assert_int_equal(settle(scene), 0);
	refused(scene, 0, "is no bridge");
	refused(scene, 1, "no absolute path");
	refused(scene, 2, "no absolute path");
}

static void test_names(void **state)
{
	char name[CONFIG_NAME_SIZE], again[CONFIG_NAME_SIZE], longer[200];

	(void)state;
	libvirt_format_port("br0", "web1.example", name);
	assert_string_equal(name, "br0-web1.example");
	libvirt_format_port("br0", "web 1", name);
	assert_int_equal(strncmp(name, "br0-web_1-", 10), 0);
	assert_int_equal(config_check_name("port", name, sizeof(name), NULL), 0);
	libvirt_format_port("br0", "web=1", again);
	assert_string_not_equal(name, again);
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	libvirt_format_port("br0", longer, name);
	assert_int_equal(config_check_name("port", name, sizeof(name), NULL), 0);
	longer[sizeof(longer) - 2] = 'y';
	libvirt_format_port("br0", longer, again);
	assert_string_not_equal(name, again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_by_path, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_by_bare_path, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_ours, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_by_metadata, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_other_options_stay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_removal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_move, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_covered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_hint, set_up, tear_down),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("libvirt_plan", tests, NULL, NULL);
}
