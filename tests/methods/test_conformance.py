"""Every method of kdsearch under the conformance suite, and what kdsearch asks beside it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from kdsearch.methods import METHODS, Method
from kdsearch.methods.hyperparameter import WEIGHT_RANGE
from kdsearch.models import Signal, Signals
from kdsearch.spec.ranges import Range
from kdsearch.testing import (
    PAIRS,
    SEQUENCES,
    MethodConformance,
    Pair,
    identity_projectors,
)
from kdsearch.testing.material import only, present, tensors


class OwnConformance(MethodConformance):
    """The suite, and the conventions of kdsearch's own methods."""

    def test_paper_and_ranges_are_stated_as_everywhere(self) -> None:
        cls = self.find()
        assert re.search(r"\b(19|20)\d\d\b", cls.paper), "the paper has no year"
        if cls.kind == "logit":
            assert cls.hyperparameters["weight"].search == WEIGHT_RANGE
        for declared in cls.hyperparameters.values():
            assert not isinstance(declared.search, Range) or declared.search.log

    def test_a_lone_part_bears_the_name_of_its_method(self, pair: Pair) -> None:
        bench = self.bench_with_loss(pair)
        for progress in (0.0, 1.0):
            parts = bench.parts(*bench.signals(torch.float32), progress)
            assert len(parts) > 1 or list(parts) == [self.find().name]

    def test_every_declared_signal_of_the_student_gets_gradient(self, pair: Pair) -> None:
        bench = self.bench_with_loss(pair)
        touched: set[Signal] = set()
        for progress in bench.times():
            student, _ = bench.signals(torch.float32, requires_grad=True)
            _, teacher = bench.signals(torch.float32)
            loss = bench.loss(bench.parts(student, teacher, progress))
            if loss.requires_grad:
                loss.backward()
            touched |= {
                signal
                for signal in present(student)
                if any(leaf.grad is not None for leaf in tensors(only(student, {signal})))
            }
        assert touched == bench.method.signals


def without_minimum(reason: str) -> Callable[..., None]:
    """An override of ``minimum`` for a formula that has none, and why."""

    def minimum(self: OwnConformance, method: Method, signals: Signals) -> None:
        return None

    minimum.__doc__ = reason
    return minimum


def own_decision(self: OwnConformance, method: Method, signals: Signals) -> float:
    """hard_label: the cross-entropy with one's own decision, −log of the largest probability."""
    assert signals.logits is not None
    return -float(signals.logits.softmax(dim=1).amax(dim=1).log().mean())


def entropy_of_unlabelled(self: OwnConformance, method: Method, signals: Signals) -> float:
    """noisy_student: the mean entropy of the teacher's answers on every other sample."""
    assert signals.logits is not None
    answers = signals.logits[1::2].softmax(dim=1)
    return -float((answers * answers.log()).sum(dim=1).mean())


def rectified(self: OwnConformance, method: Any, signals: Signals) -> float:
    """fitnet: what the teacher's map holds below zero, which no regressor with a ReLU can say."""
    if not method.by_maps:
        return 0.0
    below = signals.features[method.teacher_stage - 1].clamp(max=0)
    return float(below.square().mean())


def exact_prediction(self: OwnConformance, method: Any, signals: Signals) -> float:
    """vid: ½ log σ² a stage, and what lies below zero, which no regressor with a ReLU can say."""
    total = 0.0
    for stage, values in zip(method.regressors, signals.features, strict=True):
        variance = float(stage.variance[0].detach())
        below = values.clamp(max=0).square()
        if signals.mask is None:
            missed = float(below.mean())
        else:  # the mean of each sample's mean over its real positions
            rows = zip(below, signals.mask, strict=True)
            missed = sum(float(row[real].mean()) for row, real in rows) / len(below)
        total += (math.log(variance) + missed / variance) / 2
    return total


def identity(self: OwnConformance, method: Method) -> None:
    identity_projectors(method)


def same_rotation(self: OwnConformance, method: Any) -> None:
    """cc: the student's layer is the teacher's fixed matrix."""
    method.projector.weight.copy_(method.rotation)
    method.projector.bias.zero_()


def translated_as_paraphrased(self: OwnConformance, method: Any) -> None:
    """ft: the student's translator is the encoder of the teacher's paraphraser."""
    method.translator.load_state_dict(method.paraphraser.encoder.state_dict())


ANY_KIND = (*PAIRS, *SEQUENCES)
A_GAME = "The discriminator's judgement of the teacher's outputs is no minimum of the generator's."
OF_DOMAINS = "It compares two domains, and no networks."
EXCEPTIONS: dict[str, dict[str, Any]] = {
    "hard_label": {"minimum": own_decision},
    "nkd": {"minimum": without_minimum("Its target part falls until the student is sure.")},
    "fitnet": {"align": identity, "minimum": rectified, "pairs": ANY_KIND},
    "sp": {"pairs": ANY_KIND},
    "ofd": {"align": identity},
    "vid": {"align": identity, "minimum": exact_prediction, "pairs": ANY_KIND},
    "cc": {"align": same_rotation},
    "ft": {"align": translated_as_paraphrased},
    "ab": {"minimum": without_minimum("It wants a margin beyond the boundary, not equality.")},
    "reviewkd": {"minimum": without_minimum("Every stage is fused with the deeper ones.")},
    "semckd": {"minimum": without_minimum("Every stage meets all of the teacher's at once.")},
    "pseudo_label": {"minimum": without_minimum("It is told by the student alone.")},
    "coral": {"minimum": without_minimum(OF_DOMAINS)},
    "mmd": {"minimum": without_minimum(OF_DOMAINS)},
    "dann": {"minimum": without_minimum(OF_DOMAINS)},
    "fixmatch": {
        "hyperparameters": {"confidence": 0.0},
        "minimum": without_minimum("It is told by the student alone."),
    },
    "noisy_student": {"hyperparameters": {"confidence": 0.0}, "minimum": entropy_of_unlabelled},
    "adversarial": {"minimum": without_minimum(A_GAME)},
    "adversarial_embedding": {"minimum": without_minimum(A_GAME)},
    "crd": {
        "hyperparameters": {"negatives": 64.0},
        "minimum": without_minimum("Its memories are random at first, not the networks' own."),
    },
}
"""What a method needs beyond the suite's own assumptions: by default its smallest value is 0, where
the signals are equal, and no helper stands between them."""


def suite_of(cls: type[Method]) -> type[OwnConformance]:
    """The suite of one method."""
    known = EXCEPTIONS.get(cls.name, {})
    return type(f"Test_{cls.name}", (OwnConformance,), {"method": cls, **known})


for _cls in METHODS.values():
    globals()[f"Test_{_cls.name}"] = suite_of(_cls)


@pytest.mark.parametrize("name", ["kd", "dkd", "mse_logits", "hard_label", "dist"])
def test_regression_doubling_the_batch_leaves_the_loss(name: str) -> None:
    suite = suite_of(METHODS[name])()
    bench = suite.bench(suite.pairs[0])
    bench = replace(bench, method=bench.method.double())
    student, teacher = bench.signals()
    once = bench.parts(student, teacher, 0.5)
    twice = torch.arange(8).repeat(2)
    labels = suite.targets().labels
    again = bench.method(
        student.changed(lambda values: values[twice]),
        teacher.changed(lambda values: values[twice]),
        replace(suite.targets(), labels=labels[twice], index=twice),
        0.5,
    )
    for part, value in once.items():
        assert float(again[part]) == pytest.approx(float(value), rel=1e-12)
