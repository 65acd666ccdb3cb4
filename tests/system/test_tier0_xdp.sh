#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# what tier 0 does with packets against what user space does; see tier0_xdp.c
exec "$top_builddir/tests/system/tier0_xdp"
