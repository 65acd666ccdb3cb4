/* SPDX-License-Identifier: BSD-2-Clause */
#include "openflow/ofaction.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void ofaction_list_init(struct ofaction_list *list)
{
	list->actions = NULL;
	list->n = 0;
}

void ofaction_list_uninit(struct ofaction_list *list)
{
	free(list->actions);
	ofaction_list_init(list);
}

/* The array has room for the next power of two: it is full when n is one. */
int ofaction_list_append(struct ofaction_list *list, const struct ofaction *action)
{
	if (list->n >= OFACTION_LIST_MAX)
		return -E2BIG;
	if ((list->n & (list->n - 1)) == 0) {
		size_t capacity = list->n ? 2 * (size_t)list->n : 1;
		struct ofaction *actions;

		actions = realloc(list->actions, capacity * sizeof(*actions));
		if (!actions)
			return -ENOMEM;
		list->actions = actions;
	}
	list->actions[list->n++] = *action;
	return 0;
}

int ofaction_list_clone(struct ofaction_list *to, const struct ofaction_list *from)
{
	ofaction_list_init(to);
	for (uint32_t i = 0; i < from->n; i++) {
		int err = ofaction_list_append(to, &from->actions[i]);

		if (err) {
			ofaction_list_uninit(to);
			return err;
		}
	}
	return 0;
}

/* Only the members that the type uses count. */
static bool ofaction_equals(const struct ofaction *a, const struct ofaction *b)
{
	if (a->type != b->type)
		return false;
	switch ((enum ofaction_type)a->type) {
	case OFACTION_OUTPUT:
		return a->port == b->port;
	case OFACTION_SET_FIELD:
		return a->field == b->field && memcmp(&a->set, &b->set, sizeof(a->set)) == 0;
	case OFACTION_PUSH_VLAN:
		return a->tpid == b->tpid;
	case OFACTION_STRIP_VLAN:
	case OFACTION_DEC_TTL:
		break;
	}
	return true;
}

bool ofaction_list_equals(const struct ofaction_list *a, const struct ofaction_list *b)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++) {
		if (!ofaction_equals(&a->actions[i], &b->actions[i]))
			return false;
	}
	return true;
}
