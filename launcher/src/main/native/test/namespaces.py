"""For tests that mount: namespaces of their own, which end with them."""

import os
import sys
from pathlib import Path


def enter():
    """Starts the program anew in mount and pid namespaces, once. Returns its first argument, the build directory."""
    if os.geteuid() != 0:
        sys.exit(f"{Path(sys.argv[0]).name}: must run as root: it mounts")
    if "LAYERCAKE_TEST_INSIDE" not in os.environ:
        os.environ["LAYERCAKE_TEST_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--pid", "--fork", "--kill-child",
                              "--mount-proc", "--propagation", "private", sys.executable, *sys.argv])
    return Path(sys.argv.pop(1)).resolve()
