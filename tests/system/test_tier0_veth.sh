#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# hot flows in the kernel, from container to container; see tier0.c
exec "$top_builddir/tests/system/tier0" veth
