#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# TAP and internal ports, in network namespaces of their own; see tap.c
exec "$top_builddir/tests/system/tap"
