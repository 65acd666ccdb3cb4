# SPDX-License-Identifier: BSD-2-Clause
# doc/: man pages: one line each, dist_man_MANS += doc/NAME.SECTION
