#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# the XDP program's parser against user space's; see xdp_parse.c
exec "$top_builddir/tests/system/xdp_parse"
