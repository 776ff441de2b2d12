"""Names of any bytes: printable, and no two alike."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kdsearch.data import load_dataset
from kdsearch.data.sources.names import distinct, printable
from kdsearch.spec.sections import DataSection


def test_bytes_that_are_no_utf8_are_escaped() -> None:
    assert printable("ant") == "ant"
    assert printable("grün 猫") == "grün 猫"
    assert printable(os.fsdecode(b"gr\xfcn")) == "gr\\xfcn"
    assert printable("a\nb\x1b[2J") == "a\\nb\\x1b[2J"
    assert printable("gru\u0308n") == "grün"


def test_no_two_are_alike() -> None:
    names = [os.fsdecode(b"\xe9"), "\\xe9", "e\u0301", "é", "é (2)"]
    assert distinct(names) == ["\\xe9", "\\xe9 (2)", "é", "é (2)", "é (2) (2)"]


def test_class_folders_of_any_bytes(tmp_path: Path, write_image: Callable[..., Path]) -> None:
    for label, name in enumerate((b"caf\xe8", b"caf\xe9", "caf\u00e9".encode())):
        folder = tmp_path / os.fsdecode(name)
        for number in range(5):
            write_image(folder / f"{number}.png", np.full((6, 6, 3), label, np.uint8))
    data = load_dataset(DataSection(source="image_folder", root=tmp_path))
    assert set(data.classes) == {"café", "caf\\xe8", "caf\\xe9"}
    assert len(data.fingerprint) == 64
