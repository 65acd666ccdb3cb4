# SPDX-License-Identifier: BSD-2-Clause
# tests/daemon/: the real daemon on in-memory ports, no root; one script a subject

daemon_tests +=
daemon_tests += tests/daemon/examples.sh
