/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What we print, ovs-ofctl reads, and what it prints of that we read to the same rule. Skipped
 * where Open vSwitch is not installed; it is only asked to parse, nothing of it runs.
 */
#include "openflow/rule_text.h"
#include "tests/unit/test.h"

#include <string.h>
#include <unistd.h>
#include "tests/unit/rule_random.h"

#define N_RULES 1000
#define SKIP 77

/* Rules of one kind go to ovs-ofctl in one file: it picks one protocol for all. */
struct batch {
	const char *options;       /* of ovs-ofctl */
	const char *const *texts; /* how the rules are written; NULL: as we print them */
	struct rule_spec specs[N_RULES];
	uint32_t n;
};

static struct batch batch;

static void batch_clear(void)
{
	while (batch.n > 0)
		ofaction_list_uninit(&batch.specs[--batch.n].actions);
}

/*
 * "OFPT_FLOW_MOD (xid=0x1): ADD table:3 priority=7,tcp cookie:0x5 idle:5 hard:9 actions=drop" as a
 * line that we read.
 */
static void translate(const char *line, struct strbuf *out)
{
	static const struct {
		const char *theirs, *ours;
	} keys[] = {{"table:", "table="}, {"cookie:", "cookie="}, {"idle:", "idle_timeout="},
		    {"hard:", "hard_timeout="}};
	const char *at = strstr(line, " ADD ");

	strbuf_clear(out);
	if (!at)
		fail_msg("no rule in \"%s\"", line);
	at += 5;
	while (*at && strncmp(at, "actions=", 8) != 0) {
		size_t length = strcspn(at, " ");

		for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
			if (strncmp(at, keys[i].theirs, strlen(keys[i].theirs)) == 0) {
				strbuf_puts(out, keys[i].ours);
				length -= strlen(keys[i].theirs);
				at += strlen(keys[i].theirs);
			}
		}
		strbuf_put(out, at, length);
		strbuf_putc(out, ' ');
		at += length;
		at += strspn(at, " ");
	}
	strbuf_puts(out, at);
}

/*
 * A run of header changes is what it makes of a key: Open vSwitch prints a wide field in parts, and
 * knows one name for what has two. Other actions stand for themselves.
 */
struct effect {
	struct ofaction action; /* what is no SET_FIELD */
	struct match set;
};

static uint32_t effects_get(const struct ofaction_list *list, struct effect *effects)
{
	bool in_run = false;
	uint32_t n = 0;

	for (uint32_t i = 0; i < list->n; i++) {
		const struct ofaction *action = &list->actions[i];
		const struct field *field = field_get(action->field);
		struct effect *effect = &effects[n - in_run];
		struct flow_key mask;

		if (action->type != OFACTION_SET_FIELD || !in_run) {
			effect = &effects[n++];
			memset(effect, 0, sizeof(*effect));
			in_run = action->type == OFACTION_SET_FIELD;
		}
		if (!in_run) {
			effect->action = *action;
			continue;
		}
		field_spread(field, action->set.mask, &mask);
		field_set(field, action->set.value, action->set.mask, &effect->set.value);
		for (int w = 0; w < FLOW_KEY_WORDS; w++)
			effect->set.mask.w[w] |= mask.w[w];
	}
	return n;
}

static bool spec_equals(const struct rule_spec *a, const struct rule_spec *b)
{
	static struct effect left[OFACTION_LIST_MAX], right[OFACTION_LIST_MAX];
	uint32_t n = effects_get(&a->actions, left);

	return match_equals(&a->match, &b->match) && a->cookie == b->cookie &&
	       a->priority == b->priority && a->table_id == b->table_id &&
	       a->idle_timeout == b->idle_timeout && a->hard_timeout == b->hard_timeout &&
	       n == effects_get(&b->actions, right) &&
	       memcmp(left, right, n * sizeof(*left)) == 0;
}

/* Writes the batch, has ovs-ofctl read it, and compares what comes back. */
static void batch_compare(void)
{
	char name[] = "/tmp/test_ovs_syntax.XXXXXX", line[65536], command[256];
	struct strbuf out = STRBUF_INIT;
	int fd = mkstemp(name);
	FILE *file = fdopen(fd, "w"), *answer;
	uint32_t n = 0;

	assert_non_null(file);
	for (uint32_t i = 0; i < batch.n; i++) {
		static const struct rule_text_stats stats = {.duration = 1500000000};

		strbuf_clear(&out);
		if (batch.texts)
			strbuf_puts(&out, batch.texts[i]);
		else
			rule_format(&batch.specs[i], &stats, NULL, &out);
		fprintf(file, "%s\n", strbuf_get(&out));
	}
	assert_int_equal(fclose(file), 0);
	snprintf(command, sizeof(command), "ovs-ofctl %s parse-flows %s 2>&1", batch.options, name);
	answer = popen(command, "r");
	assert_non_null(answer);
	while (fgets(line, sizeof(line), answer)) {
		struct error err = ERROR_INIT;
		struct rule_spec spec;

		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "usable protocols", 16) == 0 ||
		    strncmp(line, "chosen protocol", 15) == 0)
			continue;
		assert_true(n < batch.n);
		translate(line, &out);
		if (rule_parse(strbuf_get(&out), out.length, FLOW_MOD_ADD, NULL, &spec, &err))
			fail_msg("%s (%s): %s", line, strbuf_get(&out), err.text);
		strbuf_clear(&out);
		rule_format(&batch.specs[n], NULL, NULL, &out);
		if (!spec_equals(&batch.specs[n], &spec))
			fail_msg("seed %#llx: ours %s, theirs %s", (unsigned long long)test_seed(),
				 strbuf_get(&out), line);
		ofaction_list_uninit(&spec.actions);
		n++;
	}
	unlink(name);
	assert_int_equal(pclose(answer), 0);
	assert_int_equal(n, batch.n);
	strbuf_uninit(&out);
}

/* OpenFlow 1.0 with Nicira's extensions: there is no push_vlan, and ovs-ofctl forgets the mask
 * where OpenFlow 1.0 has an action that sets the whole field. */
static bool suits_nxm(const struct rule_spec *spec)
{
	for (uint32_t i = 0; i < spec->actions.n; i++) {
		const struct ofaction *action = &spec->actions.actions[i];
		const struct field *field = field_get(action->field);
		uint8_t exact[FIELD_BYTES_MAX];

		field_get_exact(field, exact);
		if (action->type == OFACTION_PUSH_VLAN ||
		    (action->type == OFACTION_SET_FIELD && field->is_maskable &&
		     memcmp(action->set.mask, exact, field->n_bytes) != 0))
			return false;
	}
	return true;
}

/* Later versions refuse actions on headers that packets need not have. */
static bool suits_openflow13(const struct rule_spec *spec)
{
	bool has_tag = spec->match.value.vlan_tci & htons(FLOW_VLAN_PRESENT);
	uint16_t mask = ntohs(spec->match.mask.vlan_tci), pcp = mask & 0xe000;

	/* what cannot be said: a VLAN of packets that may have no tag, and parts of a priority */
	if ((!has_tag && mask && mask != 0x1fff) || (pcp && pcp != 0xe000))
		return false;
	for (uint32_t i = 0; i < spec->actions.n; i++) {
		uint8_t type = spec->actions.actions[i].type;

		if (type == OFACTION_DEC_TTL && !match_needs_hold(&spec->match, FIELD_NEEDS_IP))
			return false;
		if (type == OFACTION_STRIP_VLAN && !has_tag)
			return false;
		if (type == OFACTION_STRIP_VLAN)
			has_tag = false;
		if (type == OFACTION_PUSH_VLAN && has_tag)
			return false; /* a second tag is more than OVS's check can follow */
		if (type == OFACTION_PUSH_VLAN)
			has_tag = true;
	}
	return true;
}

/* Open vSwitch takes an IPv6 mask that starts with a digit for a prefix length, and then
 * stumbles. */
static bool has_odd_mask(const char *line)
{
	for (const char *at = strchr(line, '/'); at; at = strchr(at + 1, '/')) {
		size_t length = strcspn(at, ",- ");

		if (at[1] >= '0' && at[1] <= '9' && memchr(at, ':', length) &&
		    length != strlen("/00:00:00:00:00:00"))
			return true;
	}
	return false;
}

/* Is there something in the rule that only we, or only Open vSwitch, can say? */
static bool is_ours_alone(const struct rule_spec *spec)
{
	struct strbuf out = STRBUF_INIT;
	bool is_alone;

	rule_format(spec, NULL, NULL, &out);
	is_alone = has_odd_mask(strbuf_get(&out)) || strstr(strbuf_get(&out), "nw_frag=0x") ||
		   strstr(strbuf_get(&out), "nw_frag=2");
	strbuf_uninit(&out);
	return is_alone;
}

static void compare_random(const char *options, bool (*suits)(const struct rule_spec *spec))
{
	struct rule_random r = {test_seed() | 1};

	batch.options = options;
	batch.texts = NULL;
	while (batch.n < N_RULES) {
		struct rule_spec *spec = &batch.specs[batch.n];

		rule_random_spec(&r, spec);
		if (suits(spec) && !is_ours_alone(spec))
			batch.n++;
		else
			ofaction_list_uninit(&spec->actions);
	}
	batch_compare();
	batch_clear();
}

static void test_nxm(void **state UNUSED)
{
	compare_random("-F NXM+table_id", suits_nxm);
}

static void test_openflow13(void **state UNUSED)
{
	compare_random("-O OpenFlow13", suits_openflow13);
}

/* other ways to write a rule mean the same to both */
static void test_spellings(void **state UNUSED)
{
	static const char *const texts[] = {
		"table=0 actions=normal,flood,all,in_port,local,1",
		"table=0, priority=0x10 , tcp , in_port=3\tactions=output:2,output:3,4",
		"table=0,eth_src=2:0:0:0:0:1,eth_dst=ff:ff:ff:ff:ff:ff,eth_type=0x806 actions=drop",
		"table=0,dl_vlan=5,vlan_pcp=1 actions=strip_vlan",
		"table=0,vlan_vid=0x1005 actions=pop_vlan",
		"table=0,vlan_vid=0x1000/0x1000 actions=drop",
		"table=0,vlan_tci=0 actions=drop",
		"table=0,dl_vlan_pcp=3 actions=drop",
		"table=0,vlan_tci=0x1000/0x1000 actions=drop",
		"table=0,nw_dst=192.0.2.1,ip actions=drop",
		"table=0,ip,ip_src=10.1.2.3/8,ip_dst=10.1.2.3/255.0.0.255 actions=drop",
		"table=0,ip,ip_dscp=5 actions=drop",
		"table=0,ip,nw_tos=20,ip_ecn=1 actions=drop",
		"table=0,dl_type=0x0800,ip_proto=17,udp_src=5 actions=drop",
		"table=0,ip,ip_frag=first actions=drop",
		"table=0,ip,nw_dst=* actions=drop",
		"table=0,ipv6,ipv6_src=2001:DB8::1/32 actions=drop",
		"table=0,tcp,tcp_src=80,tcp_dst=0x50/0xfff0 actions=drop",
		"table=0,tcp,tcp_flags=+syn-ack actions=drop",
		"table=0,tcp,tcp_flags=0x2/0x12 actions=drop",
		"table=0,tcp,tcp_flags=syn|ack actions=drop",
		"table=0,sctp6,sctp_dst=9 actions=drop",
		"table=0,icmp,tp_src=8,tp_dst=0 actions=drop",
		"table=0,icmp6,icmp_type=135,nd_target=2001:db8::1 actions=drop",
		"table=0,arp,nw_src=192.0.2.1,nw_proto=2 actions=drop",
		"table=0,arp,arp_op=1,arp_tpa=192.0.2.0/24 actions=set_field:2->arp_op",
		"table=0,tcp actions=set_field:80->tcp_dst,load:0x50->NXM_OF_TCP_SRC[]",
		"table=0,tcp6 actions=load:0x2->NXM_NX_IPV6_SRC[0..63],load:1->NXM_NX_IP_ECN[0]",
		"table=0,ip actions=mod_nw_tos:8,set_field:3->ip_dscp,set_field:9->nw_ttl",
		"table=0,ip actions=mod_vlan_vid:5,mod_vlan_pcp:3,mod_nw_ecn:1,mod_nw_ttl:3",
		"table=0,cookie=0x5,idle_timeout=5,hard_timeout=9,priority=1 actions=dec_ttl",
		"cookie=0x0, duration=1.5s, table=0, n_packets=1, n_bytes=9, arp actions=NORMAL",
	};

	batch.options = "-F NXM+table_id";
	batch.texts = texts;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct error err = ERROR_INIT;

		if (rule_parse(texts[i], strlen(texts[i]), FLOW_MOD_ADD, NULL,
			       &batch.specs[batch.n], &err))
			fail_msg("%s: %s", texts[i], err.text);
		batch.n++;
	}
	batch_compare();
	batch_clear();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nxm),
		cmocka_unit_test(test_openflow13),
		cmocka_unit_test(test_spellings),
	};

	if (system("ovs-ofctl --version >/dev/null 2>&1") != 0) {
		printf("skipped: ovs-ofctl is not there (Debian package openvswitch-common)\n");
		return SKIP;
	}
	return cmocka_run_group_tests_name("ovs_syntax", tests, NULL, NULL);
}
