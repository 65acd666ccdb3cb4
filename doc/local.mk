# SPDX-License-Identifier: BSD-2-Clause
# doc/: man pages: one line each, dist_man_MANS += doc/NAME.SECTION

dist_man_MANS += doc/vswitch-flows.7
dist_man_MANS += doc/vswitchd.8

# the list of commands comes from vswitchctl's own table
man_MANS = doc/vswitchctl.8
EXTRA_DIST += doc/vswitchctl.8.in
CLEANFILES += doc/vswitchctl.8 doc/commands.roff doc/scripts.roff

noinst_PROGRAMS += doc/command_list
doc_command_list_SOURCES = doc/command_list.c
doc_command_list_LDADD = ctl/libctl.a lib/libvs.a $(JANSSON_LIBS)

doc/vswitchctl.8: doc/vswitchctl.8.in doc/command_list$(EXEEXT)
	$(AM_V_GEN)doc/command_list >doc/commands.roff && \
	doc/command_list scripts >doc/scripts.roff && \
	sed -e '/^@COMMANDS@$$/{' -e 'r doc/commands.roff' -e 'd' -e '}' \
		-e '/^@SCRIPT_COMMANDS@$$/{' -e 'r doc/scripts.roff' -e 'd' -e '}' \
		'$(srcdir)/doc/vswitchctl.8.in' >$@.tmp && mv $@.tmp $@
