# SPDX-License-Identifier: BSD-2-Clause
# tests/bench/: `make bench` (root); BENCH="NAME ..." runs only these, BENCH_FLAGS go to run.py
#
# Nothing here is built by `make` or `make check`.

bench_scripts = tests/bench/run.py tests/bench/lab.py tests/bench/contenders.py \
	tests/bench/report.py tests/bench/workload.py tests/bench/forward.py \
	tests/bench/classify.py tests/bench/containers.py tests/bench/control.py tests/bench/vhost.py \
	tests/bench/vhost_contenders.py tests/bench/vm_container.py tests/bench/vm_qemu.py \
	tests/bench/kernel_tier.py tests/bench/kill.py
bench_programs = tests/bench/trafficgen tests/bench/classify tests/bench/connect \
	tests/bench/vhost_forward tests/bench/vhost_guests tests/bench/vhost_tap \
	tests/bench/tier0_cost
EXTRA_PROGRAMS += $(bench_programs)
EXTRA_DIST += $(bench_scripts) tests/bench/trafficgen.bpf.c
CLEANFILES += $(bench_programs) tests/bench/trafficgen.bpf.o tests/bench/trafficgen.skel.h \
	tests/bench/trafficgen.bpf.d

tests_bench_trafficgen_SOURCES = tests/bench/trafficgen.c tests/bench/trafficgen.h \
	tests/bench/thread_time.c tests/bench/thread_time.h
tests_bench_trafficgen_LDADD = $(LIBBPF_LIBS)

tests_bench_connect_SOURCES = tests/bench/connect.c
tests_bench_connect_LDADD =

# the switch itself, by the default LDADD
tests_bench_classify_SOURCES = tests/bench/classify.c tests/bench/thread_time.c \
	tests/bench/thread_time.h

tests_bench_tier0_cost_SOURCES = tests/bench/tier0_cost.c

tests/bench/%.bpf.o: tests/bench/%.bpf.c
	@$(MKDIR_P) tests/bench
	$(bpf_v_cc)$(CLANG) $(BPF_CFLAGS) -I$(top_srcdir) $(LIBBPF_CFLAGS) \
		-MMD -MP -MF $(@:.o=.d) -MT $@ -c $< -o $@.tmp && \
		$(LLVM_STRIP) -g $@.tmp && mv $@.tmp $@

tests/bench/%.skel.h: tests/bench/%.bpf.o
	$(bpf_v_skel)$(BPFTOOL) gen skeleton $< name $(*F) >$@.tmp && mv $@.tmp $@

# made on the way to the skeleton, kept all the same
.SECONDARY: tests/bench/trafficgen.bpf.o

$(tests_bench_trafficgen_OBJECTS): | tests/bench/trafficgen.skel.h
$(tests_bench_tier0_cost_OBJECTS): | $(bpf_skeletons)

-include $(wildcard tests/bench/*.bpf.d)

PHONY_TARGETS += bench
bench: all $(bench_programs)
	PYTHONDONTWRITEBYTECODE=1 $(PYTHON3) $(top_srcdir)/tests/bench/run.py \
		--builddir $(top_builddir) $(BENCH_FLAGS) $(BENCH)

# vhost/ without a switch around it, see the head of each; the rings alone only by hand
tests_bench_vhost_forward_SOURCES = tests/bench/vhost_forward.c
tests_bench_vhost_guests_SOURCES = tests/bench/vhost_guests.c $(vhost_driver)
tests_bench_vhost_tap_SOURCES = tests/bench/vhost_tap.c $(vhost_driver)
EXTRA_PROGRAMS += tests/bench/vhost_rings
CLEANFILES += tests/bench/vhost_rings
tests_bench_vhost_rings_SOURCES = tests/bench/vhost_rings.c $(vhost_driver)
