# SPDX-License-Identifier: BSD-2-Clause
# tests/system/: network namespaces, root; one script a subject

system_tests +=
