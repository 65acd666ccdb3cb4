# SPDX-License-Identifier: BSD-2-Clause
# ctl/: the control protocol (client half) and the vswitchctl commands

noinst_LIBRARIES += ctl/libctl.a
ctl_libctl_a_SOURCES = \
	ctl/client.c \
	ctl/client.h \
	ctl/command.c \
	ctl/command.h \
	ctl/command_table.c \
	ctl/complete.c \
	ctl/print.h \
	ctl/print_config.c \
	ctl/print_counters.c \
	ctl/print_rules.c \
	ctl/print_vm.c \
	ctl/protocol.c \
	ctl/protocol.h \
	ctl/run.c \
	ctl/run.h \
	ctl/script.c \
	ctl/script.h \
	ctl/table.c \
	ctl/table.h

bin_PROGRAMS += ctl/vswitchctl
ctl_vswitchctl_SOURCES = ctl/main.c
ctl_vswitchctl_LDADD = ctl/libctl.a lib/libvs.a $(JANSSON_LIBS)

# bash looks for the completion of a command under the command's own name
EXTRA_DIST += ctl/vswitchctl.bash
completionsdir = $(datadir)/bash-completion/completions
install-data-local:
	$(MKDIR_P) '$(DESTDIR)$(completionsdir)'
	$(INSTALL_DATA) $(srcdir)/ctl/vswitchctl.bash '$(DESTDIR)$(completionsdir)/vswitchctl'
uninstall-local:
	rm -f '$(DESTDIR)$(completionsdir)/vswitchctl'
