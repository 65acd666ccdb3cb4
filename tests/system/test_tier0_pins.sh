#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# tables of hot flows that outlive their owner; see tier0_pins.c
exec "$top_builddir/tests/system/tier0_pins"
