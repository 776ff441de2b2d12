"""What the suite makes of a method before it looks at it."""

from __future__ import annotations

import sys

import pytest
import torch

from kdsearch.methods import find_method
from kdsearch.methods.ab import ActivationBoundaries
from kdsearch.methods.kd import KD
from kdsearch.methods.simkd import SimKD
from kdsearch.models.adopted import AdoptedClassifier
from kdsearch.testing import PAIRS, MethodConformance, Pair
from kdsearch.testing.material import build, random_signals, shapes_of, tensors
from kdsearch.testing.training import label_of
from tests.testing.wrong_methods import Sound


class OfKD(MethodConformance):
    method = "kd"
    hyperparameters = {"temperature": 2.0}


class OfAB(MethodConformance):
    method = ActivationBoundaries


class OfSimKD(MethodConformance):
    method = SimKD


def test_a_method_is_found_by_name_and_gets_the_hyperparameters() -> None:
    assert OfKD().find() is KD
    assert OfKD().bench(PAIRS[0]).method.values["temperature"] == 2.0
    assert OfKD().bench(PAIRS[0], hyperparameters={"temperature": 5.0}).method.values == {
        **OfKD().bench(PAIRS[0]).method.values,
        "temperature": 5.0,
    }


def test_times_tell_phases_apart() -> None:
    assert OfKD().bench(PAIRS[0]).times() == [0.0]
    # the initialisation takes an eighth of the training
    assert OfAB().bench(PAIRS[0]).times() == [0.0, 0.5]


def test_a_student_that_adopts_a_classifier_is_built_with_it() -> None:
    bench = OfSimKD().bench(PAIRS[1])
    assert isinstance(bench.student, AdoptedClassifier)
    assert bench.student_shapes.embedding == bench.teacher_shapes.embedding


def test_a_class_is_found_under_its_label_wherever_it_is_defined() -> None:
    class Local(Sound):
        """Reachable by no module's name."""

    with label_of(Local) as label:
        assert find_method(label) is Local
        module = label.partition(":")[0]
        assert module in sys.modules
    assert module not in sys.modules
    with label_of(KD) as label:
        assert label == "kd"


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_networks_and_signals_are_the_same_every_time(pair: Pair) -> None:
    one, other = build(pair.teacher), build(pair.teacher)
    assert one is not other
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])
    signals = [random_signals(shapes_of(pair.teacher), seed) for seed in (3, 3, 4)]
    same, again, different = (tensors(given) for given in signals)
    assert all(torch.equal(a, b) for a, b in zip(same, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(same, different, strict=True))


def test_the_teachers_batch_statistics_are_not_those_of_an_untrained_network() -> None:
    state = build(PAIRS[0].teacher).state_dict()
    means = [value for name, value in state.items() if name.endswith("running_mean")]
    assert means
    assert all(mean.any() for mean in means)
