"""Folders of images beyond the memory: decoded once, whole or not at all."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from kdsearch.data import Dataset, Views, load_dataset
from kdsearch.data.feeds import memory
from kdsearch.data.images import decoded
from kdsearch.errors import DataError
from kdsearch.models import of_images
from kdsearch.spec.sections import Augmentation, DataSection

Write = Callable[..., Path]
SPLITS = ("train", "validation", "test")


@pytest.fixture
def root(tmp_path: Path, write_image: Write) -> Path:
    """Three class folders of six random images each."""
    folder, generator = tmp_path / "images", np.random.default_rng(3)
    for name in ("ant", "bee", "cow"):
        for number in range(6):
            pixels = generator.integers(0, 256, (7, 8, 3), dtype=np.uint8)
            write_image(folder / name / f"{number}.png", pixels)
    return folder


@pytest.fixture
def scarce(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with too little memory for any image."""
    monkeypatch.setattr(memory, "memory_bytes", lambda: 10)


def load(root: Path, image_size: int | None = None) -> Dataset:
    return load_dataset(
        DataSection(source="image_folder", root=root, image_size=image_size, test=0.3)
    )


def files(root: Path) -> list[Path]:
    return sorted((root / ".kdsearch").glob("*.npy"))


def assert_equal(one: Dataset, other: Dataset) -> None:
    for name in SPLITS:
        mine, theirs = getattr(one, name), getattr(other, name)
        index = torch.arange(len(mine))
        assert torch.equal(mine.read(index).images, theirs.read(index).images)
        assert torch.equal(mine.labels, theirs.labels)
    assert (one.scales, one.classes) == (other.scales, other.classes)
    assert one.inputs == other.inputs
    assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize("image_size", [None, 5])
@pytest.mark.parametrize("halves", [False, True])
def test_the_data_set_is_the_one_in_memory(
    root: Path, monkeypatch: pytest.MonkeyPatch, halves: bool, image_size: int | None
) -> None:
    if halves:
        shutil.copytree(root, root / "test")
        shutil.copytree(root, root / "train", ignore=shutil.ignore_patterns("test", "0.png"))
    in_memory = load(root, image_size)
    # Exactly half of the memory fits, one byte more does not.
    size = sum(getattr(in_memory, name).nbytes for name in SPLITS)
    monkeypatch.setattr(memory, "memory_bytes", lambda: 2 * size)
    assert not load(root, image_size).train.mapped
    monkeypatch.setattr(memory, "memory_bytes", lambda: 2 * size - 1)
    mapped = load(root, image_size)
    assert all(getattr(mapped, name).mapped for name in SPLITS)
    assert_equal(mapped, in_memory)
    change = Augmentation(crop=2, flip=True, mixup=0.3)
    index = torch.arange(len(mapped.train))
    views = [Views(data.train, data.scales, change, 1) for data in (mapped, in_memory)]
    assert torch.equal(
        views[0].batch(index, 3).inputs["image"], views[1].batch(index, 3).inputs["image"]
    )


@pytest.mark.usefixtures("scarce")
def test_it_is_decoded_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(root)
    (file,) = files(root)
    monkeypatch.setattr(decoded, "decode_into", None)
    assert_equal(load(root), first)
    assert files(root) == [file]
    assert [path.suffix for path in sorted(file.parent.iterdir())] == [".lock", ".npy"]


@pytest.mark.usefixtures("scarce")
@pytest.mark.parametrize("change", ["content", "time", "new", "gone", "image_size", "name"])
def test_what_it_is_found_by(root: Path, write_image: Write, change: str) -> None:
    load(root)
    image = root / "bee" / "3.png"
    facts = image.stat()
    if change == "content":
        write_image(image, np.zeros((7, 8, 3), np.uint8))
        os.utime(image, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    elif change == "time":
        os.utime(image, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    elif change == "new":
        shutil.copy(image, root / "bee" / "7.png")
    elif change == "gone":
        image.unlink()
    elif change == "name":
        image.rename(root / "bee" / "8.png")
    again = load(root, 6 if change == "image_size" else None)
    assert len(files(root)) == 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "memory_bytes", lambda: 2**40)
        assert_equal(again, load(root, 6 if change == "image_size" else None))


def test_a_background_has_a_file_of_its_own(root: Path) -> None:
    images = sorted(root.rglob("*.png"))
    made = {decoded.decoded_file(images, None, root, colour) for colour in ("white", "black")}
    assert len(made) == len(files(root)) == 2


@pytest.mark.usefixtures("scarce")
def test_a_moved_folder_is_not_decoded_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(root).fingerprint
    monkeypatch.setattr(decoded, "decode_into", None)
    assert load(root.rename(tmp_path / "moved")).fingerprint == first


@pytest.mark.usefixtures("scarce")
@pytest.mark.parametrize("damage", ["torn", "longer header", "empty", "text"])
def test_a_torn_file_is_decoded_again(root: Path, damage: str) -> None:
    first = load(root).fingerprint
    (file,) = files(root)
    whole = file.read_bytes()
    np.save(file, np.zeros((2, 3, 4, 4), np.uint8))
    contents = {"torn": whole[:-5], "longer header": file.read_bytes(), "empty": b"", "text": b"x"}
    file.write_bytes(contents[damage])
    assert load(root).fingerprint == first
    assert file.read_bytes() == whole


_KILLED = """
import os, signal, sys
from pathlib import Path
from kdsearch.data import load_dataset
from kdsearch.data.feeds import memory
from kdsearch.data.images import decoded
from kdsearch.spec.sections import DataSection

def half(images, files, *_):
    images[: len(images) // 2] = 1
    os.kill(os.getpid(), signal.SIGKILL)

memory.memory_bytes = lambda: 10
decoded.decode_into = half
load_dataset(DataSection(source="image_folder", root=Path(sys.argv[1]), test=0.3))
"""


def test_a_killed_decoding_leaves_nothing_that_counts(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = load(root).fingerprint
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(root)], timeout=600)
    assert killed.returncode == -signal.SIGKILL
    assert files(root) == []
    assert len(list((root / ".kdsearch").glob(".*.partial"))) == 1
    monkeypatch.setattr(memory, "memory_bytes", lambda: 10)
    assert load(root).fingerprint == expected
    assert list((root / ".kdsearch").glob(".*.partial")) == []


@pytest.mark.usefixtures("scarce")
def test_two_at_a_time_decode_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decode_into, begun = decoded.decode_into, []

    def counted(*given: object) -> None:
        begun.append(given)
        decode_into(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(decoded, "decode_into", counted)
    images = sorted(root.rglob("*.png"))
    threads = [
        threading.Thread(target=decoded.decoded_file, args=(images, None, root)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(begun) == 1
    assert len(files(root)) == 1


@pytest.mark.usefixtures("scarce")
def test_a_broken_image_leaves_nothing(root: Path) -> None:
    (root / "cow" / "5.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"5\.png cannot be decoded"):
        load(root)
    assert [path.suffix for path in (root / ".kdsearch").iterdir()] == [".lock"]


@pytest.mark.usefixtures("scarce")
def test_a_folder_that_cannot_be_written_is_told(root: Path) -> None:
    (root / ".kdsearch").write_text("in the way")
    with pytest.raises(DataError, match=r"more than half of the memory .*which cannot be written"):
        load(root)


@pytest.mark.usefixtures("scarce")
def test_a_disk_without_room_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = 18 * 3 * 7 * 8
    free = SimpleNamespace(free=needed - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    with pytest.raises(DataError, match=r"18 images of 7×8 take 0\.0 GB there.* make room"):
        load(root)
    assert files(root) == []
    free.free = needed
    assert load(root).train.mapped


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system reserves no blocks")
@pytest.mark.usefixtures("scarce")
def test_the_room_is_taken_before_decoding(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def look(images: np.ndarray, *_: object) -> None:
        (partial,) = (root / ".kdsearch").glob(".*.partial")
        sizes.append((images.nbytes, partial.stat().st_blocks * 512))

    monkeypatch.setattr(decoded, "decode_into", look)
    load(root)
    ((size, taken),) = sizes
    assert taken >= size == 18 * 3 * 7 * 8


def test_real_images(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = real_data / "CIFAR-10-images.zip"
    if not archive.is_file():
        pytest.skip(f"{archive.name} is not there")
    with zipfile.ZipFile(archive) as opened:
        images = [name for name in opened.namelist() if name.endswith((".jpg", ".png"))]
        chosen = [name for name in images if "/train/" in name][::500]
        opened.extractall(tmp_path, chosen)
    root = (tmp_path / chosen[0]).parents[1]
    in_memory = load(root)
    assert in_memory.inputs == of_images((3, 32, 32))
    assert len(in_memory.classes) == 10
    monkeypatch.setattr(memory, "memory_bytes", lambda: 10)
    assert_equal(load(root), in_memory)
