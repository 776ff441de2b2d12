"""Images in a file give what images in memory give, and take no memory."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kdsearch.data import Dataset, MappedImages, Scale, Split, Views, pack, unpack
from kdsearch.data.dataset import check_split, scales_of
from kdsearch.errors import DataError
from kdsearch.problems import Head
from kdsearch.spec.sections import Augmentation
from tests.pictures import pictured

MakeSplit = Callable[..., Split]
Mapped = Callable[[Split], Split]
EVERYTHING = Augmentation(crop=2, flip=True, cutout=3, mixup=0.4)


def test_indexing_equals_that_of_a_tensor(make_split: MakeSplit, mapped: Mapped) -> None:
    split = make_split()
    images = mapped(split).images
    assert isinstance(images, MappedImages)
    index = torch.tensor([5, 36, 0, 5])
    assert torch.equal(images[index], split.images[index])
    assert torch.equal(images[3:9], split.images[3:9])
    assert torch.equal(images.take(index)[1:], split.images[index][1:])
    assert (images.shape, len(images)) == (split.images.shape, len(split.images))
    assert (images.dtype, images.ndim) == (split.images.dtype, split.images.ndim)


def test_a_mapped_split_equals_the_one_in_memory(make_split: MakeSplit, mapped: Mapped) -> None:
    split = make_split()
    other, index = mapped(split), torch.tensor([5, 36, 0, 5])
    assert other.mapped
    assert not split.mapped
    assert other.nbytes == split.nbytes == split.images.numpy().nbytes
    assert torch.equal(other.read(index).images, split.read(index).images)
    some = other.take(index)
    assert torch.equal(some.read(torch.tensor([3, 1])).images, split.images[torch.tensor([5, 36])])
    assert torch.equal(some.labels, split.labels[index])
    assert scales_of(other) == scales_of(split)
    check_split(other, (Head(names=tuple("abcd")),), "here")
    with pytest.raises(DataError, match="outside 0 to 2"):
        check_split(other, (Head(names=tuple("abc")),), "here")


def test_images_are_a_copy(make_split: MakeSplit, mapped: Mapped) -> None:
    index = torch.tensor([5, 6, 7])
    for split in (make_split(), mapped(make_split())):
        before = split.read(index).images
        split.read(index).images.fill_(0)
        assert torch.equal(split.read(index).images, before)


@pytest.mark.parametrize("augment", [None, EVERYTHING])
def test_views_are_the_same_bits(
    make_split: MakeSplit, mapped: Mapped, augment: Augmentation | None
) -> None:
    split, index = make_split(), torch.tensor([8, 1, 30, 8])
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.1)
    images, targets = pictured(
        Views(split, {"image": Scale(mean, std)}, augment, 4).batch(index, 2)
    )
    others, answers = pictured(
        Views(mapped(split), {"image": Scale(mean, std)}, augment, 4).batch(index, 2)
    )
    assert torch.equal(images, others)
    assert torch.equal(targets["label"].labels, answers["label"].labels)


def in_files(dataset: Dataset, mapped: Mapped) -> Dataset:
    splits = {name: mapped(getattr(dataset, name)) for name in ("train", "validation", "test")}
    return replace(dataset, **splits)


def test_fingerprint_is_the_same(small_dataset: Dataset, mapped: Mapped) -> None:
    assert in_files(small_dataset, mapped).fingerprint == small_dataset.fingerprint


def test_images_do_not_travel(small_dataset: Dataset, mapped: Mapped) -> None:
    dataset = in_files(small_dataset, mapped)
    packed = pickle.dumps(pack(dataset))
    assert small_dataset.train.images.numpy()[0].tobytes() not in packed
    back = unpack(pickle.loads(packed))
    assert back.train.mapped
    assert replace(back).fingerprint == small_dataset.fingerprint
    whole = pickle.loads(pickle.dumps(dataset.train.images))
    assert torch.equal(whole[:], small_dataset.train.images)
    assert len(pickle.dumps(whole)) < small_dataset.train.nbytes / 4


def test_a_relative_name_travels_between_directories(
    small_dataset: Dataset, mapped: Mapped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dataset = in_files(small_dataset, mapped)
    images = dataset.test.images
    assert isinstance(images, MappedImages)
    relative = replace(images, file=Path(os.path.relpath(images.file)))
    packed = pack(replace(dataset, test=replace(dataset.test, inputs={"image": relative})))
    monkeypatch.chdir("/")
    assert torch.equal(unpack(packed).test.images[:], small_dataset.test.images)


def test_a_file_that_is_not_on_this_machine(small_dataset: Dataset, mapped: Mapped) -> None:
    dataset = in_files(small_dataset, mapped)
    packed = pack(dataset)
    Path(packed["validation_inputs"]["image"]["file"]).unlink()
    with pytest.raises(DataError, match=r"9\.npy are not on this machine; put data\.root on"):
        unpack(packed)


@pytest.mark.parametrize("damage", ["torn", "empty", "text", "floats"])
def test_a_damaged_file_is_told(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "a.npy"
    np.save(file, np.zeros((4, 3, 5, 5), np.float32 if damage == "floats" else np.uint8))
    whole = file.read_bytes()
    contents = {"torn": whole[:-1], "empty": b"", "text": b"not an image", "floats": whole}
    file.write_bytes(contents[damage])
    with pytest.raises(DataError, match=r"a\.npy cannot be read .*; remove the file"):
        _ = MappedImages(file, torch.arange(4)).shape


_MEASURE = """
import sys
from pathlib import Path
import numpy as np, torch
from kdsearch.data import MappedImages, Scale, Split, Views
from kdsearch.spec.sections import Augmentation

def own():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    return {line.split()[0]: int(line.split()[1]) / 1024 for line in lines}

torch.set_num_threads(1)
file, samples = Path(sys.argv[1]), int(sys.argv[2])
split = Split.of_classes(MappedImages(file, torch.arange(samples)), torch.zeros(samples).long())
scales = {"image": Scale((0.5,) * 3, (0.2,) * 3)}
views = Views(split, scales, Augmentation(crop=4, flip=True), 0)
views.batch(torch.arange(8), 0)
before = own()
parts = torch.arange(samples).split(8)
bright = sum(float(views.batch(part, 0).inputs["image"].max()) for part in parts)
after = own()
held = np.load(file)
held[:, 0, 0, 0] += 1
last = own()
print(*(after[name] - before[name] for name in ("Private_Dirty:", "Anonymous:", "Rss:")),
      last["Anonymous:"] - after["Anonymous:"], bright)
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").is_file(), reason="smaps is Linux's")
def test_reading_views_takes_no_memory(tmp_path: Path) -> None:
    file, samples = tmp_path / "large.npy", 2000
    # A file of zeros takes no room on the disk, and its pages take memory as others do.
    shape = (samples, 3, 128, 128)
    np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
    size = samples * 3 * 128 * 128 / 2**20
    found = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(file), str(samples)],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    dirty, anonymous, resident, loaded, bright = map(float, found.stdout.split())
    assert bright == -2.5 * samples / 8
    assert resident > 0.9 * size  # the pages were read, and the system may drop them
    assert max(dirty, anonymous) < 0.1 * size
    assert loaded > 0.9 * size  # the measure does tell what is held
