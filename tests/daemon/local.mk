# SPDX-License-Identifier: BSD-2-Clause
# tests/daemon/: the real daemon on in-memory ports, no root; one script a subject

daemon_tests += tests/daemon/examples.sh
daemon_tests += tests/daemon/test_commands.py
daemon_tests += tests/daemon/test_control.py
daemon_tests += tests/daemon/test_persistence.py
daemon_tests += tests/daemon/test_traffic.py
daemon_tests += tests/daemon/test_vhost.py

if LIBVIRT
daemon_tests += tests/daemon/test_libvirt.py
endif

EXTRA_DIST += tests/daemon/harness.py tests/daemon/test_libvirt.py
