"""A Ray of their own for the tests that run studies in their own process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kdsearch.execution.connection.session import ray_session
from kdsearch.spec import load_spec


@contextmanager
def ray_in(folder: Path) -> Iterator[None]:
    """A Ray whose workers find the folder's modules, for the studies of this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        with ray_session(load_spec(Path("space.yaml")), None):
            yield
