"""The teacher stays as it was trained."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from kdsearch.data import Batch, Dataset, Split
from kdsearch.data.dataset import scales_of
from kdsearch.methods.targets import Targets
from kdsearch.models import Signal, build_network
from kdsearch.problems import Problem
from kdsearch.spec.concrete import ModelConfig
from kdsearch.training.task import Task
from kdsearch.training.teacher import Teacher
from kdsearch.training.trainer import Trainer


class Parent(nn.Module):
    def __init__(self, teacher: Teacher) -> None:
        super().__init__()
        self.teacher = teacher
        self.own = nn.Linear(2, 2)


def test_a_parent_neither_wakes_nor_owns_the_teacher(
    make_teacher: Callable[[], Teacher],
) -> None:
    parent = Parent(make_teacher())
    parent.train()
    assert not any(part.training for part in parent.teacher.network.modules())
    assert set(parent.state_dict()) == {"own.weight", "own.bias"}
    assert len(list(parent.parameters())) == 2


def batch_of(images: Tensor) -> Batch:
    index = torch.arange(len(images))
    return Batch({"image": images}, {"label": Targets(index)}, 0, index)


def test_answers_move_no_statistics_and_carry_no_gradient(
    make_teacher: Callable[[], Teacher],
) -> None:
    teacher = make_teacher()
    before = {name: value.clone() for name, value in teacher.network.state_dict().items()}
    images = torch.randn(16, 1, 8, 8, requires_grad=True)
    answers = teacher.observe(batch_of(images), set(Signal))
    given = [answers.logits, answers.embedding, *answers.features, *answers.attention]
    assert all(value is not None and not value.requires_grad for value in given)
    after = teacher.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert not any(parameter.requires_grad for parameter in teacher.network.parameters())


def test_only_the_wanted_signals_are_given(make_teacher: Callable[[], Teacher]) -> None:
    teacher = make_teacher()
    answers = teacher.observe(batch_of(torch.randn(4, 1, 8, 8)), {Signal.EMBEDDING})
    assert answers.embedding is not None
    assert answers.embedding.shape == (4, teacher.shapes.embedding)
    assert answers.features == answers.attention == ()


def test_an_image_has_the_same_answer_in_any_batch(make_teacher: Callable[[], Teacher]) -> None:
    teacher = make_teacher()
    images = torch.randn(8, 1, 8, 8)
    together = teacher.observe(batch_of(images), ()).logits
    alone = torch.cat([teacher.observe(batch_of(image[None]), ()).logits for image in images])
    torch.testing.assert_close(together, alone)


def test_a_teacher_that_counts_on_the_order_in_memory_teaches_a_student_that_does_not(
    make_task: Callable[..., Task],
) -> None:
    """Images come with their channels innermost, as the student has them."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (64, 3, 8, 8), dtype=torch.uint8, generator=generator)
    split = Split.of_classes(images, torch.arange(64) % 10)
    names = tuple(str(label) for label in range(10))
    data = Dataset("made", split, split, split, scales_of(split), problem=Problem.of_classes(names))
    family = ModelConfig(family="tests.training.own_networks:flattening")
    teacher = Teacher(build_network(family, data.inputs, 10))
    trainer = Trainer(make_task("kd", batch_size=32), data, teacher)
    assert trainer.student.channels_last
    assert not teacher.network.channels_last
    batch = next(trainer.begin_epoch())
    images = batch.inputs["image"]
    assert not images.is_contiguous()
    plain = batch_of(images.contiguous())
    found, expected = (teacher.observe(b, {Signal.LOGITS}).logits for b in (batch, plain))
    assert found is not None
    assert expected is not None
    assert torch.equal(found, expected)
    assert trainer.train_epoch().loss > 0
