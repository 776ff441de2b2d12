"""MLflow's server, started by :mod:`kdsearch.tracking.ui.process` and ended when that ends.

``python -m kdsearch.tracking.ui.server`` takes the options of ``mlflow server``.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

from kdsearch.tracking.ui.process import END_SECONDS


def _end_with_parent() -> None:
    """Wait for the end of the input, which is the parent's, and end all of this session."""
    os.read(sys.stdin.fileno(), 1)  # a buffered read would hold a lock when the program ends
    # a parent that was killed outright has not ended it itself
    os.killpg(os.getpgrp(), signal.SIGTERM)
    time.sleep(END_SECONDS)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def main() -> None:
    """Serve until the parent ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.argv[:] = ["mlflow", "server", *sys.argv[1:]]
    runpy.run_module("mlflow", run_name="__main__")


if __name__ == "__main__":
    main()
