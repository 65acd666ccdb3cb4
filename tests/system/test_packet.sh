#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Packet ports, in network namespaces of their own; see packet.c
exec "$top_builddir/tests/system/packet"
