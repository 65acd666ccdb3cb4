/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/vlan_bitmap.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *text;
	const char *again; /* as printed; NULL: refused */
} cases[] = {
	{"", ""},
	{"5", "5"},
	{"0,5,9-12", "0,5,9-12"},
	{"12,9-11,5", "5,9-12"},
	{"0-4094", "0-4094"},
	{"5,5", "5"},
	{"63,64", "63-64"},
	{"4095", NULL},
	{"5-", NULL},
	{"-5", NULL},
	{"9-5", NULL},
	{"5,", NULL},
	{",5", NULL},
	{"5,,6", NULL},
	{"5 6", NULL},
	{"0x5", NULL},
	{"99999999999999999999", NULL},
	{"five", NULL},
};

static void test_text(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vlan_bitmap vlans;
		struct error err = ERROR_INIT;
		char text[64];
		int rc = vlan_bitmap_parse(cases[i].text, &vlans, &err);

		assert_int_equal(rc, cases[i].again ? 0 : -EINVAL);
		assert_int_equal(rc == 0, err.text[0] == '\0');
		if (rc) {
			assert_true(vlan_bitmap_is_empty(&vlans));
			continue;
		}
		assert_int_equal(vlan_bitmap_format(&vlans, text, sizeof(text)),
				 strlen(cases[i].again));
		assert_string_equal(text, cases[i].again);
	}
}

static void test_has(void **state UNUSED)
{
	struct vlan_bitmap vlans;

	assert_int_equal(vlan_bitmap_parse("0,100-199", &vlans, NULL), 0);
	assert_false(vlan_bitmap_is_empty(&vlans));
	for (unsigned int vlan = 0; vlan <= VLAN_MAX; vlan++)
		assert_int_equal(vlan_bitmap_has(&vlans, vlan),
				 vlan == 0 || (vlan >= 100 && vlan <= 199));
}

/* A buffer that is too small gets what fits, and the length is told all the same. */
static void test_cut(void **state UNUSED)
{
	struct vlan_bitmap vlans;
	char text[6];

	assert_int_equal(vlan_bitmap_parse("1,3,5,7", &vlans, NULL), 0);
	assert_int_equal(vlan_bitmap_format(&vlans, NULL, 0), 7);
	assert_int_equal(vlan_bitmap_format(&vlans, text, sizeof(text)), 7);
	assert_string_equal(text, "1,3,5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_has),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests_name("vlan_bitmap", tests, NULL, NULL);
}
