#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
KIND=veth exec bash "${top_srcdir:-.}/tests/system/kernel_tier_jumbo.sh" "$@"
