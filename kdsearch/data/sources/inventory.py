"""What a folder or table of images holds: every file as used or as skipped, and why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

HIDDEN = "the name begins with a dot"
SYSTEM_MADE = "made by a system, not yours"
NO_IMAGE = "no image"
CONVERT = "cannot be read: convert to .jpg or .png"
NO_SUFFIX = "add .jpg or the like if it is an image"
BROKEN_LINK = "a link that leads nowhere"
NO_FILE = "no regular file"
LOOP = "a link to a folder that is read already"
NO_CLASS = "in no class folder: move it into one"
NO_SPLIT = "beside the splits: in none of them"

SYSTEM_FOLDERS = frozenset(
    {
        "@eadir",
        "#recycle",
        "@recycle",
        "#snapshot",
        "$recycle.bin",
        "system volume information",
        "__macosx",
        "lost+found",
        "__pycache__",
    }
)
"""Folders that storages and systems put among one's own, in lower case."""

SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})
"""Files likewise."""

UNREAD = re.compile(
    r"\.(heic|heif|jxl|svg|psd|psb|xcf|raw|cr2|cr3|nef|arw|dng|orf|rw2|raf|exr|hdr|ico|cur|icns|eps|"
    r"pdf|dds|pcx|sgi|qoi|dcm|nii|webp|avifs?|jp2|j2k|jpx|mp4|mov|avi|mkv|webm)"
)
"""Suffixes of images and videos that are not read."""


@dataclass(frozen=True)
class Skipped:
    """Files that are left out for one reason.

    Attributes:
        what: A suffix, a file's or a folder's name.
        reason: Why, and what to do, in a few words.
        count: How many there are.
    """

    what: str
    reason: str
    count: int


@dataclass(frozen=True)
class ClassFiles:
    """The files of one class.

    Attributes:
        name: The class.
        used: Images of it in each folder that is read, by the folder's name.
        skipped: What else lies in its folders.
    """

    name: str
    used: Mapping[str, int]
    skipped: tuple[Skipped, ...] = ()

    @property
    def total(self) -> int:
        """All images of the class."""
        return sum(self.used.values())


@dataclass(frozen=True)
class Inventory:
    """Every file under ``data.root``, used or skipped; of a table, every file that it names.

    Attributes:
        folders: Names of the folders that are read: those of the splits, or one without a name.
        classes: The files of each class.
        beside: Files that lie in no class folder.
        splits: Where each split comes from, in words.
        of_folders: Whether ``folders`` are folders; else they are the splits of a table.
    """

    folders: tuple[str, ...]
    classes: tuple[ClassFiles, ...]
    beside: tuple[Skipped, ...]
    splits: Mapping[str, str]
    of_folders: bool = True

    @property
    def used(self) -> int:
        """Images that are used."""
        return sum(each.total for each in self.classes)

    @property
    def skipped(self) -> int:
        """Files that are left out."""
        lists = [each.skipped for each in self.classes] + [self.beside]
        return sum(one.count for those in lists for one in those)


def as_skipped(counts: Counter[tuple[str, str]]) -> tuple[Skipped, ...]:
    """Counts by (what, reason), the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Skipped(what, reason, count) for (what, reason), count in ordered)


def is_system_made(name: str) -> bool:
    """Whether a folder's name is one that systems make."""
    return name.lower() in SYSTEM_FOLDERS


def why_skipped(name: str) -> tuple[str, str]:
    """What a file that is not read counts as, and why, by its name."""
    if name.lower() in SYSTEM_FILES:
        return name.strip(), SYSTEM_MADE
    if name.startswith("."):
        return "hidden", HIDDEN
    suffix = PurePath(name).suffix.lower()
    if not suffix:
        return "without a suffix", NO_SUFFIX
    return suffix, CONVERT if UNREAD.fullmatch(suffix) else NO_IMAGE
