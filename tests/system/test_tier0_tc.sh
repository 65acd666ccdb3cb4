#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# tier 0 by tc against user space, on a real veth; see tier0_tc.c
exec "$top_builddir/tests/system/tier0_tc"
