# SPDX-License-Identifier: BSD-2-Clause
# doc/: man pages: one line each, dist_man_MANS += doc/NAME.SECTION

dist_man_MANS += doc/vswitch-flows.7
