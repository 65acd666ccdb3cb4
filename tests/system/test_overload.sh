#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# more packets than the way out takes: each is found again, as received or as a counted drop; overload.c
exec "$top_builddir/tests/system/overload"
