"""Methods on sequences with padding, against NumPy that looks at one real token after another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kdsearch.errors import MethodError
from kdsearch.methods import METHODS, Method
from kdsearch.methods.fitnet import FitNet
from kdsearch.methods.sequences import mean_over_real
from kdsearch.methods.sp import SimilarityPreserving
from kdsearch.methods.targets import Targets
from kdsearch.methods.vid import VID
from kdsearch.models import Signal, SignalKind, Signals, SignalShape, SignalShapes
from kdsearch.testing import SEQUENCES, MethodConformance
from tests.methods.maps import features_of, map_stages, random_maps, shapes_of, weight_of
from tests.methods.own_attention import Pairs

TARGETS = Targets(torch.zeros(3, dtype=torch.long))
LENGTHS = (4, 1, 3)
"""Real tokens of each sample, of 4."""
MASK = np.arange(4) < np.array(LENGTHS)[:, None]


class TestOwnMethodOfAttention(MethodConformance):
    method = Pairs
    pairs = SEQUENCES


def sequences_of(*sizes: tuple[int, int], masked: bool = True) -> SignalShapes:
    """A network whose stages are sequences [L, D]."""
    stages = tuple(SignalShape(SignalKind.SEQUENCE, size, masked) for size in sizes)
    return SignalShapes(classes=7, embedding=5, features=stages)


def vectors_of(*sizes: int) -> SignalShapes:
    stages = tuple(SignalShape(SignalKind.VECTOR, (size,)) for size in sizes)
    return SignalShapes(classes=7, embedding=5, features=stages)


def random_stages(shapes: SignalShapes, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(3, *each.shape)) for each in shapes.features]


def signals_of(stages: list[np.ndarray], mask: np.ndarray | None) -> Signals:
    given: Tensor | None = None if mask is None else torch.tensor(mask)
    return Signals(features=features_of(stages).features, mask=given)


def loss_of(method: Method, student: Signals, teacher: Signals) -> float:
    return method.double()(student, teacher, TARGETS, 0.0)[method.name].item()


def by_token(errors: Any, masks: tuple[np.ndarray | None, np.ndarray | None]) -> float:
    """The mean over samples of the means over their tokens that are real in both networks."""
    samples = []
    for sample in range(3):
        real = [place for place in range(4) if all(m is None or m[sample, place] for m in masks)]
        samples.append(np.mean([errors(sample, place) for place in real]))
    return float(np.mean(samples))


OTHER = np.arange(4) >= np.array([0, 0, 1])[:, None]
MASKS = [(None, None), (MASK, MASK), (MASK, None), (None, MASK), (MASK, OTHER)]


@pytest.mark.parametrize("masks", MASKS)
@pytest.mark.parametrize("dimensions", [(1, 1), (3, 5), (6, 2)])
def test_fitnet_is_the_mean_squared_error_of_a_linear_layer_at_each_real_token(dimensions, masks):
    student, teacher = (sequences_of((4, d)) for d in dimensions)
    method = FitNet(student, teacher, stage=1)
    (f_s,), (f_t,) = random_stages(student, 0), random_stages(teacher, 1)
    weight = weight_of(method.projector)

    def error(sample: int, place: int) -> float:
        return float(np.mean((weight @ f_s[sample, place] - f_t[sample, place]) ** 2))

    found = loss_of(method, signals_of([f_s], masks[0]), signals_of([f_t], masks[1]))
    assert found == pytest.approx(by_token(error, masks), rel=1e-9)


@pytest.mark.parametrize("masks", MASKS)
def test_vid_is_the_likelihood_of_each_real_token(masks):
    student, teacher = sequences_of((4, 3), (4, 2)), sequences_of((4, 5), (4, 6))
    method = VID(student, teacher).double()
    f_s, f_t = random_stages(student, 0), random_stages(teacher, 1)
    expected = 0.0
    for stage, own, theirs in zip(method.regressors, f_s, f_t, strict=True):
        weights = [weight_of(layer) for layer in stage.mean if hasattr(layer, "weight")]
        variance = stage.variance.detach().numpy()

        def error(sample: int, place: int, w=weights, v=variance, own=own, theirs=theirs) -> float:
            hidden = np.maximum(w[1] @ np.maximum(w[0] @ own[sample, place], 0), 0)
            gap = w[2] @ hidden - theirs[sample, place]
            return float(np.mean((gap**2 / v + np.log(v)) / 2))

        expected += by_token(error, masks)
    found = loss_of(method, signals_of(f_s, masks[0]), signals_of(f_t, masks[1]))
    assert found == pytest.approx(expected, rel=1e-9)


def test_fitnet_and_vid_take_vectors():
    student, teacher = vectors_of(3), vectors_of(5)
    (f_s,), (f_t,) = random_stages(student, 0), random_stages(teacher, 1)
    fitnet = FitNet(student, teacher, stage=1)
    expected = ((f_s @ weight_of(fitnet.projector).T - f_t) ** 2).mean()
    given = signals_of([f_s], None), signals_of([f_t], None)
    assert loss_of(fitnet, *given) == pytest.approx(expected, rel=1e-9)
    vid = VID(student, teacher).double()
    (stage,) = vid.regressors
    weights = [weight_of(layer) for layer in stage.mean if hasattr(layer, "weight")]
    hidden = np.maximum(np.maximum(f_s @ weights[0].T, 0) @ weights[1].T, 0)
    v = stage.variance.detach().numpy()
    expected = ((hidden @ weights[2].T - f_t) ** 2 / v + np.log(v)).mean() / 2
    assert loss_of(vid, *given) == pytest.approx(expected, rel=1e-9)


def test_sp_compares_maps_with_sequences_and_counts_padding_as_zero():
    student, teacher = sequences_of((4, 3)), shapes_of((2, 3, 3))
    (f_s,), (f_t,) = random_stages(student, 0), random_maps(teacher)
    rows = [(f_s * MASK[..., None]).reshape(3, -1), f_t.reshape(3, -1)]
    tables = [each @ each.T for each in rows]
    units = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in tables]
    expected = ((units[0] - units[1]) ** 2).sum() / 9
    method = SimilarityPreserving(student, teacher)
    found = loss_of(method, signals_of([f_s], MASK), signals_of([f_t], None))
    assert found == pytest.approx(expected, rel=1e-9)


def test_a_sample_without_a_real_token_counts_as_zero_and_is_finite():
    values = torch.randn(2, 3, 4, dtype=torch.float64).requires_grad_()
    mask = torch.tensor([[True, True, False], [False, False, False]])
    loss = mean_over_real(values, mask)
    assert loss.item() == pytest.approx(values[0, :2].mean().item() / 2, rel=1e-12)
    loss.backward()
    assert (values.grad[1] == 0).all()
    assert (values.grad[0, :2] == 1 / 16).all()


OF_MAPS = sorted(
    name
    for name, method in METHODS.items()
    if method.signals & {Signal.FEATURES, Signal.ATTENTION, Signal.PREACTIVATION}
    and method.takes == {SignalKind.MAP}
    and not method.adopts_classifier  # which then compares embeddings
)


def test_these_take_maps_alone():
    assert OF_MAPS == ["ab", "at", "fsp", "ft", "nst", "ofd", "reviewkd", "semckd"]


@pytest.mark.parametrize("name", OF_MAPS)
def test_a_method_of_maps_refuses_sequences_in_one_sentence(name, student_shapes, teacher_shapes):
    refused = METHODS[name].unfit
    sequences = sequences_of((4, 3), (4, 3))
    said = "it compares maps, and the {}'s features are sequences"
    assert refused(sequences, teacher_shapes) == said.format("student")
    assert refused(student_shapes, sequences) == said.format("teacher")
    both = SignalShapes(7, 5, (*map_stages((3, 4, 4)), *sequences.features))
    assert refused(both, teacher_shapes) == (
        "it compares maps, and the student's features are maps and sequences"
    )


@pytest.mark.parametrize("cls", [FitNet, VID])
def test_positions_that_are_not_the_same_are_refused(cls, student_shapes):
    sequences = sequences_of((4, 3), (4, 3), (4, 3))
    assert cls.unfit(sequences, sequences_of((6, 3))) == (
        "it compares sequences position by position, and the student's have 4 positions, the "
        "teacher's 6"
    )
    assert cls.unfit(sequences, student_shapes) == (
        "it compares stages of one kind, and the student's are sequences, the teacher's maps"
    )
    assert cls.unfit(sequences, sequences_of((4, 9), (4, 9), (4, 9))) is None
    assert SimilarityPreserving.unfit(sequences, student_shapes) is None


def test_fitnet_refuses_the_stage_that_cannot_be_compared():
    shrinking = sequences_of((8, 3), (4, 3))
    assert FitNet.unfit(shrinking, sequences_of((6, 3), (4, 5))) is None
    assert FitNet(shrinking, sequences_of((6, 3), (4, 5)), stage=2)
    with pytest.raises(MethodError, match=r"at stage 1 it compares sequences .* 8 .* 6"):
        FitNet(shrinking, sequences_of((6, 3), (4, 5)), stage=1)


def test_a_method_of_attention_refuses_a_network_that_shows_none(student_shapes):
    assert Pairs.unfit(student_shapes, student_shapes) == (
        "it compares attention over pairs of positions, and the student has none"
    )


def test_simkd_compares_embeddings_where_stages_are_sequences():
    sequences = SignalShapes(7, 5, sequences_of((4, 3)).features, linear_head=True)
    method = METHODS["simkd"](sequences, sequences)
    assert method.signals == {Signal.EMBEDDING}
