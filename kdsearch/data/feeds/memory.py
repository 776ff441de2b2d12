"""How much memory there is to hold images in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from kdsearch.errors import DataError

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")

_OTHER: ContextVar[tuple[int, bool] | None] = ContextVar("other domain", default=None)
"""Bytes of another domain that is in memory, and whether ``image_size`` is of both."""


def memory_bytes() -> int:
    """Memory of the machine, or of the container that this process is in (Linux, macOS)."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if not _CGROUP_LIMIT.is_file():
        return physical
    limit = _CGROUP_LIMIT.read_text().strip()
    return min(physical, int(limit)) if limit.isdigit() else physical


def fits_memory(samples: int, height: int, width: int) -> bool:
    """Whether uint8 [samples, 3, height, width] takes at most half of the memory.

    Half of it is the bound because the splits are copied out of the decoded images. What another
    domain holds counts too.
    """
    return _held() + samples * 3 * height * width <= memory_bytes() / 2


@contextmanager
def beside_domain(held: int, sized: bool) -> Iterator[None]:
    """While the data of a second domain are read, beside the first one's.

    Args:
        held: Bytes of the first domain.
        sized: Whether ``data.image_size`` says how large the images of both are.
    """
    token = _OTHER.set((held, sized))
    try:
        yield
    finally:
        _OTHER.reset(token)


def refuse_second_domain() -> None:
    """Refuse images that do not fit, where they are a second domain's.

    Raises:
        DataError: They are.
    """
    other = _OTHER.get()
    if other is not None:
        raise no_room(other[1])


def check_second_domain(more: int) -> None:
    """Refuse the bytes of a second domain that do not fit beside the first one's.

    Raises:
        DataError: Both take more than half of the memory.
    """
    if _held() + more > memory_bytes() / 2:
        refuse_second_domain()


def no_room(sized: bool) -> DataError:
    """What to tell where two domains do not fit; ``sized`` as :func:`beside_domain` has it."""
    advice = "give fewer or smaller images, as arrays"
    if sized:
        advice = "lower data.image_size, or leave images out"
    return DataError(f"the images of both domains must have room in half of the memory; {advice}")


def _held() -> int:
    other = _OTHER.get()
    return 0 if other is None else other[0]
