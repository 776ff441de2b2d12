"""Images, cached signals and latencies on a CUDA device."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import torch

from kdsearch.data import Dataset, ResidentFeed, WorkerFeed, epoch_order, make_feed
from kdsearch.data import on_device as moved
from kdsearch.data.feeds import feed
from kdsearch.spec.sections import Augmentation
from kdsearch.teacher_cache.building import CacheBuilder
from kdsearch.teacher_cache.cached import CachedTeacher
from kdsearch.teacher_cache.encoding import TOLERANCE
from kdsearch.training.teacher import Teacher
from tests.pictures import pictured
from tests.teacher_cache.helpers import (
    CHANGING,
    PICTURES,
    RANDOM,
    SHOWN,
    batch_of,
    plan_of,
    tensors_of,
    views_of,
)

pytestmark = pytest.mark.gpu

EVERYTHING = Augmentation(crop=1, flip=True, cutout=2, mixup=0.4)


@pytest.mark.parametrize("moved_before", [False, True])
@pytest.mark.parametrize("loaders", [0, 2])
@pytest.mark.parametrize("augment", [EVERYTHING, PICTURES, RANDOM])
def test_a_split_that_does_not_fit_is_read_by_processes_into_the_same_batches(
    digits: Dataset,
    device: torch.device,
    monkeypatch: pytest.MonkeyPatch,
    augment: Augmentation,
    loaders: int,
    moved_before: bool,
) -> None:
    def made(data: Dataset) -> feed.Feed:
        return make_feed(data.train, data.scales, augment, 3, device, loaders)

    parts = epoch_order(1, 0, len(digits.train)).split(50)
    resident = made(digits)
    assert isinstance(resident, ResidentFeed)
    monkeypatch.setattr(feed, "RESIDENT_SHARE", 1e-9)
    read = made(moved(digits, device, loaders) if moved_before else digits)
    assert isinstance(read, WorkerFeed)
    with closing(read):
        for epoch in (0, 1):
            pairs = zip(read.batches(parts, epoch), resident.batches(parts, epoch), strict=True)
            for one, other in pairs:
                (images, targets), (others, answers) = pictured(one), pictured(other)
                assert images.device.type == targets["label"].labels.device.type == device.type
                assert torch.equal(images, others)
                assert torch.equal(targets["label"].labels, answers["label"].labels)
                assert torch.equal(targets["label"].share, answers["label"].share)  # type: ignore[arg-type]


def test_signals_that_are_cached_on_the_device_are_the_teachers_on_the_cpu(
    digits: Dataset, device: torch.device, make_teacher: Callable[[], Teacher], tmp_path: Path
) -> None:
    """Within the tolerance beyond which a cache is refused; both ways, from device and CPU."""
    there, here = Teacher(make_teacher().network, device), make_teacher()
    plan = plan_of(here, digits, tmp_path, augment=CHANGING, epochs=1)
    reader = CachedTeacher(CacheBuilder(plan, there, digits, device))
    on_cpu = CachedTeacher(CacheBuilder(plan, here, digits, torch.device("cpu")))
    index = torch.arange(100)
    batch = batch_of(plan, digits, index, 0)
    cached = tensors_of(reader.observe(views_of(plan, digits, device).batch(index, 0), set(SHOWN)))
    again = tensors_of(on_cpu.observe(batch, set(SHOWN)))
    live = tensors_of(here.observe(batch, set(SHOWN)))
    for one, other, expected in zip(cached, again, live, strict=True):
        assert one.device.type == device.type
        assert torch.equal(one.cpu(), other)
        assert (other - expected).norm() <= TOLERANCE * expected.norm()
