#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# veth ports, in network namespaces of their own; see veth.c
exec "$top_builddir/tests/system/veth"
