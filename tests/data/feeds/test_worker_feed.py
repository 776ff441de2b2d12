"""Worker processes: the same bits, no leftovers, and an answer when one of them dies."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from kdsearch.data import (
    MappedImages,
    Scale,
    Split,
    Views,
    WorkerFeed,
    derive,
    epoch_order,
)
from kdsearch.data import make_feed as feed_of
from kdsearch.errors import DataError, RunError
from kdsearch.spec.augmentation import (
    Augmentation,
    ColorJitter,
    RandAugment,
    RandomErasing,
    RandomResizedCrop,
)
from tests.conftest import SmallDisk
from tests.data.feeds.processes import is_running, wait_until_gone, worker_pids
from tests.pictures import pictured

MakeSplit = Callable[..., Split]
Mapped = Callable[[Split], Split]
MakeFeed = Callable[..., WorkerFeed]
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.1)
SCALES = {"image": Scale(MEAN, STD)}
EVERYTHING = Augmentation(crop=2, flip=True, cutout=3, mixup=0.4)
PICTURES = Augmentation(
    random_resized_crop=RandomResizedCrop(),
    rotation=20,
    rand_augment=RandAugment(),
    color_jitter=ColorJitter(brightness=0.4, saturation=0.4, hue=0.1),
    random_erasing=RandomErasing(),
    mixup=0.4,
    cutmix=1,
)
PARTS = epoch_order(1, 0, 37).split(4)

pytestmark = pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="/proc is Linux's")


@pytest.fixture
def make_feed() -> Iterator[MakeFeed]:
    """Feeds with two workers that are closed at the end of the test."""
    made: list[WorkerFeed] = []

    def make(split: Split, augment: Augmentation | None = EVERYTHING) -> WorkerFeed:
        made.append(WorkerFeed(Views(split, SCALES, augment, 4), "cpu", workers=2))
        return made[-1]

    yield make
    for feed in made:
        feed.close()


@pytest.mark.parametrize(
    ("augment", "in_a_file"), [(EVERYTHING, False), (EVERYTHING, True), (PICTURES, True)]
)
def test_batches_are_those_of_the_views(
    make_split: MakeSplit,
    mapped: Mapped,
    make_feed: MakeFeed,
    augment: Augmentation,
    in_a_file: bool,
) -> None:
    views = Views(make_split(), SCALES, augment, 4)
    feed = make_feed(mapped(make_split()) if in_a_file else make_split(), augment)
    before = torch.get_rng_state()
    for epoch in (0, 1, 0):
        for index, (images, targets) in zip(
            PARTS, map(pictured, feed.batches(PARTS, epoch)), strict=True
        ):
            expected, answers = pictured(views.batch(index, epoch))
            assert torch.equal(images, expected)
            for name in ("labels", "partner", "share", "index"):
                assert torch.equal(getattr(targets["label"], name), getattr(answers["label"], name))
    assert torch.equal(torch.get_rng_state(), before)


def test_strong_views_come_beside_the_others(make_split: MakeSplit, mapped: Mapped) -> None:
    weak, strong = Augmentation(crop=1), Augmentation(crop=2, flip=True, cutout=5)
    split = make_split()
    expected = Views(split, SCALES, weak, 4), Views(split, SCALES, strong, derive(4, "strong"))
    feeds = [
        feed_of(each, SCALES, weak, 4, "cpu", workers, strong=strong)
        for each, workers in ((split, 0), (mapped(make_split()), 0), (mapped(make_split()), 2))
    ]
    for feed in feeds:
        with closing(feed):
            for epoch in (0, 1):
                for index, batch in zip(PARTS, feed.batches(PARTS, epoch), strict=True):
                    assert batch.strong is not None
                    for found, views in zip((batch.inputs, batch.strong), expected, strict=True):
                        images = views.batch(index, epoch).inputs["image"]
                        assert torch.equal(found["image"], images)


def test_workers_live_on_between_epochs_and_end_with_the_feed(
    make_split: MakeSplit, mapped: Mapped, make_feed: MakeFeed
) -> None:
    feed, before = make_feed(mapped(make_split())), worker_pids()
    list(feed.batches(PARTS, 0))
    workers = worker_pids() - before
    assert len(workers) == 2
    assert all(is_running(pid) for pid in workers)
    list(feed.batches(PARTS, 1))
    assert worker_pids() - before == workers
    feed.close()
    assert not any(is_running(pid) for pid in workers)
    feed.close()


def test_an_epoch_that_was_left_does_not_reach_into_the_next(
    make_split: MakeSplit, mapped: Mapped, make_feed: MakeFeed
) -> None:
    split = make_split()
    feed, views = make_feed(mapped(split)), Views(split, SCALES, EVERYTHING, 4)
    left = feed.batches(PARTS, 0)
    next(left)
    next(left)
    for index, (images, _) in zip(PARTS, map(pictured, feed.batches(PARTS, 5)), strict=True):
        assert torch.equal(images, views.batch(index, 5).inputs["image"])


def test_a_training_that_fails_leaves_no_process(
    make_split: MakeSplit, mapped: Mapped, make_feed: MakeFeed
) -> None:
    feed, before = make_feed(mapped(make_split())), worker_pids()
    workers: set[int] = set()

    def train() -> None:
        with closing(feed):
            for _ in feed.batches(PARTS, 0):
                workers.update(worker_pids() - before)
                _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        train()
    assert len(workers) == 2
    assert not any(is_running(pid) for pid in workers)


@pytest.mark.parametrize("at", ["work", "rest"])
def test_a_killed_worker_is_one_clear_error(
    make_split: MakeSplit, mapped: Mapped, make_feed: MakeFeed, at: str
) -> None:
    feed, before = make_feed(mapped(make_split())), worker_pids()
    batches = feed.batches(PARTS * 20, 0)
    next(batches)
    workers = worker_pids() - before
    victim = min(workers)
    if at == "rest":  # all that may be read ahead has been read
        time.sleep(0.3)
    os.kill(victim, signal.SIGKILL)
    with pytest.raises(RunError, match=rf"ended from outside \(process {victim}\); most often"):
        list(batches)
    wait_until_gone(workers)


def test_a_file_that_is_gone_is_one_clear_error(
    make_split: MakeSplit, mapped: Mapped, make_feed: MakeFeed
) -> None:
    split, before = mapped(make_split()), worker_pids()
    assert isinstance(split.images, MappedImages)
    feed = make_feed(split)
    split.images.file.unlink()
    with pytest.raises(DataError, match=r"^the decoded images [^\n]* are not on this machine"):
        list(feed.batches(PARTS, 0))
    assert worker_pids() == before


def shared_bytes() -> int:
    """What lies in shared memory, of whatever process."""
    facts = os.statvfs("/dev/shm")
    return (facts.f_blocks - facts.f_bfree) * facts.f_frsize


def open_files() -> set[str]:
    """The files without a name that this process has open."""
    links = Path("/proc/self/fd").iterdir()
    return {name for link in links if (name := named(link)).endswith(" (deleted)")}


def named(link: Path) -> str:
    try:
        return os.readlink(link)
    except FileNotFoundError:  # the folder's own, which is listed too
        return ""


def test_images_in_memory_reach_the_workers_past_shared_memory_and_leave_nothing(
    make_split: MakeSplit, make_feed: MakeFeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    split = make_split(20_000, side=30)
    before, views = shared_bytes(), Views(split, SCALES, EVERYTHING, 4)
    feed, parts = make_feed(split), PARTS[:3]
    for index, (images, _) in zip(parts, map(pictured, feed.batches(parts, 0)), strict=True):
        assert torch.equal(images, views.batch(index, 0).inputs["image"])
    assert split.nbytes > 50e6
    assert shared_bytes() - before < 5e6
    assert not split.images.is_shared()
    assert any(name.startswith(str(tmp_path)) for name in open_files())
    assert list(tmp_path.iterdir()) == []
    feed.close()
    assert not any(name.startswith(str(tmp_path)) for name in open_files())


def test_a_folder_for_temporary_files_without_room_is_told(
    make_split: MakeSplit,
    make_feed: MakeFeed,
    small_disk: SmallDisk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk.folder))
    with pytest.raises(DataError, match=r"^0\.0 GB of images .*No space left.* let TMPDIR name"):
        make_feed(make_split(500))
    assert not any(name.startswith(str(small_disk.folder)) for name in open_files())


def test_too_little_shared_memory_is_told_before_a_worker_dies_of_it(
    make_split: MakeSplit, mapped: Mapped, make_feed: MakeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, before = make_feed(mapped(make_split())), worker_pids()
    needed = 2 * 3 * 4 * (3 * 9 * 11) * 4  # workers, batches of each, samples, floats, bytes
    needed += 37 * 8  # labels
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=needed - 1, f_frsize=1))
    with pytest.raises(DataError, match=r"0\.0 GB of /dev/shm.*--shm-size"):
        next(iter(feed.batches(PARTS, 0)))
    assert worker_pids() == before
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=needed, f_frsize=1))
    assert len(list(feed.batches(PARTS, 0))) == len(PARTS)
