"""What is wrong with image files, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from kdsearch.data.sources.names import shown_path
from kdsearch.errors import LISTED, one_line

MOST_TOLD = 10
"""Files that a message names; the others are counted."""


class ImageError(Exception):
    """An image file that cannot be used: what it is, and what to do about it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy


@dataclass(frozen=True)
class Trouble:
    """A file that cannot be taken.

    Attributes:
        error: What is wrong with it; ``None`` where only its size differs.
        sides: Its (height, width) then.
    """

    file: Path
    error: ImageError | None
    sides: tuple[int, int] | None = None


def broken(file: Path, error: Exception) -> ImageError:
    """What a decoder's exception says about a file, whichever it is."""
    if isinstance(error, OSError) and error.strerror:
        return ImageError(f"cannot be read ({error.strerror})", "make it readable or remove it")
    if _is_empty(file):
        reason = "the file is empty"
    elif isinstance(error, UnidentifiedImageError):
        reason = "it holds no image that Pillow knows"
    elif isinstance(error, Image.DecompressionBombError):
        return ImageError("has too many pixels", "make it smaller")
    else:
        said = "" if isinstance(error, KeyError) else one_line(error)[:120]
        reason = said or type(error).__name__
    return ImageError(f"cannot be decoded ({reason})", "replace or remove it")


def told(
    troubles: Sequence[Trouble],
    total: int,
    like: Path | None = None,
    sides: tuple[int, int] | None = None,
) -> str:
    """All troubles of ``total`` files in one message.

    Args:
        troubles: At least one.
        total: Files that were looked at.
        like: The image whose size all must have.
        sides: Its (height, width).
    """
    unusable = [(each.file, each.error) for each in troubles if each.error]
    others = [(each.file, each.sides) for each in troubles if each.sides]
    parts = []
    if others and like is not None and sides is not None:
        (file, own), more = others[0], len(others) - 1
        also = f" ({more} more differ from it)" if more else ""
        parts.append(
            f"{shown_path(file)} is {own[0]}×{own[1]} and {shown_path(like)} is "
            f"{sides[0]}×{sides[1]} pixels{also}; set data.image_size"
        )
    if unusable:
        parts.append(_unusable(unusable, total))
    return "; ".join(parts)


def _unusable(found: Sequence[tuple[Path, ImageError]], total: int) -> str:
    if len(found) == 1:
        file, error = found[0]
        return f"{shown_path(file)} {error}"
    remedies = {error.remedy for _, error in found}
    alike = remedies.pop().replace(" it", " them") if len(remedies) == 1 else ""
    lines = [f"{len(found)} of {total} images cannot be used{'; ' if alike else ''}{alike}:"]
    for file, error in found[:MOST_TOLD]:
        lines.append(f"{shown_path(file)} {error.what if alike else error}")
    if len(found) > MOST_TOLD:
        lines.append(f"and {len(found) - MOST_TOLD} more")
    return LISTED.join(lines)


def _is_empty(file: Path) -> bool:
    try:
        return file.stat().st_size == 0
    except OSError:
        return False
