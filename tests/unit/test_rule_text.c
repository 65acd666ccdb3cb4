/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/rule_text.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <string.h>
#include "tests/unit/rule_random.h"

/* ---- a bridge with port names that are hard to write --------------------------------------- */

static const char *const port_names[] = {
	NULL,	"eth0",	 "eth 1",	  "a\"b",   "x,y",	"local", "7",
	"br-0", "p\\q", "actions=drop", "NoRmAl", "\xc3\xa4", "-1",	 "0x1",
};

static uint32_t get_number(void *aux UNUSED, const char *name, size_t length)
{
	for (uint32_t i = 1; i < ARRAY_SIZE(port_names); i++) {
		if (strlen(port_names[i]) == length && memcmp(port_names[i], name, length) == 0)
			return i;
	}
	return OFPORT_NONE;
}

static const char *get_name(void *aux UNUSED, uint32_t port)
{
	return port < ARRAY_SIZE(port_names) ? port_names[port] : NULL;
}

static void offer(void *aux UNUSED, struct suggest *s)
{
	for (uint32_t i = 1; i < ARRAY_SIZE(port_names); i++)
		suggest_offer(s, port_names[i]);
}

static const struct ofport_names names = {get_number, get_name, offer, NULL};

/* ---- what is read, and as what it is printed ----------------------------------------------- */

static const struct {
	const char *text;
	const char *printed; /* NULL: as `text` */
} accepted[] = {
	{"actions=drop", NULL},
	{"priority=0 actions=NORMAL", NULL},
	{"priority=32768 actions=normal", "actions=NORMAL"},
	{"  tcp , priority=0x3 ,\tin_port=3 actions= 2, 3",
	 "priority=3,tcp,in_port=3 actions=output:2,output:3"},
	{"cookie=0x5,table=3,idle_timeout=5,hard_timeout=9,ip,nw_ttl=5,nw_tos=8,ip_ecn=1,"
	 "ip_frag=first actions=output(port=5)",
	 "cookie=0x5, table=3, idle_timeout=5, hard_timeout=9, "
	 "ip,nw_tos=8,nw_ecn=1,nw_ttl=5,nw_frag=first actions=output:5"},
	{" cookie=0x0, duration=12.3s, table=0, n_packets=1, n_bytes=3, idle_timeout=60, "
	 "idle_age=3, priority=5,tcp,in_port=1,nw_dst=10.0.0.0/8,tp_dst=80 actions=output:2",
	 "idle_timeout=60, priority=5,tcp,in_port=1,nw_dst=10.0.0.0/8,tp_dst=80 "
	 "actions=output:2"},
	/* Ethernet and VLAN */
	{"eth_src=2:0:0:0:0:1,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00 actions=drop",
	 "dl_src=02:00:00:00:00:01,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00 actions=drop"},
	{"dl_type=0x88cc actions=drop", NULL},
	{"eth_type=2048 actions=drop", "ip actions=drop"},
	{"dl_vlan=5 actions=drop", NULL},
	{"dl_vlan=0 actions=drop", NULL},
	{"dl_vlan=0xffff actions=drop", "vlan_tci=0x0000/0x1fff actions=drop"},
	{"vlan_vid=0 actions=drop", "vlan_tci=0x0000/0x1fff actions=drop"},
	{"vlan_vid=0x1005 actions=drop", "dl_vlan=5 actions=drop"},
	{"vlan_vid=5 actions=drop", "dl_vlan=5 actions=drop"},
	{"vlan_vid=0x1000/0x1000 actions=drop", "vlan_tci=0x1000/0x1000 actions=drop"},
	{"dl_vlan=5,vlan_pcp=1 actions=drop", "dl_vlan=5,dl_vlan_pcp=1 actions=drop"},
	{"dl_vlan_pcp=7 actions=drop", NULL},
	{"dl_vlan=5,vlan_tci=0x1005/0x1fff actions=drop", "dl_vlan=5 actions=drop"},
	{"vlan_tci=0 actions=drop", "vlan_tci=0x0000 actions=drop"},
	/* IP */
	{"ip,nw_src=10.1.2.3/8 actions=drop", "ip,nw_src=10.0.0.0/8 actions=drop"},
	{"ip,nw_src=10.1.2.3/255.0.0.255 actions=drop",
	 "ip,nw_src=10.0.0.3/255.0.0.255 actions=drop"},
	{"ip,ip_src=10.1.2.3/32,ip_dst=0.0.0.0/0 actions=drop", "ip,nw_src=10.1.2.3 actions=drop"},
	{"nw_dst=192.0.2.1,ip actions=drop", "ip,nw_dst=192.0.2.1 actions=drop"},
	{"ip,nw_dst=* actions=drop", "ip actions=drop"},
	{"ip,ip_dscp=5 actions=drop", "ip,nw_tos=20 actions=drop"},
	{"ip,nw_tos=20,ip_dscp=5 actions=drop", "ip,nw_tos=20 actions=drop"},
	{"ip,nw_proto=2 actions=drop", NULL},
	{"dl_type=0x0800,ip_proto=17 actions=drop", "udp actions=drop"},
	{"ip,nw_proto=0 actions=drop", NULL},
	{"ip,nw_frag=no actions=drop", NULL},
	{"ipv6,nw_frag=yes actions=drop", NULL},
	{"ip,nw_frag=not_later actions=drop", NULL},
	{"ip,nw_frag=later actions=drop", NULL},
	{"ipv6,ipv6_src=2001:DB8::/32,ipv6_dst=2001:db8::1/ffff::ffff,ipv6_label=5 actions=drop",
	 "ipv6,ipv6_src=2001:db8::/32,ipv6_dst=2001::1/ffff::ffff,ipv6_label=0x00005 actions=drop"},
	/* L4 */
	{"tcp,tcp_src=80,tcp_dst=0x50/0xfff0 actions=drop",
	 "tcp,tp_src=80,tp_dst=0x50/0xfff0 actions=drop"},
	{"udp6,udp_src=1 actions=drop", "udp6,tp_src=1 actions=drop"},
	{"sctp,sctp_dst=1 actions=drop", "sctp,tp_dst=1 actions=drop"},
	{"tcp,tp_dst=80/0xffff actions=drop", "tcp,tp_dst=80 actions=drop"},
	{"tcp,tcp_flags=+syn-ack actions=drop", NULL},
	{"tcp,tcp_flags=0x2/0x12 actions=drop", "tcp,tcp_flags=+syn-ack actions=drop"},
	{"tcp6,tcp_flags=syn|ack actions=drop", NULL},
	{"tcp,tcp_flags=0 actions=drop", NULL},
	{"tcp,tcp_flags=0xf00 actions=drop", "tcp,tcp_flags=ns|[200]|[400]|[800] actions=drop"},
	{"icmp,icmp_type=8,icmp_code=0 actions=drop", NULL},
	{"icmp6,icmp_type=135 actions=drop", "icmp6,icmpv6_type=135 actions=drop"},
	{"icmp,tp_src=8 actions=drop", "icmp,icmp_type=8 actions=drop"},
	{"icmp6,icmpv6_type=135,icmpv6_code=0,nd_target=2001:db8::1,nd_sll=02:00:00:00:00:01 "
	 "actions=drop",
	 "icmp6,icmpv6_type=135,icmpv6_code=0,nd_target=2001:db8::1,nd_sll=02:00:00:00:00:01 "
	 "actions=drop"},
	{"icmp6,icmpv6_type=136,nd_tll=02:00:00:00:00:01 actions=drop",
	 "icmp6,icmpv6_type=136,nd_tll=02:00:00:00:00:01 actions=drop"},
	/* ARP */
	{"arp,arp_op=1,arp_sha=02:00:00:00:00:01,arp_spa=192.0.2.1,arp_tpa=192.0.2.0/24 "
	 "actions=drop",
	 "arp,arp_spa=192.0.2.1,arp_tpa=192.0.2.0/24,arp_op=1,arp_sha=02:00:00:00:00:01 "
	 "actions=drop"},
	{"arp,nw_src=192.0.2.1,nw_proto=2 actions=drop", "arp,arp_spa=192.0.2.1,arp_op=2 "
							 "actions=drop"},
	{"rarp actions=drop", NULL},
	/* ports */
	{"in_port=LOCAL actions=output:local,4,output:in_port,ALL,flood",
	 "in_port=LOCAL actions=LOCAL,output:4,IN_PORT,ALL,FLOOD"},
	{"in_port=65534 actions=in_port", "in_port=LOCAL actions=IN_PORT"},
	{"in_port=eth0 actions=output:\"eth 1\",br-0,\"local\",output(port=\"7\")",
	 "in_port=1 actions=output:2,output:7,output:5,output:6"},
	/* other actions */
	{"actions=mod_dl_src:02:00:00:00:00:01,mod_dl_dst:02:00:00:00:00:02,mod_nw_src:192.0.2.1,"
	 "mod_nw_dst:192.0.2.2,mod_tp_src:1,mod_tp_dst:65535,mod_nw_tos:252,mod_nw_ttl:255,"
	 "mod_nw_ecn:3,mod_vlan_vid:4095,mod_vlan_pcp:7,dec_ttl,push_vlan:0x8100,"
	 "push_vlan:0x88a8,strip_vlan",
	 NULL},
	{"actions=dec_ttl(),pop_vlan", "actions=dec_ttl,strip_vlan"},
	{"tcp actions=set_field:80->tcp_dst", "tcp actions=mod_tp_dst:80"},
	{"udp actions=set_field:0x50/0xf0->udp_dst", NULL},
	{"ip actions=set_field:10.0.0.1/255.0.0.255->ip_src",
	 "ip actions=set_field:10.0.0.1/255.0.0.255->nw_src"},
	{"actions=set_field:02:00:00:00:00:00/03:00:00:00:00:00->eth_dst",
	 "actions=set_field:02:00:00:00:00:00/03:00:00:00:00:00->dl_dst"},
	{"ipv6 actions=set_field:2001:db8::1->ipv6_src,set_field:0x5->ipv6_label",
	 "ipv6 actions=set_field:2001:db8::1->ipv6_src,set_field:0x00005->ipv6_label"},
	{"arp actions=set_field:2->arp_op,set_field:192.0.2.1->arp_spa", NULL},
	{"icmp actions=set_field:0->icmp_type", NULL},
	{"actions=push_vlan:0x8100,set_field:4101->vlan_vid,set_field:3->vlan_pcp",
	 "actions=push_vlan:0x8100,mod_vlan_vid:5,mod_vlan_pcp:3"},
	{"dl_vlan=1 actions=set_field:5->vlan_vid", "dl_vlan=1 actions=mod_vlan_vid:5"},
	{"tcp6 actions=load:0x50->NXM_OF_TCP_DST[],load:0x2->NXM_NX_IPV6_SRC[0..63],"
	 "load:1->nw_ecn[0]",
	 "tcp6 actions=mod_tp_dst:80,set_field:::2/::ffff:ffff:ffff:ffff->ipv6_src,"
	 "load:0x1->nw_ecn[0]"},
	{"ip actions=load:3->NXM_OF_IP_TOS[2..4]", "ip actions=load:0x3->nw_tos[2..4]"},
	{"ip actions=load:0xff->NXM_OF_IP_TOS[]", "ip actions=mod_nw_tos:252"},
};

static void test_accepted(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
		const char *printed = accepted[i].printed ? accepted[i].printed : accepted[i].text;
		struct strbuf out = STRBUF_INIT;
		struct error err = ERROR_INIT;
		struct rule_spec spec;

		if (rule_parse(accepted[i].text, strlen(accepted[i].text), FLOW_MOD_ADD, &names,
			       &spec, &err))
			fail_msg("%s: %s", accepted[i].text, err.text);
		rule_format(&spec, NULL, NULL, &out);
		assert_string_equal(strbuf_get(&out), printed);
		strbuf_uninit(&out);
		ofaction_list_uninit(&spec.actions);
	}
}

/* ---- what is refused, and with which words ------------------------------------------------- */

static const struct {
	const char *text;
	const char *words; /* some of the message */
} refused[] = {
	{"", "actions=... is missing"},
	{"ip", "actions=... is missing"},
	{"actions", "unknown field 'actions'"},
	{"actions=", "say drop"},
	{"actions=,", "say drop"},
	{"nw_sr=192.0.2.1 actions=drop", "unknown field 'nw_sr', did you mean 'nw_src'?"},
	{"priorty=5 actions=drop", "unknown field 'priorty', did you mean 'priority'?"},
	{"pi,actions=drop", "unknown field 'pi'"},
	{"ip,action=drop,ip", "unknown action 'ip'"},
	{"\xff\xfe=3 actions=drop", "unknown field '?\?'"},
	{"=3 actions=drop", "unknown field ''"},
	{"priority actions=drop", "priority needs a value"},
	{"priority= actions=drop", "priority needs a value"},
	{"priority=65536 actions=drop", "priority=65536 is not a number of at most 65535"},
	{"priority=-1 actions=drop", "priority=-1"},
	{"priority=010 actions=drop", "priority=010"},
	{"priority=1,priority=1 actions=drop", "priority is given twice"},
	{"cookie=0x10000000000000000 actions=drop", "cookie="},
	{"cookie=1/-1 actions=drop", "without a mask"},
	{"table=254 actions=drop", "table=254"},
	{"table=255 actions=drop", "table=255"},
	{"idle_timeout=65536 actions=drop", "idle_timeout=65536 is not"},
	{"out_port=1 actions=drop", "out_port has no meaning"},
	{"ip=1 actions=drop", "ip takes no value"},
	{"nw_src=192.0.2.1 actions=drop", "nw_src needs ip"},
	{"ipv6,nw_src=192.0.2.1 actions=drop", "nw_src needs ip"},
	{"arp,ip_src=192.0.2.1 actions=drop", "ip_src needs ip"},
	{"ip,tp_src=1 actions=drop", "tp_src needs tcp"},
	{"udp,tcp_src=1 actions=drop", "tcp_src needs tcp or tcp6"},
	{"icmp,tcp_flags=+syn actions=drop", "tcp_flags needs tcp"},
	{"icmp6,nd_target=2001:db8::1 actions=drop", "nd_target needs icmp6,icmpv6_type=135"},
	{"icmp6,icmpv6_type=136,nd_sll=02:00:00:00:00:01 actions=drop", "nd_sll needs"},
	{"icmp6,icmpv6_type=135,icmpv6_code=1,nd_target=::1 actions=drop", "nd_target needs"},
	{"tcp,nw_frag=later,tp_src=1 actions=drop", "tp_src: later fragments do not have it"},
	{"tcp,udp actions=drop", "udp contradicts"},
	{"ip,arp actions=drop", "arp contradicts"},
	{"tcp,nw_proto=17 actions=drop", "nw_proto contradicts"},
	{"dl_vlan=0xffff,dl_vlan_pcp=1 actions=drop", "dl_vlan_pcp contradicts"},
	{"ip,nw_src=192.0.2.1,nw_src=192.0.2.1 actions=drop", "nw_src is given twice"},
	{"ip,nw_src=192.0.2.1,ip_src=192.0.2.2 actions=drop", "ip_src is given twice"},
	{"ip,nw_src=192.0.2 actions=drop", "nw_src=192.0.2 is not an IPv4"},
	{"ip,nw_src=192.0.2.256 actions=drop", "is not an IPv4"},
	{"ip,nw_src=192.0.2.1/33 actions=drop", "is not an IPv4"},
	{"ip,nw_src=192.0.2.0x1 actions=drop", "is not an IPv4"},
	{"ip,nw_src= actions=drop", "nw_src needs a value"},
	{"ipv6,ipv6_src=2001:db8:::1 actions=drop", "is not an IPv6"},
	{"ipv6,ipv6_src=::1/129 actions=drop", "is not an IPv6"},
	{"dl_src=02:00:00:00:00 actions=drop", "is not an Ethernet address"},
	{"dl_src=02:00:00:00:00:001 actions=drop", "is not an Ethernet address"},
	{"dl_type=0x800/0xff actions=drop", "dl_type takes no mask"},
	{"dl_vlan=4096 actions=drop", "dl_vlan=4096"},
	{"dl_vlan_pcp=8 actions=drop", "dl_vlan_pcp=8"},
	{"vlan_vid=0x2000 actions=drop", "vlan_vid=0x2000"},
	{"ip,nw_tos=5 actions=drop", "multiple of 4"},
	{"ip,nw_tos=256 actions=drop", "nw_tos=256"},
	{"ip,nw_ecn=4 actions=drop", "of at most 3"},
	{"ip,nw_frag=maybe actions=drop", "no, yes, first, later or not_later"},
	{"icmp,icmp_type=256 actions=drop", "of at most 255"},
	{"tcp,tp_src=65536 actions=drop", "of at most 65535"},
	{"tcp,tcp_flags=+syn-syn actions=drop", "tcp_flags=+syn-syn"},
	{"tcp,tcp_flags=+sin actions=drop", "tcp_flags=+sin"},
	{"tcp,tcp_flags=syn| actions=drop", "tcp_flags=syn|"},
	{"tcp,tcp_flags=+ actions=drop", "tcp_flags=+"},
	{"in_port=eth9 actions=drop", "in_port: no port is called 'eth9', did you mean 'eth0'?"},
	{"in_port=0 actions=drop", "port 0 is not between 1 and 65279"},
	{"in_port=65280 actions=drop", "port 65280"},
	{"in_port=NORMAL actions=drop", "no packet comes from there"},
	{"in_port=\"eth0 actions=drop", "is no port name"},
	{"in_port=\"\" actions=drop", "is no port name"},
	{"actions=outptu:1", "unknown action 'outptu', did you mean 'output'?"},
	{"actions=drpo", "unknown action 'drpo', did you mean 'drop'?"},
	{"actions=eth9", "unknown action 'eth9', did you mean 'eth0'?"},
	{"actions=output:eth9", "output: no port is called 'eth9', did you mean 'eth0'?"},
	{"actions=\"eth9\"", "no port is called 'eth9'"},
	{"actions=output", "output needs a value"},
	{"actions=output:", "output needs a value"},
	{"actions=output()", "output needs a value"},
	{"actions=output(port=1", "lacks its )"},
	{"actions=output(port=1,max_len=10)", "only output(port=PORT)"},
	{"actions=output(,)", "needs a port=PORT"},
	{"actions=drop,1", "drop must be the only action"},
	{"actions=normal:1", "normal takes no value"},
	{"actions=dec_ttl(1)", "dec_ttl takes no value"},
	{"actions=push_vlan:0x9100", "neither 0x8100 nor 0x88a8"},
	{"actions=mod_nw_src:192.0.2.0/24", "takes no mask"},
	{"actions=mod_nw_src:*", "no bits"},
	{"actions=mod_vlan_vid:4096", "of at most 4095"},
	{"actions=mod_nw_tos:1", "multiple of 4"},
	{"actions=set_field:80", "is not set_field:VALUE->FIELD"},
	{"actions=set_field:80->", "unknown field ''"},
	{"actions=set_field:80->tcp_dts", "unknown field 'tcp_dts', did you mean 'tcp_dst'?"},
	{"actions=set_field:80->tcp_dst", "set_field: tcp_dst needs tcp or tcp6 in the same rule"},
	{"udp actions=set_field:80->tcp_dst", "tcp_dst needs tcp"},
	{"tcp,nw_frag=later actions=set_field:80->tcp_dst", "later fragments do not have it"},
	{"arp actions=set_field:192.0.2.1->nw_src", "nw_src needs ip in"},
	{"tcp actions=set_field:*->tcp_dst", "no bits"},
	{"ip actions=set_field:1/1->nw_ecn", "nw_ecn takes no mask"},
	{"tcp actions=set_field:17->nw_proto", "nw_proto cannot be set"},
	{"actions=set_field:5->vlan_vid", "needs a tag"},
	{"dl_vlan=5 actions=strip_vlan,set_field:5->vlan_vid", "needs a tag"},
	{"actions=load:5->NXM_OF_TCP_DST", "NXM_OF_TCP_DST needs"},
	{"tcp actions=load:5->NXM_OF_TCP_DST", "needs bits of a field"},
	{"tcp actions=load:5->NXM_OF_TCP_DST[8..7]", "needs bits of a field"},
	{"tcp actions=load:5->NXM_OF_TCP_DST[16]", "needs bits of a field"},
	{"tcp actions=load:5->NXM_OF_TCP_DST[0..1", "needs bits of a field"},
	{"tcp actions=load:4->NXM_OF_TCP_DST[0..1]", "is not a number of 2 bits"},
};

static void test_refused(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct error err = ERROR_INIT;
		struct rule_spec spec;

		if (!rule_parse(refused[i].text, strlen(refused[i].text), FLOW_MOD_ADD, &names,
				&spec, &err))
			fail_msg("%s: was accepted", refused[i].text);
		if (!strstr(err.text, refused[i].words))
			fail_msg("%s: \"%s\" lacks \"%s\"", refused[i].text, err.text,
				 refused[i].words);
		assert_null(spec.actions.actions);
	}
}

static void test_bounds(void **state UNUSED)
{
	static char text[RULE_TEXT_MAX + 16] = "actions=drop";
	struct rule_spec spec;
	struct error err;

	assert_int_equal(rule_parse("ip\0 actions=drop", 16, FLOW_MOD_ADD, NULL, &spec, &err),
			 -EINVAL);
	memset(text + 12, ' ', sizeof(text) - 12);
	assert_int_equal(rule_parse(text, RULE_TEXT_MAX, FLOW_MOD_ADD, NULL, &spec, &err), 0);
	assert_int_equal(rule_parse(text, RULE_TEXT_MAX + 1, FLOW_MOD_ADD, NULL, &spec, &err),
			 -E2BIG);
	memcpy(text, "actions=", 8);
	for (int i = 0; i < OFACTION_LIST_MAX; i++)
		memcpy(text + 8 + 2 * i, "1,", 2);
	assert_int_equal(rule_parse(text, 8 + 2 * OFACTION_LIST_MAX, FLOW_MOD_ADD, NULL, &spec,
				    &err), 0);
	assert_int_equal(spec.actions.n, OFACTION_LIST_MAX);
	ofaction_list_uninit(&spec.actions);
	text[8 + 2 * OFACTION_LIST_MAX] = '1';
	assert_int_equal(rule_parse(text, 9 + 2 * OFACTION_LIST_MAX, FLOW_MOD_ADD, NULL, &spec,
				    &err), -E2BIG);
}

/* ---- what a line is for -------------------------------------------------------------------- */

static int parse(const char *text, enum flow_mod_type type, struct rule_spec *spec)
{
	struct error err;

	return rule_parse(text, strlen(text), type, &names, spec, &err);
}

static void test_delete(void **state UNUSED)
{
	struct rule_spec spec;

	assert_int_equal(parse("", FLOW_MOD_DELETE, &spec), 0);
	assert_int_equal(spec.table_id, FLOW_TABLE_ALL);
	assert_int_equal(spec.out_port, OFPORT_NONE);
	assert_int_equal(spec.cookie_mask, 0);
	assert_int_equal(parse("cookie=0x15/0xf0,tcp,out_port=eth0,table=2", FLOW_MOD_DELETE,
			       &spec), 0);
	assert_int_equal(spec.cookie, 0x10);
	assert_int_equal(spec.cookie_mask, 0xf0);
	assert_int_equal(spec.out_port, 1);
	assert_int_equal(spec.table_id, 2);
	assert_int_equal(parse("cookie=7,table=255", FLOW_MOD_DELETE, &spec), 0);
	assert_true(spec.cookie == 7 && spec.cookie_mask == UINT64_MAX);
	assert_int_equal(parse("cookie=7/-1", FLOW_MOD_DELETE, &spec), 0);
	assert_true(spec.cookie == 7 && spec.cookie_mask == UINT64_MAX);
	assert_int_equal(parse("priority=5", FLOW_MOD_DELETE, &spec), -EINVAL);
	assert_int_equal(parse("priority=5", FLOW_MOD_DELETE_STRICT, &spec), 0);
	assert_int_equal(spec.priority, 5);
	assert_int_equal(parse("actions=drop", FLOW_MOD_DELETE, &spec), -EINVAL);
	assert_int_equal(parse("idle_timeout=1", FLOW_MOD_DELETE, &spec), -EINVAL);
}

static void test_modify(void **state UNUSED)
{
	struct rule_spec spec;

	assert_int_equal(parse("tcp", FLOW_MOD_MODIFY, &spec), -EINVAL);
	assert_int_equal(parse("cookie=3,tcp actions=drop", FLOW_MOD_MODIFY, &spec), 0);
	assert_int_equal(spec.table_id, FLOW_TABLE_ALL);
	assert_true(spec.cookie == 3 && spec.cookie_mask == 0);
	assert_int_equal(parse("cookie=3/3,tcp actions=drop", FLOW_MOD_MODIFY_STRICT, &spec), 0);
	assert_int_equal(spec.cookie_mask, 3);
	assert_int_equal(parse("out_port=3 actions=drop", FLOW_MOD_MODIFY, &spec), -EINVAL);
}

/* ---- printing ------------------------------------------------------------------------------ */

static void test_dump_form(void **state UNUSED)
{
	const struct rule_text_stats stats = {.duration = 1200000000, .n_packets = 3,
					      .n_bytes = 180, .idle_age = 999999999};
	struct strbuf out = STRBUF_INIT;
	struct rule_spec spec, again;

	assert_int_equal(parse("idle_timeout=9,priority=10,tcp,nw_dst=10.0.0.0/8,tp_dst=80 "
			       "actions=output:2", FLOW_MOD_ADD, &spec), 0);
	rule_format(&spec, &stats, NULL, &out);
	assert_string_equal(strbuf_get(&out),
			    "cookie=0x0, duration=1.2s, table=0, n_packets=3, n_bytes=180, "
			    "idle_timeout=9, idle_age=0, "
			    "priority=10,tcp,nw_dst=10.0.0.0/8,tp_dst=80 actions=output:2");
	assert_int_equal(parse(strbuf_get(&out), FLOW_MOD_ADD, &again), 0);
	assert_true(match_equals(&spec.match, &again.match));
	ofaction_list_uninit(&again.actions);
	ofaction_list_uninit(&spec.actions);

	strbuf_clear(&out);
	memset(&spec, 0, sizeof(spec));
	spec.priority = RULE_PRIORITY_DEFAULT;
	rule_format(&spec,
		    &(struct rule_text_stats){.duration = 2005999999, .idle_age = 2000000000}, NULL,
		    &out);
	assert_string_equal(strbuf_get(&out), "cookie=0x0, duration=2.005s, table=0, n_packets=0, "
					      "n_bytes=0, idle_age=2, actions=drop");
	strbuf_uninit(&out);
}

static bool spec_equals(const struct rule_spec *a, const struct rule_spec *b)
{
	return match_equals(&a->match, &b->match) && a->cookie == b->cookie &&
	       a->cookie_mask == b->cookie_mask && a->priority == b->priority &&
	       a->table_id == b->table_id && a->idle_timeout == b->idle_timeout &&
	       a->hard_timeout == b->hard_timeout && a->out_port == b->out_port &&
	       ofaction_list_equals(&a->actions, &b->actions);
}

/* random rule -> text -> the same rule -> the same text, with and without port names */
static void test_round_trip(void **state UNUSED)
{
	struct rule_random r = {test_seed() | 1};
	struct strbuf out = STRBUF_INIT, again = STRBUF_INIT;

	for (int i = 0; i < 50000; i++) {
		const struct ofport_names *with = i % 2 ? &names : NULL;
		struct rule_text_stats stats = {.duration = rule_random_next(&r, UINT32_MAX)};
		struct rule_spec spec, back;
		struct error err = ERROR_INIT;

		rule_random_spec(&r, &spec);
		strbuf_clear(&out);
		strbuf_clear(&again);
		rule_format(&spec, i % 4 < 2 ? &stats : NULL, with, &out);
		if (rule_parse(strbuf_get(&out), out.length, FLOW_MOD_ADD, with, &back, &err))
			fail_msg("seed %#llx: %s: %s", (unsigned long long)test_seed(),
				 strbuf_get(&out), err.text);
		rule_format(&back, i % 4 < 2 ? &stats : NULL, with, &again);
		if (!spec_equals(&spec, &back) || strcmp(strbuf_get(&out), strbuf_get(&again)))
			fail_msg("seed %#llx: %s became %s", (unsigned long long)test_seed(),
				 strbuf_get(&out), strbuf_get(&again));
		ofaction_list_uninit(&spec.actions);
		ofaction_list_uninit(&back.actions);
	}
	strbuf_uninit(&out);
	strbuf_uninit(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_delete),
		cmocka_unit_test(test_modify),
		cmocka_unit_test(test_dump_form),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests_name("rule_text", tests, NULL, NULL);
}
