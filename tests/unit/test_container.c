/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Containers for real, without root: the program moves into user, mount and network namespaces of
 * its own, with an empty /run, and makes namespaces there. Where the kernel refuses that (user
 * namespaces may be switched off) the cases that need it are skipped.
 */
#include "lib/nlerr.h"
#include "tests/unit/test.h"
#include "vswitchd/container.h"
#include "vswitchd/link_watch.h"
#include "vswitchd/netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/route.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool isolated; /* we are in namespaces of our own */

/* ---- surroundings --------------------------------------------------------------------------- */

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t size = (ssize_t)strlen(text);
	bool whole = fd >= 0 && write(fd, text, (size_t)size) == size;

	if (fd >= 0)
		close(fd);
	return whole ? 0 : -1;
}

static bool isolate(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char uids[32], gids[32];

	if (unshare(CLONE_NEWNET | CLONE_NEWNS | (uid ? CLONE_NEWUSER : 0)) < 0)
		return false;
	snprintf(uids, sizeof(uids), "0 %u 1", (unsigned int)uid);
	snprintf(gids, sizeof(gids), "0 %u 1", (unsigned int)gid);
	if (uid && (write_text("/proc/self/setgroups", "deny") < 0 ||
		    write_text("/proc/self/uid_map", uids) < 0 ||
		    write_text("/proc/self/gid_map", gids) < 0))
		return false;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", "/run", "tmpfs", 0, NULL) == 0 && mkdir(NETNS_DIR, 0755) == 0;
}

static void need_isolation(void)
{
	if (!isolated) {
		print_message("skipped: the kernel does not let us make namespaces\n");
		skip();
	}
}

static void *bind_new_netns(void *path)
{
	static char failed;

	if (unshare(CLONE_NEWNET) < 0 || mount("/proc/thread-self/ns/net", path, NULL, MS_BIND,
					       NULL) < 0)
		return &failed;
	return NULL;
}

static void netns_add(const char *name)
{
	char path[128];
	pthread_t thread;
	void *failed;
	int fd;

	snprintf(path, sizeof(path), NETNS_DIR "/%s", name);
	fd = open(path, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0444);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(pthread_create(&thread, NULL, bind_new_netns, path), 0);
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
}

static void netns_del(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), NETNS_DIR "/%s", name);
	assert_int_equal(umount2(path, MNT_DETACH), 0);
	assert_int_equal(unlink(path), 0);
}

static int add_c1(void **state UNUSED)
{
	if (isolated)
		netns_add("c1");
	return 0;
}

static int del_c1(void **state UNUSED)
{
	if (isolated)
		netns_del("c1");
	return 0;
}

/* ---- looking at what is there --------------------------------------------------------------- */

/* The link `name` in namespace `netns` (NULL: ours), or NULL; to be put. */
static struct rtnl_link *look_up(const char *netns, const char *name)
{
	struct nl_sock *sock;
	struct rtnl_link *link = NULL;
	int fd = netns ? netns_open(netns, NULL) : -1;

	assert_true(!netns || fd >= 0);
	assert_int_equal(netns_connect(fd, &sock, NULL), 0);
	if (rtnl_link_get_kernel(sock, 0, name, &link))
		link = NULL;
	nl_socket_free(sock);
	if (fd >= 0)
		close(fd);
	return link;
}

static bool exists(const char *netns, const char *name)
{
	struct rtnl_link *link = look_up(netns, name);

	if (link)
		rtnl_link_put(link);
	return link != NULL;
}

/* The kernel removes a namespace's links in its own time: wait for it, 5 s at most. */
static bool disappears(const char *name)
{
	for (int i = 0; i < 500 && exists(NULL, name); i++)
		usleep(10000);
	return !exists(NULL, name);
}

static void assert_mac(struct rtnl_link *link, const char *text)
{
	char is[32];

	nl_addr2str(rtnl_link_get_addr(link), is, sizeof(is));
	assert_string_equal(is, text);
}

/* Addresses ("192.0.2.1/24") and default routes ("via 192.0.2.254") of c1's eth0, as one text. */
struct listing {
	int ifindex;
	char text[1024];
};

static void list_address(struct nl_object *object, void *aux)
{
	struct rtnl_addr *addr = (struct rtnl_addr *)object;
	struct listing *l = aux;
	size_t used = strlen(l->text);
	char is[64];

	if (rtnl_addr_get_ifindex(addr) != l->ifindex || rtnl_addr_get_scope(addr) == RT_SCOPE_LINK)
		return;
	nl_addr2str(rtnl_addr_get_local(addr), is, sizeof(is));
	snprintf(l->text + used, sizeof(l->text) - used, "%s ", is);
}

static void list_route(struct nl_object *object, void *aux)
{
	struct rtnl_route *route = (struct rtnl_route *)object;
	struct rtnl_nexthop *hop = rtnl_route_nexthop_n(route, 0);
	struct listing *l = aux;
	size_t used = strlen(l->text);
	char is[64];

	if (!hop || rtnl_route_nh_get_ifindex(hop) != l->ifindex || !rtnl_route_nh_get_gateway(hop))
		return;
	nl_addr2str(rtnl_route_nh_get_gateway(hop), is, sizeof(is));
	snprintf(l->text + used, sizeof(l->text) - used, "via %s ", is);
}

static void assert_addresses(const char *netns, const char *ifname, const char *expected)
{
	struct rtnl_link *link = look_up(netns, ifname);
	struct listing l = {.ifindex = rtnl_link_get_ifindex(link)};
	int fd = netns_open(netns, NULL);
	struct nl_cache *cache;
	struct nl_sock *sock;

	assert_true(fd >= 0);
	assert_int_equal(netns_connect(fd, &sock, NULL), 0);
	assert_int_equal(rtnl_addr_alloc_cache(sock, &cache), 0);
	nl_cache_foreach(cache, list_address, &l);
	nl_cache_free(cache);
	assert_int_equal(rtnl_route_alloc_cache(sock, AF_UNSPEC, 0, &cache), 0);
	nl_cache_foreach(cache, list_route, &l);
	nl_cache_free(cache);
	nl_socket_free(sock);
	close(fd);
	rtnl_link_put(link);
	assert_string_equal(l.text, expected);
}

static int attach(const struct container_config *config, char name[IFNAMSIZ])
{
	struct error e = ERROR_INIT;
	int err = container_attach(config, name, &e);

	if (err)
		print_message("attach: %s\n", e.text);
	assert_true(!err == !e.text[0]);
	return err;
}

static unsigned int count_open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* ---- what needs no namespace ---------------------------------------------------------------- */

static void test_names(void **state UNUSED)
{
	static const struct {
		const char *bridge, *netns, *name; /* name NULL: the hashed form */
	} cases[] = {
		{"br0", "c1", "br0-c1"},
		{"br0", "1234", "br0-1234"},
		{"br0", "/run/netns/c1", "br0-c1"},
		{"br0", "/var/run/netns/c1", "br0-c1"},
		{"br0", "elevenchars", "br0-elevenchars"},
		{"br0", "twelve_chars", NULL},
		{"br0", "a-b", NULL},
		{"br-a", "b", NULL},
		{"br0", "/proc/7/ns/net", NULL},
		{"br0", "\xc3\xa4\xc3\xb6", NULL},
		{"br0", "/", NULL},
	};
	char name[IFNAMSIZ], again[IFNAMSIZ];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		container_format_ifname(cases[i].bridge, cases[i].netns, name);
		container_format_ifname(cases[i].bridge, cases[i].netns, again);
		assert_string_equal(name, again);
		assert_true(strlen(name) > 0 && strlen(name) < IFNAMSIZ);
		if (cases[i].name)
			assert_string_equal(name, cases[i].name);
		else
			assert_true(name[0] == 'v' && name[strlen(name) - 8] == '-');
	}
	container_format_ifname("a-b", "c", name);
	container_format_ifname("a", "b-c", again);
	assert_string_not_equal(name, again);
}

static void assert_refused(const struct container_config *config, const char *word)
{
	struct error e = ERROR_INIT;

	assert_int_equal(container_check(config, &e), -EINVAL);
	if (!strstr(e.text, word))
		fail_msg("'%s' does not speak of '%s'", e.text, word);
}

static void test_check(void **state UNUSED)
{
	static const char *const macs[] = {"", "02:00:5e:00:53", "02:00:5e:00:53:01:02",
					   "01:00:5e:00:53:01", "00:00:00:00:00:00", "cat"};
	static const char *const addresses[] = {"", "192.0.2.1/33", "192.0.2", "2001:db8::1/129",
						"192.0.2.1/", "192.0.2.256", "02:00:5e:00:53:01",
						"localhost", "default", "192.0.2.1 "};
	static const char *const ifnames[] = {"", "..", "a/b", "a b", "a:b", "sixteencharacter"};
	static const char *const good[] = {"192.0.2.1/24", "192.0.2.9", "2001:db8::1/64"};
	static const char *const gateways[] = {"192.0.2.254", "2001:db8::ff"};
	static const char *const two[] = {"192.0.2.254", "192.0.2.253"};
	static const char *const net[] = {"192.0.2.254/24"};
	struct container_config c = {.bridge = "br0", .netns = "c1"};

	assert_int_equal(container_check(&c, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(macs); i++) {
		c.mac = macs[i];
		assert_refused(&c, "mac");
	}
	c.mac = "02:00:5E:00:53:ab";
	for (size_t i = 0; i < ARRAY_SIZE(ifnames); i++) {
		c.ifname = ifnames[i];
		assert_refused(&c, "interface name");
	}
	c.ifname = "fifteen_charact";
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		c.addresses = &addresses[i];
		c.n_addresses = 1;
		assert_refused(&c, "address");
	}
	c.addresses = good;
	c.n_addresses = ARRAY_SIZE(good);
	c.mtu = 67;
	assert_refused(&c, "mtu");
	c.mtu = 65536;
	assert_refused(&c, "mtu");
	c.mtu = 65535;
	c.gateways = two;
	c.n_gateways = 2;
	assert_refused(&c, "gateway");
	c.gateways = net;
	c.n_gateways = 1;
	assert_refused(&c, "gateway");
	c.gateways = gateways;
	c.n_gateways = 2;
	assert_int_equal(container_check(&c, NULL), 0);
}

static void test_namespace_refused(void **state UNUSED)
{
	static const struct {
		const char *netns;
		int err;
	} cases[] = {
		{"", -EINVAL},		     {"a/b", -EINVAL},	{"..", -EINVAL},
		{"no_such_name", -ENOENT},   {"0", -ENOENT},	{"/no/such/path", -ENOENT},
		{"/dev/null", -EINVAL},	     {"/", -EINVAL},	{"99999999999999999999", -ENOENT},
		{"/proc/self/ns/net", -EINVAL}, {"/proc/self/ns/mnt", -EINVAL},
	};
	unsigned int before = count_open_files();
	struct error e;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		e = (struct error)ERROR_INIT;
		assert_int_equal(netns_open(cases[i].netns, &e), cases[i].err);
		assert_true(e.text[0]);
	}
	assert_int_equal(count_open_files(), before);
}

/* ---- what does ------------------------------------------------------------------------------ */

static const char *const both_families[] = {"192.0.2.1/24", "198.51.100.1/25", "2001:db8::1/64"};
static const char *const both_gateways[] = {"192.0.2.254", "2001:db8::ff"};

static const struct container_config full = {
	.bridge = "br0",
	.netns = "c1",
	.ifname = "net0",
	.mac = "02:00:5e:00:53:01",
	.addresses = both_families,
	.n_addresses = 3,
	.gateways = both_gateways,
	.n_gateways = 2,
	.mtu = 9000,
};

static void assert_full(void)
{
	struct rtnl_link *host = look_up(NULL, "br0-c1");
	struct rtnl_link *peer = look_up("c1", "net0");

	assert_non_null(host);
	assert_non_null(peer);
	assert_true(rtnl_link_get_flags(host) & IFF_UP);
	assert_true(rtnl_link_get_flags(peer) & IFF_UP);
	assert_int_equal(rtnl_link_get_mtu(host), 9000);
	assert_int_equal(rtnl_link_get_mtu(peer), 9000);
	assert_mac(peer, "02:00:5e:00:53:01");
	assert_string_equal(rtnl_link_get_ifalias(host), "vswitch container c1 on br0");
	assert_int_equal(rtnl_link_get_link(host), rtnl_link_get_ifindex(peer));
	rtnl_link_put(host);
	rtnl_link_put(peer);
	assert_addresses("c1", "net0",
			 "192.0.2.1/24 198.51.100.1/25 2001:db8::1/64 via 192.0.2.254 "
			 "via 2001:db8::ff ");
}

static void test_attach_twice(void **state UNUSED)
{
	char name[IFNAMSIZ];
	unsigned int files;
	int index;
	struct rtnl_link *link;

	need_isolation();
	files = count_open_files();
	assert_int_equal(attach(&full, name), 0);
	assert_string_equal(name, "br0-c1");
	assert_full();
	link = look_up(NULL, name);
	index = rtnl_link_get_ifindex(link);
	rtnl_link_put(link);

	assert_int_equal(attach(&full, name), 0);
	assert_full();
	link = look_up(NULL, name);
	assert_int_equal(rtnl_link_get_ifindex(link), index);
	rtnl_link_put(link);

	assert_int_equal(container_detach("br0", "c1", NULL), 0);
	assert_false(exists(NULL, "br0-c1"));
	assert_false(exists("c1", "net0"));
	assert_int_equal(container_detach("br0", "c1", NULL), -ENOENT);
	assert_int_equal(count_open_files(), files);
}

static void test_defaults_then_changes(void **state UNUSED)
{
	struct container_config c = {.bridge = "br0", .netns = "c1"};
	struct rtnl_link *link;
	char name[IFNAMSIZ];
	char mac[32], again[32];

	need_isolation();
	assert_int_equal(attach(&c, name), 0);
	link = look_up("c1", "eth0");
	assert_non_null(link);
	assert_int_equal(rtnl_link_get_mtu(link), 1500);
	nl_addr2str(rtnl_link_get_addr(link), mac, sizeof(mac));
	rtnl_link_put(link);

	/* the MAC is the same after the container was made anew */
	assert_int_equal(container_detach("br0", "c1", NULL), 0);
	assert_int_equal(attach(&c, name), 0);
	link = look_up("c1", "eth0");
	nl_addr2str(rtnl_link_get_addr(link), again, sizeof(again));
	rtnl_link_put(link);
	assert_string_equal(mac, again);

	/* nor does it change with the address while it lives */
	c.addresses = both_families;
	c.n_addresses = 1;
	assert_int_equal(attach(&c, name), 0);
	link = look_up("c1", "eth0");
	nl_addr2str(rtnl_link_get_addr(link), again, sizeof(again));
	rtnl_link_put(link);
	assert_string_equal(mac, again);
	assert_int_equal(container_detach("br0", "c1", NULL), 0);

	/* one with an address has a MAC that goes with the address; and all can be put right */
	assert_int_equal(attach(&c, name), 0);
	link = look_up("c1", "eth0");
	nl_addr2str(rtnl_link_get_addr(link), again, sizeof(again));
	rtnl_link_put(link);
	assert_string_not_equal(mac, again);
	assert_int_equal(attach(&full, name), 0);
	assert_false(exists("c1", "eth0"));
	assert_full();
	assert_int_equal(container_detach("br0", "c1", NULL), 0);
}

static void test_failure_leaves_nothing(void **state UNUSED)
{
	static const char *const far[] = {"203.0.113.1"};
	struct container_config c = full;
	char name[IFNAMSIZ] = "untouched";
	unsigned int files;

	need_isolation();
	files = count_open_files();
	c.gateways = far;
	c.n_gateways = 1;
	assert_true(attach(&c, name) < 0);
	assert_string_equal(name, "untouched");
	assert_false(exists(NULL, "br0-c1"));
	assert_false(exists("c1", "net0"));

	/* but what was there before a failed change stays */
	assert_int_equal(attach(&full, name), 0);
	assert_true(attach(&c, name) < 0);
	assert_full();
	assert_int_equal(container_detach("br0", "c1", NULL), 0);

	c.ifname = "lo";
	assert_int_equal(attach(&c, name), -EEXIST);
	assert_false(exists(NULL, "br0-c1"));
	assert_int_equal(count_open_files(), files);
}

static void make_pair(const char *name, const char *peer, const char *netns)
{
	struct rtnl_link *link = rtnl_link_veth_alloc();
	struct rtnl_link *other = rtnl_link_veth_get_peer(link);
	int fd = netns ? netns_open(netns, NULL) : -1;
	struct nl_sock *sock;

	assert_int_equal(netns_connect(-1, &sock, NULL), 0);
	rtnl_link_set_name(link, name);
	rtnl_link_set_name(other, peer);
	if (netns)
		rtnl_link_set_ns_fd(other, fd);
	assert_int_equal(rtnl_link_add(sock, link, NLM_F_CREATE | NLM_F_EXCL), 0);
	rtnl_link_put(other);
	rtnl_link_put(link);
	nl_socket_free(sock);
	if (fd >= 0)
		close(fd);
}

static void delete_link(const char *name)
{
	struct rtnl_link *link = look_up(NULL, name);
	struct nl_sock *sock;

	assert_non_null(link);
	assert_int_equal(netns_connect(-1, &sock, NULL), 0);
	assert_int_equal(rtnl_link_delete(sock, link), 0);
	nl_socket_free(sock);
	rtnl_link_put(link);
}

static void test_foreign_interface_is_left_alone(void **state UNUSED)
{
	char name[IFNAMSIZ];

	need_isolation();
	make_pair("br0-c1", "other", NULL);
	assert_int_equal(attach(&full, name), -EEXIST);
	assert_int_equal(container_detach("br0", "c1", NULL), -EEXIST);
	assert_true(exists(NULL, "br0-c1"));
	assert_true(exists(NULL, "other"));
	delete_link("br0-c1");

	/* even with its other end inside, unless it looks just as we leave it when we are killed */
	make_pair("br0-c1", "other", "c1");
	assert_int_equal(attach(&full, name), -EEXIST);
	delete_link("br0-c1");
	make_pair("br0-c1", "net0", "c1");
	assert_int_equal(attach(&full, name), 0);
	assert_full();
	assert_int_equal(container_detach("br0", "c1", NULL), 0);
}

static void test_namespace_made_anew(void **state UNUSED)
{
	char name[IFNAMSIZ];
	int old;

	need_isolation();
	netns_add("c2");
	assert_int_equal(attach(&(struct container_config){.bridge = "br0", .netns = "c2"}, name),
			 0);
	/* the old one lives on without its name, as long as someone holds it */
	old = netns_open("c2", NULL);
	assert_true(old >= 0);
	netns_del("c2");
	netns_add("c2");
	assert_true(exists(NULL, "br0-c2"));
	assert_false(exists("c2", "eth0"));
	assert_int_equal(attach(&(struct container_config){.bridge = "br0", .netns = "c2"}, name),
			 0);
	assert_true(exists("c2", "eth0"));
	close(old);
	assert_int_equal(container_detach("br0", "c2", NULL), 0);
	netns_del("c2");
}

static void test_by_path_and_pid(void **state UNUSED)
{
	char path[64], pid_text[32], name[IFNAMSIZ];
	struct container_config c = {.bridge = "br0", .netns = pid_text};
	int ready[2];
	char byte;
	pid_t pid;

	need_isolation();
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (unshare(CLONE_NEWNET) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);

	snprintf(pid_text, sizeof(pid_text), "%d", (int)pid);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	assert_int_equal(attach(&c, name), 0);
	assert_true(exists(pid_text, "eth0"));
	assert_int_equal(container_detach("br0", pid_text, NULL), 0);
	c.netns = path;
	assert_int_equal(attach(&c, name), 0);
	assert_true(name[0] == 'v');
	assert_true(exists(path, "eth0"));

	/* the process ends, and so does its namespace, and so does the pair */
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(disappears(name));
	assert_int_equal(container_detach("br0", path, NULL), -ENOENT);
}

struct seen {
	unsigned int n;
	unsigned int ifindex;
	char name[IFNAMSIZ];
};

static void note_removal(void *aux, unsigned int ifindex, const char *name, bool gone)
{
	struct seen *s = aux;

	if (!gone)
		return;
	s->n++;
	s->ifindex = ifindex;
	snprintf(s->name, sizeof(s->name), "%s", name);
}

static void wait_for_removal(struct link_watch *watch, struct seen *s)
{
	struct pollfd p = {.fd = link_watch_get_fd(watch), .events = POLLIN};

	for (int i = 0; i < 500 && s->n == 0; i++) {
		assert_true(poll(&p, 1, 10) >= 0);
		assert_int_equal(link_watch_run(watch), 0);
	}
}

static void test_watch(void **state UNUSED)
{
	struct link_watch *watch;
	struct seen s = {0};
	struct rtnl_link *link;
	char name[IFNAMSIZ];
	unsigned int index;

	need_isolation();
	assert_int_equal(link_watch_create(note_removal, &s, &watch, NULL), 0);
	assert_int_equal(link_watch_run(watch), 0);
	netns_add("c3");
	assert_int_equal(attach(&(struct container_config){.bridge = "br0", .netns = "c3"}, name),
			 0);
	link = look_up(NULL, name);
	index = (unsigned int)rtnl_link_get_ifindex(link);
	rtnl_link_put(link);
	assert_int_equal(link_watch_run(watch), 0);
	assert_int_equal(s.n, 0);

	netns_del("c3");
	wait_for_removal(watch, &s);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.ifindex, index);
	assert_string_equal(s.name, name);
	link_watch_destroy(watch);
	link_watch_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_namespace_refused),
		cmocka_unit_test_setup_teardown(test_attach_twice, add_c1, del_c1),
		cmocka_unit_test_setup_teardown(test_defaults_then_changes, add_c1, del_c1),
		cmocka_unit_test_setup_teardown(test_failure_leaves_nothing, add_c1, del_c1),
		cmocka_unit_test_setup_teardown(test_foreign_interface_is_left_alone, add_c1,
						del_c1),
		cmocka_unit_test(test_namespace_made_anew),
		cmocka_unit_test(test_by_path_and_pid),
		cmocka_unit_test(test_watch),
	};

	isolated = isolate();
	return cmocka_run_group_tests_name("container", tests, NULL, NULL);
}
