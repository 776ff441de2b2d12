"""A teacher with a size and a normalisation of its own, packed for trials and cached."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kdsearch.data import Dataset
from kdsearch.models import build_network
from kdsearch.spec.concrete import ModelConfig, Normalisation
from kdsearch.training.packing import pack_teacher, unpack_teacher
from kdsearch.training.teacher import Teacher
from tests.teacher_cache.helpers import (
    CPU,
    SHOWN,
    Counting,
    batch_of,
    build,
    cached,
    plan_of,
    same_bits,
)

OWN = Normalisation(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))


@pytest.fixture
def teacher(digits: Dataset) -> Teacher:
    config = ModelConfig(family="convnet", width=0.5, depth=3, image_size=12, normalise=OWN)
    torch.manual_seed(5)
    return Teacher(build_network(config, digits.inputs, 10))


def test_what_is_kept_are_its_answers_on_prepared_images(
    digits: Dataset, teacher: Teacher, tmp_path: Path
) -> None:
    plan = plan_of(teacher, digits, tmp_path / "cache", epochs=1)
    build(plan, teacher, digits)
    reader = cached(plan, counting := Counting(teacher), digits)
    batch = batch_of(plan, digits, torch.arange(100), 0)
    assert same_bits(reader.observe(batch, set(SHOWN)), teacher.observe(batch, set(SHOWN)))
    assert not counting.asked


@pytest.mark.parametrize("family", ["convnet", "torchvision/mnasnet0_5"])
def test_a_packed_teacher_prepares_its_images_too(digits: Dataset, family: str) -> None:
    """MNASNet asks of a state dict which version of it made them."""
    config = ModelConfig(family=family, image_size=32, normalise=OWN)
    whole = Teacher(build_network(config, digits.inputs, 10))
    images = {"image": torch.randn(4, *digits.inputs["image"].shape)}
    with torch.no_grad():
        expected = whole.network(images["image"])
        found = unpack_teacher(pack_teacher(config, whole), CPU).network(images["image"])
    assert torch.equal(found, expected)
