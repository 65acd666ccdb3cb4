#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
KIND=veth OPTION=hook=clsact exec bash "${top_srcdir:-.}/tests/system/survive.sh" "$@"
