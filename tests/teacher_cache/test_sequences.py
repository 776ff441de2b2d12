"""A transformer teaches a transformer: sequences, their mask, attention over pairs, and a cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kdsearch.data import Dataset
from kdsearch.errors import TeacherError
from kdsearch.methods import method_config
from kdsearch.models import Signal, Trace, build_network, of_images
from kdsearch.space.architectures import Architectures
from kdsearch.space.compatibility import Pairs
from kdsearch.spec import parse_spec
from kdsearch.spec.concrete import ModelConfig
from kdsearch.teacher_cache.cache_plan import signal_bytes
from kdsearch.testing.transformer import HEADS, PATCH
from kdsearch.training.packing import pack_teacher, unpack_teacher
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer
from tests.teacher_cache.helpers import (
    CHANGING,
    CPU,
    Counting,
    batch_of,
    build,
    cached,
    plan_of,
    tensors_of,
)

FAMILY = "kdsearch.testing.transformer:transformer"
TEACHER = ModelConfig(family=FAMILY, width=1, depth=2)
STUDENT = {"family": FAMILY, "width": 0.5, "depth": 1}
TOKENS = (8 // PATCH) ** 2
METHODS = ["fitnet", "vid", "sp", "kd+tests.methods.own_attention:Pairs", "kd+rkd+fitnet"]
SHOWN = frozenset(Signal) - {Signal.ATTENTION}


@pytest.fixture
def teacher(digits: Dataset) -> Teacher:
    torch.manual_seed(5)
    return Teacher(build_network(TEACHER, digits.inputs, len(digits.classes)))


def test_the_bytes_of_a_sample_by_hand(teacher: Teacher) -> None:
    def found(dtype: str) -> dict[Signal, int]:
        return {s: signal_bytes(s, teacher.shapes, dtype, None) for s in SHOWN}  # type: ignore[arg-type]

    stages, pairs = 2 * TOKENS * 16, 2 * HEADS * TOKENS**2
    values = {
        Signal.LOGITS: (10, 0),
        Signal.EMBEDDING: (16, 0),
        Signal.FEATURES: (stages, TOKENS),
        Signal.PREACTIVATION: (stages, TOKENS),
        Signal.SELF_ATTENTION: (pairs, TOKENS),
    }
    assert found("float32") == {s: 4 * count + mask for s, (count, mask) in values.items()}
    assert found("float16") == {s: 2 * count + mask for s, (count, mask) in values.items()}


@pytest.mark.parametrize("part", [None, 100])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_signal_is_read_with_its_mask_as_the_teacher_says_it(
    digits: Dataset, teacher: Teacher, tmp_path: Path, dtype: str, part: int | None
) -> None:
    plan = plan_of(teacher, digits, tmp_path, SHOWN, part=part, dtype=dtype)
    reader = cached(plan, teacher, digits)
    tolerance = {"rtol": 2**-11, "atol": 2**-11} if dtype == "float16" else {"atol": 1e-6}
    masks = []
    for epoch in range(2):
        for index in torch.randperm(240).split(60):
            batch = batch_of(plan, digits, index, epoch)
            live, found = teacher.observe(batch, SHOWN), reader.observe(batch, SHOWN)
            for one, other in zip(tensors_of(found, SHOWN), tensors_of(live, SHOWN), strict=True):
                assert torch.allclose(one, other, **tolerance)
            assert found.mask is not None
            assert torch.equal(found.mask, live.mask)
            masks.append(found.mask)
            alone = reader.observe(batch, {Signal.LOGITS})
            assert alone.mask is None
    assert 0 < torch.cat(masks).float().mean() < 1
    files = list(plan.place.glob("*.safetensors"))
    heads = sum(8 + int.from_bytes(file.read_bytes()[:8], "little") for file in files)
    assert sum(file.stat().st_size for file in files) == plan.bytes + heads


def losses(trainer: Trainer) -> list[float]:
    """The loss of every step of one epoch."""
    steps = [trainer.train_step(batch, step) for step, batch in enumerate(trainer.begin_epoch())]
    trainer.end_epoch(steps, 0.0)
    return [float(loss) for loss in steps]


@pytest.mark.parametrize("label", METHODS)
def test_a_student_learns_from_the_cache_what_it_learns_from_the_live_teacher(
    digits: Dataset, teacher: Teacher, make_task: Callable[..., Task], tmp_path: Path, label: str
) -> None:
    task = make_task(label, model=STUDENT, augment=CHANGING.model_dump())
    plan = plan_of(teacher, digits, tmp_path, SHOWN, part=100)
    counting = Counting(teacher)
    trainers = [Trainer(task, digits, each) for each in (teacher, cached(plan, counting, digits))]
    live, remembered = ([x for _ in range(2) for x in losses(each)] for each in trainers)
    assert remembered == pytest.approx(live, rel=1e-5)
    assert set(counting.asked.values()) == {1}
    assert counting.checks == 2
    before = Trainer(task, digits, teacher).student.state_dict()
    after = [trainer.student.state_dict() for trainer in trainers]
    assert not torch.equal(before["entry.weight"], after[0]["entry.weight"])
    for name, value in after[0].items():
        assert torch.allclose(value, after[1][name], rtol=1e-3, atol=1e-4), name


@pytest.mark.parametrize("filling", [1e4, 1e30, torch.nan, torch.inf])
def test_what_a_teacher_holds_at_padding_is_neither_stored_nor_learned(
    digits: Dataset,
    teacher: Teacher,
    make_task: Callable[..., Task],
    tmp_path: Path,
    filling: float,
) -> None:
    task = make_task("fitnet", model=STUDENT)
    clean = losses(Trainer(task, digits, teacher))
    trace = teacher.network.trace

    def dirty(images: torch.Tensor) -> Trace:
        shown = trace(images)
        assert shown.mask is not None
        padding = ~shown.mask
        pairs = padding[:, None, :, None] | padding[:, None, None, :]
        return shown._replace(
            features=tuple(f.masked_fill(padding[..., None], filling) for f in shown.features),
            self_attention=tuple(a.masked_fill(pairs, filling) for a in shown.self_attention),
        )

    teacher.network.trace = dirty  # type: ignore[method-assign]
    plan = plan_of(teacher, digits, tmp_path, SHOWN, augment=None, dtype="float16")
    assert losses(Trainer(task, digits, teacher)) == clean
    found = losses(Trainer(task, digits, cached(plan, teacher, digits)))
    assert found == pytest.approx(clean, rel=1e-3)


def test_another_mask_alone_is_found_out(digits: Dataset, teacher: Teacher, tmp_path: Path) -> None:
    trace = teacher.network.trace
    last = torch.arange(TOKENS) == TOKENS - 1

    def show(last_is_real: bool) -> None:
        """Attention without the last token, which is real in the mask or not."""

        def shown(images: torch.Tensor) -> Trace:
            whole = trace(images)
            assert whole.mask is not None
            rest = tuple(a * ~last * ~last[:, None] for a in whole.self_attention)
            mask = whole.mask | last if last_is_real else whole.mask & ~last
            return whole._replace(self_attention=rest, mask=mask)

        teacher.network.trace = shown  # type: ignore[method-assign]

    wanted = {Signal.SELF_ATTENTION}
    plan = plan_of(teacher, digits, tmp_path, wanted, augment=None, epochs=1)
    batch = batch_of(plan, digits, torch.arange(60), 0)
    show(last_is_real=True)
    build(plan, teacher, digits)
    before = cached(plan, teacher, digits).observe(batch, wanted)
    show(last_is_real=False)
    after = teacher.observe(batch, wanted)
    pairs = zip(before.self_attention, after.self_attention, strict=True)
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in pairs)
    with pytest.raises(TeacherError, match="remove that folder"):
        cached(plan, teacher, digits).observe(batch, wanted)


def test_a_packed_transformer_shows_the_same(digits: Dataset, teacher: Teacher) -> None:
    again = unpack_teacher(pack_teacher(TEACHER, teacher), CPU)
    images = torch.randn(4, 1, 8, 8)
    found, expected = (each.network.observe({"image": images}, SHOWN) for each in (again, teacher))
    pairs = zip(tensors_of(found, SHOWN), tensors_of(expected, SHOWN), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    assert replace(again.shapes, weights={}) == replace(teacher.shapes, weights={})


def test_pairs_that_do_not_fit_are_told_before_anything_trains(spec_text: str) -> None:
    models = [
        f"teacher.model={{family: '{FAMILY}'}}",
        f"students=[{{family: '{FAMILY}', depth: 1}}, {{family: convnet, depth: 2}}]",
        "methods=[none, kd, at, fitnet, sp, rkd]",
    ]
    spec = parse_spec(spec_text, models)
    pairs = Pairs(spec, Architectures(of_images((1, 8, 8)), 10))
    labels = ("kd", "at", "fitnet", "sp", "rkd")
    told = {
        (method.label, student.family.rpartition(":")[2]): pairs.reason(method, "teacher", student)
        for method in (method_config(label, {}) for label in labels)
        for student in (ModelConfig(**STUDENT), ModelConfig(family="convnet", depth=2))
    }
    reasons = {pair: reason for pair, reason in told.items() if reason}
    assert reasons == {
        ("at", "transformer"): "at cannot work on this pair: it compares maps, and the student's "
        "features are sequences",
        ("at", "convnet"): "at cannot work on this pair: it compares maps, and the teacher's "
        "features are sequences",
        ("fitnet", "convnet"): "fitnet cannot work on this pair: it compares stages of one kind, "
        "and the student's are maps, the teacher's sequences",
    }
