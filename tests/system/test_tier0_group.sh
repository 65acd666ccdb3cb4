#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# sets of output ports in the kernel's maps; see tier0_group.c
exec "$top_builddir/tests/system/tier0_group"
