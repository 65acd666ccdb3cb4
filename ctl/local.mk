# SPDX-License-Identifier: BSD-2-Clause
# ctl/: the control protocol (client half) and the vswitchctl commands

noinst_LIBRARIES += ctl/libctl.a
ctl_libctl_a_SOURCES =

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
