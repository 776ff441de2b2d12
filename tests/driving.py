"""A driver in a process of its own; no Ray is imported here, which reads the environment once."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path


def drive(
    environment: dict[str, str],
    folder: Path,
    name: str,
    address: str,
    resume: bool,
    *changes: str,
) -> None:
    """Run a study of the folder's spec as far as it gets, with these variables beside its own."""
    os.environ.update(environment)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    import kdsearch

    spec = kdsearch.load_spec("space.yaml", [f"study.name={name}", *changes])
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        kdsearch.run_study(spec, resume=resume, address=address)
