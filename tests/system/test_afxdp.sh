#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# AF_XDP ports, in network namespaces of their own; see afxdp.c
exec "$top_builddir/tests/system/afxdp"
