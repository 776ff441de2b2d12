"""Which feed a split gets, and that every feed gives the views' own batches."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from kdsearch.data import (
    Dataset,
    ResidentFeed,
    Scale,
    Split,
    Views,
    WorkerFeed,
    epoch_order,
    make_feed,
    on_device,
)
from kdsearch.data.feeds.feed import is_resident
from kdsearch.errors import DataError
from kdsearch.problems import Problem
from kdsearch.spec.sections import Augmentation
from tests.pictures import pictured

MakeSplit = Callable[..., Split]
Mapped = Callable[[Split], Split]
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.1)
SCALES = {"image": Scale(MEAN, STD)}
EVERYTHING = Augmentation(crop=2, flip=True, cutout=3, mixup=0.4)


@pytest.mark.parametrize("augment", [None, EVERYTHING])
@pytest.mark.parametrize("in_a_file", [False, True])
def test_batches_are_those_of_the_views(
    make_split: MakeSplit, mapped: Mapped, augment: Augmentation | None, in_a_file: bool
) -> None:
    split = make_split()
    views = Views(split, SCALES, augment, 4)
    feed = make_feed(mapped(split) if in_a_file else split, SCALES, augment, 4, "cpu", workers=0)
    for epoch in (0, 1, 0):
        parts = epoch_order(1, epoch, 37).split(8)
        found = list(feed.batches(parts, epoch))
        assert [len(batch.inputs["image"]) for batch in found] == [8, 8, 8, 8, 5]
        for index, batch in zip(parts, found, strict=True):
            assert torch.equal(batch.index, index)
            assert batch.epoch == epoch
            images, targets = pictured(batch)
            expected, answers = pictured(views.batch(index, epoch))
            assert torch.equal(images, expected)
            for name in ("labels", "partner", "share", "index"):
                one, other = getattr(targets["label"], name), getattr(answers["label"], name)
                assert (one is None and other is None) or torch.equal(one, other)
    assert list(feed.batches([], 0)) == []
    feed.close()
    feed.close()


def test_on_the_cpu_a_file_alone_is_read_by_workers(make_split: MakeSplit, mapped: Mapped) -> None:
    split = make_split()
    assert isinstance(make_feed(split, SCALES, None, 0, "cpu", 3), ResidentFeed)
    feed = make_feed(mapped(split), SCALES, None, 0, "cpu", 0)
    assert isinstance(feed, WorkerFeed)
    feed.close()


def test_a_gpu_holds_a_split_of_two_fifths_of_what_a_process_may_still_have(
    make_split: MakeSplit, mapped: Mapped, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = make_split(40)
    nbytes, total, gpu = split.images.numpy().nbytes, 2**40, torch.device("cuda")
    for share, resident in ((0.39, True), (0.41, False)):
        enough = int(nbytes / share)
        for free, may in ((enough, 1.0), (total, enough / total)):  # all of it, or a trial's part
            monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _, free=free: (free, total))
            fraction = lambda _, may=may: may  # noqa: E731
            monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", fraction)
            assert is_resident(split, gpu) == resident
            assert not is_resident(mapped(split), gpu)


def test_what_a_process_holds_on_a_gpu_counts_against_its_share(
    make_split: MakeSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three splits of 0.39 of its share, the third finds too little left."""
    split, total = make_split(40), 2**40
    share = split.images.numpy().nbytes / 0.39
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (total, total))
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda _: share / total)
    found = []
    for held in (0.0, 0.39 * share, 0.78 * share):
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _, held=held: int(held))
        found.append(is_resident(split, torch.device("cuda")))
    assert found == [True, False, False]


def test_what_fits_is_moved_once_and_what_does_not_is_put_into_a_file(
    make_split: MakeSplit, mapped: Mapped, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The meta device stands for a GPU that holds the smaller splits."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (2**20, 2**40))
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda _: 1.0)
    train, validation, test = make_split(3000), make_split(40), mapped(make_split(8))
    data = Dataset("made", train, validation, test, SCALES, problem=Problem.of_classes("ab"))
    moved = on_device(data, torch.device("meta"), loaders=0)
    assert (moved.train, moved.test) == (train, test)
    moved = on_device(data, torch.device("meta"), loaders=1)
    assert moved.test == test
    assert moved.train.mapped
    assert torch.equal(moved.train.images[:], train.images)
    assert moved.validation.images.device.type == "meta"
    assert is_resident(moved.validation, torch.device("meta"))
    assert on_device(data, torch.device("cpu"), loaders=1).train.images is train.images


def test_a_change_too_large_for_the_images_is_refused(
    make_split: MakeSplit, mapped: Mapped
) -> None:
    for split in (make_split(), mapped(make_split())):
        with pytest.raises(DataError, match=r"data\.augment\.crop"):
            make_feed(split, SCALES, Augmentation(crop=9), 0, "cpu", 0)


@pytest.mark.gpu
@pytest.mark.parametrize("workers", [0, 1])
def test_batches_reach_a_cuda_device_with_the_same_bits(
    make_split: MakeSplit, mapped: Mapped, workers: int
) -> None:
    split = make_split()
    views, parts = Views(split, SCALES, EVERYTHING, 4), epoch_order(1, 0, 37).split(8)
    for given in (split, mapped(split)):
        feed = make_feed(given, SCALES, EVERYTHING, 4, "cuda", workers)
        for index, (images, targets) in zip(
            parts, map(pictured, feed.batches(parts, 3)), strict=True
        ):
            assert images.is_cuda
            assert targets["label"].labels.is_cuda
            expected, answers = pictured(views.batch(index, 3))
            assert torch.equal(images.cpu(), expected)
            assert torch.equal(targets["label"].share.cpu(), answers["label"].share)  # type: ignore[union-attr,arg-type]
        feed.close()
