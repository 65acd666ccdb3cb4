#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# more packets than the way out takes, between AF_PACKET ports; see overload.c
exec "$top_builddir/tests/system/overload" packet
