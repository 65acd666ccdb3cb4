#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The kernel's tier under the daemon, with ports of type veth: tc programs
KIND=veth exec "${top_srcdir:-.}/tests/system/kernel_tier.sh" "$@"
