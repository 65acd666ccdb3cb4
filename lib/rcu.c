/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/rcu.h"

char rcu_grace_tag;

static void run_deferred(struct rcu_head *head)
{
	struct rcu_deferred *d = container_of(head, struct rcu_deferred, head);

	RCU_TSAN_ACQUIRE(d);
	RCU_TSAN_ACQUIRE(&rcu_grace_tag);
	d->run(d);
	RCU_TSAN_RELEASE(&rcu_grace_tag);
}

void rcu_defer(struct rcu_deferred *d, void (*run)(struct rcu_deferred *d))
{
	d->run = run;
	RCU_TSAN_RELEASE(d);
	urcu_qsbr_call_rcu(&d->head, run_deferred);
}

void rcu_drain(void)
{
	urcu_qsbr_barrier();
	RCU_TSAN_ACQUIRE(&rcu_grace_tag);
}
