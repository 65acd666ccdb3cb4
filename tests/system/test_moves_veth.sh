#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# an address moves under traffic, between containers; see moves.c
exec "$top_builddir/tests/system/moves" veth
