# SPDX-License-Identifier: BSD-2-Clause
# tests/vm/: real guests under a private libvirtd, root; one script a subject. A guest boots in 5 s, so
# each script boots its guests once for all its scenarios, and scripts run side by side with -j2.

vm_tests += tests/vm/test_libvirt.py
vm_tests += tests/vm/test_life.py
vm_tests += tests/vm/test_traffic.py
vm_tests += tests/vm/test_migration.py
vm_tests += tests/vm/test_library.py
vm_tests += tests/vm/old_kernel.sh
vm_programs = tests/bench/vhost_forward

EXTRA_DIST += tests/vm/world.py tests/vm/guest.py tests/vm/bed.py tests/vm/build_guest.sh \
	tests/vm/guest_init.sh tests/vm/old_kernel_guest.sh tests/vm/old_kernel_init.sh
