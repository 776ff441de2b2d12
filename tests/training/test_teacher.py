"""The teacher stays as it was trained."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from kdsearch.models import Signal
from kdsearch.training.teacher import Teacher


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


def test_answers_move_no_statistics_and_carry_no_gradient(
    make_teacher: Callable[[], Teacher],
) -> None:
    teacher = make_teacher()
    before = {name: value.clone() for name, value in teacher.network.state_dict().items()}
    images = torch.randn(16, *teacher.network.image_shape, requires_grad=True)
    answers = teacher.observe(images, set(Signal))
    given = [answers.logits, answers.embedding, *answers.features, *answers.attention]
    assert all(value is not None and not value.requires_grad for value in given)
    after = teacher.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert not any(parameter.requires_grad for parameter in teacher.network.parameters())


def test_only_the_wanted_signals_are_given(make_teacher: Callable[[], Teacher]) -> None:
    teacher = make_teacher()
    answers = teacher.observe(torch.randn(4, *teacher.network.image_shape), {Signal.EMBEDDING})
    assert answers.embedding is not None
    assert answers.embedding.shape == (4, teacher.shapes.embedding)
    assert answers.features == answers.attention == ()


def test_a_picture_has_the_same_answer_in_any_batch(make_teacher: Callable[[], Teacher]) -> None:
    teacher = make_teacher()
    images = torch.randn(8, *teacher.network.image_shape)
    together = teacher.observe(images, ()).logits
    alone = torch.cat([teacher.observe(image[None], ()).logits for image in images])
    torch.testing.assert_close(together, alone)
