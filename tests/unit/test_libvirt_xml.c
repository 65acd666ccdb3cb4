/* SPDX-License-Identifier: BSD-2-Clause */
/* libvirt's descriptions of domains, as they come, and as nobody should write them. */
#include "tests/unit/test.h"
#include "vswitchd/libvirt_xml.h"

#include <errno.h>
#include <string.h>

#define UUID "b4c35d28-59fc-44b7-8173-deab59a8bfc8"
#define MEMORY                                                                                     \
	"<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"

static struct libvirt_domain *read_as(enum libvirt_scope scope, const char *xml)
{
	struct libvirt_domain *domain = libvirt_domain_create("web1", UUID);
	struct error e = ERROR_INIT;

	assert_non_null(domain);
	assert_int_equal(libvirt_xml_parse_domain(domain, scope, xml, &e), 0);
	return domain;
}

static void refuse(const char *xml, int err)
{
	struct libvirt_domain *domain = libvirt_domain_create("web1", UUID);
	struct error e = ERROR_INIT;

	assert_non_null(domain);
	assert_int_equal(libvirt_xml_parse_domain(domain, LIBVIRT_LIVE, xml, &e), err);
	assert_true(e.text[0]);
	assert_int_equal(domain->n_nics, 0);
	libvirt_domain_destroy(domain);
}

/* As libvirt 9.0 writes a running domain. */
static void test_whole(void **state)
{
	static const char xml[] =
		"<domain type='qemu' id='3'>\n<name>web1</name>\n" MEMORY "<metadata>"
		"<v:ports xmlns:v='urn:vswitch:1'>"
		"<v:port bridge='br1' mac='52:54:00:00:00:07' tag='10' name='web1-db'/>"
		"<v:port bridge='br0'/></v:ports></metadata>"
		"<devices><interface type='network'><source network='default'/></interface>"
		"<interface type='vhostuser'><mac address='52:54:00:AB:00:07'/>"
		"<source type='unix' path='/run/vswitch/br0/a.sock' mode='client'>"
		"<reconnect enabled='yes' timeout='1'/></source><target dev='vnet3'/>"
		"<model type='virtio'/><driver queues='4' rx_queue_size='1024'/>"
		"<mtu size='9000'/><link state='down'/><alias name='net1'/></interface>"
		"<interface type='vhostuser'><source type='unix' path='/b' mode='server'/>"
		"</interface></devices></domain>";
	struct libvirt_domain *domain = read_as(LIBVIRT_LIVE, xml);
	const struct libvirt_nic *nic = libvirt_domain_lookup_nic(domain, "52:54:00:ab:00:07");

	(void)state;
	assert_string_equal(domain->type, "qemu");
	assert_true(domain->shares_memory[LIBVIRT_LIVE]);
	assert_false(domain->shares_memory[LIBVIRT_CONFIG]);
	assert_int_equal(domain->n_nics, 2);
	assert_int_equal(domain->n_other_nics, 1);
	assert_ptr_equal(nic, &domain->nics[0]);
	assert_string_equal(nic->path, "/run/vswitch/br0/a.sock");
	assert_string_equal(nic->dev, "vnet3");
	assert_false(nic->is_server);
	assert_true(nic->reconnects);
	assert_true(nic->is_down);
	assert_int_equal(nic->queues, 4);
	assert_int_equal(nic->mtu, 9000);
	assert_true(nic->in[LIBVIRT_LIVE]);
	assert_false(nic->in[LIBVIRT_CONFIG]);
	nic = &domain->nics[1];
	assert_string_equal(nic->mac, "");
	assert_true(nic->is_server);
	assert_int_equal(nic->queues, 1);
	assert_int_equal(domain->n_hints, 2);
	assert_string_equal(domain->hints[0].tag, "10");
	assert_string_equal(domain->hints[0].name, "web1-db");
	assert_string_equal(domain->hints[0].mac, "52:54:00:00:00:07");
	assert_null(domain->hints[1].mac);
	libvirt_domain_destroy(domain);
}

/* Running and next start are one list; what stands in both is one interface. */
static void test_union(void **state)
{
	static const char live[] =
		"<domain><devices>"
		"<interface type='vhostuser'><mac address='52:54:00:00:00:01'/>"
		"<source path='/a' mode='client'/><target dev='vnet0'/></interface>"
		"<interface type='vhostuser'><mac address='52:54:00:00:00:02'/>"
		"<source path='/b' mode='client'/></interface></devices></domain>";
	static const char config[] =
		"<domain>" MEMORY "<devices>"
		"<interface type='vhostuser'><mac address='52:54:00:00:00:03'/>"
		"<source path='/c' mode='client'/></interface>"
		"<interface type='vhostuser'><mac address='52:54:00:00:00:01'/>"
		"<source path='/a' mode='client'/></interface></devices></domain>";
	struct libvirt_domain *domain = read_as(LIBVIRT_LIVE, live);

	(void)state;
	assert_int_equal(libvirt_xml_parse_domain(domain, LIBVIRT_CONFIG, config, NULL), 0);
	assert_int_equal(domain->n_nics, 3);
	assert_true(domain->nics[0].in[LIBVIRT_LIVE] && domain->nics[0].in[LIBVIRT_CONFIG]);
	assert_string_equal(domain->nics[0].dev, "vnet0");
	assert_true(domain->nics[1].in[LIBVIRT_LIVE] && !domain->nics[1].in[LIBVIRT_CONFIG]);
	assert_true(!domain->nics[2].in[LIBVIRT_LIVE] && domain->nics[2].in[LIBVIRT_CONFIG]);
	assert_false(domain->shares_memory[LIBVIRT_LIVE]);
	assert_true(domain->shares_memory[LIBVIRT_CONFIG]);
	libvirt_domain_destroy(domain);
}

static bool shares(const char *inside)
{
	char xml[1024];
	struct libvirt_domain *domain;
	bool shared;

	snprintf(xml, sizeof(xml), "<domain>%s</domain>", inside);
	domain = read_as(LIBVIRT_CONFIG, xml);
	shared = domain->shares_memory[LIBVIRT_CONFIG];
	libvirt_domain_destroy(domain);
	return shared;
}

static void test_memory(void **state)
{
	(void)state;
	assert_true(shares(MEMORY));
	assert_true(shares(libvirt_memory_xml));
	assert_true(shares("<memoryBacking><hugepages/><access mode='shared'/></memoryBacking>"));
	assert_true(shares("<memoryBacking><source type='file'/></memoryBacking><cpu><numa>"
			   "<cell memAccess='shared'/><cell memAccess='shared'/></numa></cpu>"));
	assert_false(shares(""));
	assert_false(shares("<memoryBacking><source type='memfd'/></memoryBacking>"));
	/* without a file there is nothing to hand over */
	assert_false(shares("<memoryBacking><access mode='shared'/></memoryBacking>"));
	assert_false(shares("<memoryBacking><source type='anonymous'/><access mode='shared'/>"
			    "</memoryBacking>"));
	assert_false(shares("<memoryBacking><hugepages/><access mode='private'/></memoryBacking>"));
	assert_false(shares("<memoryBacking><hugepages/></memoryBacking><cpu><numa>"
			    "<cell memAccess='shared'/><cell/></numa></cpu>"));
}

/* What makes no sense is left out. */
static void test_odd_values(void **state)
{
	static const char xml[] =
		"<domain><metadata><x:port xmlns:x='urn:somebody-else' bridge='br9'/>"
		"<port bridge='br9'/><v:port xmlns:v='urn:vswitch:1'/></metadata><devices>"
		"<interface/><interface type='vhostuser'/>"
		"<interface type='vhostuser'><mac address='53:54:00:00:00:01'/>"
		"<driver queues='1000000000'/><mtu size='-5'/></interface>"
		"<interface type='vhostuser'><mac address='52:54:00:00:00:0'/>"
		"<driver queues='0'/><mtu size='12ab'/></interface>"
		"<interface type='vhostuser'><mac address='52:54:00:00:00:01x'/>"
		"<driver queues='99999999999999999999999'/></interface></devices></domain>";
	struct libvirt_domain *domain = read_as(LIBVIRT_LIVE, xml);

	(void)state;
	for (size_t i = 0; i < domain->n_nics; i++) {
		assert_string_equal(domain->nics[i].mac, "");
		assert_null(domain->nics[i].path);
		assert_int_equal(domain->nics[i].queues, 1);
		assert_int_equal(domain->nics[i].mtu, 0);
	}
	assert_int_equal(domain->n_nics, 4);
	assert_int_equal(domain->n_other_nics, 1);
	assert_int_equal(domain->n_hints, 0);
	libvirt_domain_destroy(domain);
}

static void test_no_domain(void **state)
{
	(void)state;
	refuse("", -EINVAL);
	refuse("<domain>", -EINVAL);
	refuse("<network/>", -EINVAL);
	refuse("<x:domain xmlns:x='urn:x'/>", -EINVAL);
	refuse("no XML", -EINVAL);
}

static void test_too_large(void **state)
{
	size_t size = LIBVIRT_XML_SIZE_MAX + 2;
	char *xml = malloc(size);

	(void)state;
	assert_non_null(xml);
	memset(xml, ' ', size - 1);
	xml[size - 1] = '\0';
	refuse(xml, -E2BIG);
	free(xml);
}

/* Entities are not expanded, and no file is read. */
static void test_entities(void **state)
{
	static const char xml[] =
		"<!DOCTYPE domain [<!ENTITY a 'aaaaaaaaaa'>"
		"<!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>"
		"<!ENTITY f SYSTEM 'file:///etc/passwd'>]>"
		"<domain><name>&f;</name><devices><interface type='vhostuser'>"
		"<source path='/run/x' mode='client'/><target dev='v'/>&f;</interface>"
		"</devices></domain>";
	struct libvirt_domain *domain = read_as(LIBVIRT_LIVE, xml);

	(void)state;
	assert_int_equal(domain->n_nics, 1);
	assert_string_equal(domain->nics[0].path, "/run/x");
	libvirt_domain_destroy(domain);
}

static void test_many(void **state)
{
	struct strbuf xml = STRBUF_INIT;
	struct libvirt_domain *domain;

	(void)state;
	strbuf_puts(&xml, "<domain><metadata><v:ports xmlns:v='urn:vswitch:1'>");
	for (int i = 0; i < 3 * LIBVIRT_HINTS_MAX; i++)
		strbuf_puts(&xml, "<v:port bridge='br0'/>");
	strbuf_puts(&xml, "</v:ports></metadata><devices>");
	for (int i = 0; i < 3 * LIBVIRT_NICS_MAX; i++)
		strbuf_printf(&xml, "<interface type='vhostuser'><source path='/%d'/></interface>",
			      i);
	strbuf_puts(&xml, "</devices></domain>");
	domain = read_as(LIBVIRT_CONFIG, strbuf_get(&xml));
	assert_int_equal(domain->n_nics, LIBVIRT_NICS_MAX);
	assert_int_equal(domain->n_hints, LIBVIRT_HINTS_MAX);
	libvirt_domain_destroy(domain);
	strbuf_uninit(&xml);
}

/* What is written reads back. */
static void test_format(void **state)
{
	struct libvirt_nic nic = {.mac = "52:54:00:00:00:01",
				  .path = (char[]){"/run/a'<&>\"b.sock"},
				  .reconnects = true,
				  .queues = 2,
				  .mtu = 1600};
	struct strbuf xml = STRBUF_INIT;
	struct libvirt_domain *domain;

	(void)state;
	for (int server = 0; server < 2; server++) {
		nic.is_server = server;
		strbuf_clear(&xml);
		strbuf_puts(&xml, "<domain><devices>");
		libvirt_nic_format(&nic, &xml);
		strbuf_puts(&xml, "</devices></domain>");
		domain = read_as(LIBVIRT_LIVE, strbuf_get(&xml));
		assert_int_equal(domain->n_nics, 1);
		assert_string_equal(domain->nics[0].path, nic.path);
		assert_string_equal(domain->nics[0].mac, nic.mac);
		assert_int_equal(domain->nics[0].is_server, server);
		assert_int_equal(domain->nics[0].reconnects, !server);
		assert_int_equal(domain->nics[0].queues, 2);
		assert_int_equal(domain->nics[0].mtu, 1600);
		libvirt_domain_destroy(domain);
	}
	strbuf_uninit(&xml);
}

static void test_user(void **state)
{
	static const char xml[] =
		"<capabilities><host><secmodel><model>apparmor</model><doi>0</doi></secmodel>"
		"<secmodel><model>dac</model><doi>0</doi>"
		"<baselabel type='kvm'>+64055:+104</baselabel></secmodel></host></capabilities>";
	uint32_t uid = 0, gid = 0;

	(void)state;
	assert_true(libvirt_xml_parse_user(xml, &uid, &gid));
	assert_int_equal(uid, 64055);
	assert_int_equal(gid, 104);
	assert_false(libvirt_xml_parse_user("<capabilities/>", &uid, &gid));
	assert_false(libvirt_xml_parse_user("", &uid, &gid));
	assert_false(libvirt_xml_parse_user("<c><host><secmodel><model>dac</model><baselabel>"
					    "root:root</baselabel></secmodel></host></c>",
					    &uid, &gid));
}

static void test_mac(void **state)
{
	char mac[LIBVIRT_MAC_SIZE];

	(void)state;
	assert_true(libvirt_mac_parse("52:54:00:AB:cd:Ef", mac));
	assert_string_equal(mac, "52:54:00:ab:cd:ef");
	assert_false(libvirt_mac_parse("", mac));
	assert_false(libvirt_mac_parse("52:54:00:ab:cd", mac));
	assert_false(libvirt_mac_parse("52:54:00:ab:cd:ef:00", mac));
	assert_false(libvirt_mac_parse("52-54-00-ab-cd-ef", mac));
	assert_false(libvirt_mac_parse("53:54:00:ab:cd:ef", mac));
	assert_false(libvirt_mac_parse("5g:54:00:ab:cd:ef", mac));
}

/* Any cut and any changed byte: no crash, and bounded lists. */
static void test_mangled(void **state)
{
	static const char xml[] =
		"<domain type='kvm'>" MEMORY
		"<metadata><v:port xmlns:v='urn:vswitch:1' bridge='b'/></metadata>"
		"<devices><interface type='vhostuser'><mac address='52:54:00:00:00:01'/>"
		"<source type='unix' path='/run/x/y' mode='server'/><driver queues='2'/>"
		"</interface></devices></domain>";
	uint64_t random = test_seed();
	char copy[sizeof(xml)];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct libvirt_domain *domain = libvirt_domain_create("d", UUID);

		memcpy(copy, xml, sizeof(xml));
		for (int n = 0; n < 2; n++) {
			random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
			copy[(random >> 33) % (sizeof(xml) - 1)] = (char)(random >> 56);
		}
		if (i % 4 == 0)
			copy[(random >> 40) % sizeof(xml)] = '\0';
		(void)!libvirt_xml_parse_domain(domain, LIBVIRT_LIVE, copy, NULL);
		assert_true(domain->n_nics <= 1 && domain->n_hints <= 1);
		libvirt_domain_destroy(domain);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),	    cmocka_unit_test(test_union),
		cmocka_unit_test(test_memory),	    cmocka_unit_test(test_odd_values),
		cmocka_unit_test(test_no_domain),   cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_entities),    cmocka_unit_test(test_many),
		cmocka_unit_test(test_format),	    cmocka_unit_test(test_user),
		cmocka_unit_test(test_mac),	    cmocka_unit_test(test_mangled),
	};

	libvirt_xml_init();
	return cmocka_run_group_tests_name("libvirt_xml", tests, NULL, NULL);
}
