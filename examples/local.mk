# SPDX-License-Identifier: BSD-2-Clause
# examples/: rule scripts for `vswitchctl add-flows` and a domain for libvirt, installed for reading
# and copying

examples = \
	examples/containers.flows \
	examples/firewall.flows \
	examples/learning-switch.flows \
	examples/vlans.flows \
	examples/vm.xml

examplesdir = $(pkgdatadir)/examples
dist_examples_DATA = $(examples)
