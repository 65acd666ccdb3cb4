# SPDX-License-Identifier: BSD-2-Clause
# bpf/: what runs in the kernel, and how it gets there
#
# A program bpf/X.bpf.c is one line in bpf_programs; it becomes bpf/X.bpf.o and the skeleton
# bpf/X.skel.h, both in the build folder. Whoever includes the skeleton finds it made.

bpf_programs = bpf/vswitch_tc.bpf.c bpf/vswitch_xdp.bpf.c

noinst_LIBRARIES += bpf/libbpfload.a
bpf_libbpfload_a_SOURCES = \
	bpf/flow_key.h \
	bpf/flow_parse.h \
	bpf/pin_dir.c \
	bpf/pin_dir.h \
	bpf/pinned_xdp.h \
	bpf/tier0.h \
	bpf/tier0_csum.h \
	bpf/tier0_maps.c \
	bpf/tier0_maps.h \
	bpf/tier0_tc.h \
	bpf/tier0_xdp.h \
	bpf/tc_port.h \
	bpf/tc_prog.c \
	bpf/tc_prog.h \
	bpf/xdp_host.h \
	bpf/xdp_message.c \
	bpf/xdp_message.h \
	bpf/xdp_prog.c \
	bpf/xdp_prog.h \
	bpf/xdp_prog_pin.c \
	bpf/xdp_prog_priv.h

bpf_objects = $(bpf_programs:.bpf.c=.bpf.o)
bpf_skeletons = $(bpf_programs:.bpf.c=.skel.h)

BUILT_SOURCES += $(bpf_skeletons)
CLEANFILES += $(bpf_objects) $(bpf_skeletons) $(bpf_programs:.bpf.c=.bpf.d)
EXTRA_DIST += $(bpf_programs)

bpf_v_cc = $(bpf_v_cc_$(V))
bpf_v_cc_ = $(bpf_v_cc_$(AM_DEFAULT_VERBOSITY))
bpf_v_cc_0 = @echo "  BPF     " $@;
bpf_v_skel = $(bpf_v_skel_$(V))
bpf_v_skel_ = $(bpf_v_skel_$(AM_DEFAULT_VERBOSITY))
bpf_v_skel_0 = @echo "  SKEL    " $@;

# llvm-strip -g drops DWARF and keeps BTF, which the loader and the verifier's messages use
bpf/%.bpf.o: bpf/%.bpf.c
	@$(MKDIR_P) bpf
	$(bpf_v_cc)$(CLANG) $(BPF_CFLAGS) -I$(top_srcdir) $(LIBBPF_CFLAGS) \
		-MMD -MP -MF $(@:.o=.d) -MT $@ -c $< -o $@.tmp && \
		$(LLVM_STRIP) -g $@.tmp && mv $@.tmp $@

bpf/%.skel.h: bpf/%.bpf.o
	$(bpf_v_skel)$(BPFTOOL) gen skeleton $< name $(*F)_bpf >$@.tmp && mv $@.tmp $@

# made on the way to the skeleton, kept all the same
.SECONDARY: $(bpf_objects)

$(bpf_libbpfload_a_OBJECTS) $(datapath_libdatapath_a_OBJECTS): | $(bpf_skeletons)

-include $(wildcard bpf/*.bpf.d)
