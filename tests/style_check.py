#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Each rule of tests/style-check refuses what breaks it, and a clean tree passes."""

import os
import subprocess
import tempfile
import unittest

CHECK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "style-check")
SPDX = "/* SPDX-License-Identifier: BSD-2-Clause */\n"
KERNEL_SPDX = "/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */\n"
ESSAY = "/*\n * What it is.\n * Who may call it.\n */\n"
LOCAL_MK = "# SPDX-License-Identifier: BSD-2-Clause\nsources = "


class StyleCheck(unittest.TestCase):
    def check(self, files):
        """Run the check over a tree of {path: text}; returns (exit status, output)."""
        with tempfile.TemporaryDirectory() as tree:
            listed = LOCAL_MK + " ".join(files) + "\n"
            for path, text in {"lib/local.mk": listed, **files}.items():
                path = os.path.join(tree, path)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8") as f:
                    f.write(text)
            done = subprocess.run([CHECK, tree], stdout=subprocess.PIPE, text=True, check=False)
            return done.returncode, done.stdout

    def refused(self, path, text, word):
        status, output = self.check({path: text})
        self.assertEqual(status, 1, output)
        self.assertIn(word, output)
        self.assertIn(" 1 refused", output)

    def accepted(self, files):
        status, output = self.check(files)
        self.assertEqual(status, 0, output)
        self.assertIn(" 0 refused", output)

    def test_clean(self):
        self.accepted({
            "lib/a.h": SPDX + "#ifndef LIB_A_H\n#define LIB_A_H\n" + ESSAY + "#endif\n",
            "bpf/k.bpf.c": KERNEL_SPDX + '#include "bpf/k.h"\n',
            "bpf/k.h": KERNEL_SPDX + ESSAY,
            "vswitchd/main.c": SPDX + '#include "openflow/rule.h"\n#include "ctl/rpc.h"\n'
                                      "#include <bpf/libbpf.h>\n",
            "tests/unit/test_a.c": SPDX + '#include "datapath/port_priv.h"\n',
            "datapath/a.c": SPDX + '#include "datapath/port_priv.h"\n#include "vhost/vring.h"\n',
        })

    def test_arrows(self):
        for room, other in (("lib", "datapath"), ("bpf", "datapath"), ("datapath", "openflow"),
                            ("vhost", "datapath"), ("openflow", "vswitchd"), ("ctl", "openflow"),
                            ("vswitchd", "tests"), ("lib", "tests"), ("openflow", "ctl")):
            self.refused(f"{room}/a.c", SPDX + f'#include "{other}/b.h"\n', "must not know")

    def test_includes_from_the_top(self):
        self.refused("lib/a.c", SPDX + '#include "a.h"\n', "from the top")
        self.refused("lib/a.c", SPDX + '#include "../lib/a.h"\n', "from the top")
        self.refused("openflow/a.c", SPDX + "#include <datapath/port.h>\n", "is ours")

    def test_private_header(self):
        self.refused("openflow/a.c", SPDX + '#include "datapath/port_priv.h"\n', "private to")

    def test_licence(self):
        self.refused("lib/a.c", "int a;\n", "SPDX")
        self.refused("bpf/a.bpf.c", SPDX, "GPL-2.0-only OR")
        self.refused("lib/a.c", KERNEL_SPDX, "SPDX")
        self.refused("tests/a.sh", "#!/bin/bash\necho\n", "SPDX")

    def test_essay(self):
        self.refused("lib/a.h", SPDX + "int a(void);\n", "opens with a comment")
        self.refused("lib/a.h", SPDX + "/* short */\nint a(void);\n", "opens with a comment")

    def test_layout(self):
        self.refused("lib/a.c", SPDX + "//" + 99 * "x" + "\n", "longer than")
        self.refused("lib/a.c", SPDX + "\t" * 12 + "int a;\n", "longer than")
        self.refused("lib/a.c", SPDX + "int a; \n", "blanks")
        self.refused("lib/a.c", SPDX + "    int a;\n", "tabs")

    def test_unlisted(self):
        status, output = self.check({"lib/a.c": SPDX, "lib/local.mk": LOCAL_MK + "\n"})
        self.assertEqual(status, 1)
        self.assertIn("no local.mk lists", output)

    def test_size_warns(self):
        body = "int f(void)\n{\n" + "\tf();\n" * 800 + "}\n"
        status, output = self.check({"lib/a.c": SPDX + body})
        self.assertEqual(status, 0)
        self.assertIn("2 warnings", output)


if __name__ == "__main__":
    unittest.main()
