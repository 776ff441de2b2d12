"""What is told of a given teacher: a linear classifier by least squares, and what is done to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from kdsearch.data import Dataset
from kdsearch.errors import SpecError
from kdsearch.space.checks import make_plan
from kdsearch.space.teacher_scores import training_warnings
from kdsearch.spec import ModelConfig, parse_spec
from kdsearch.training.teacher_store import StoredTeacher
from tests.space.own_networks import __name__ as OWN  # noqa: N812

Change = Callable[[np.ndarray], np.ndarray]


def flat(data: Dataset, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Normalised pixels with a one [N, 65], and labels [N]."""
    part = getattr(data, split)
    scale = data.scales["image"]
    pixels = (part.images.numpy() / 255.0 - scale.mean[0]) / scale.std[0]
    ones = np.ones((len(pixels), 1))
    return np.hstack([pixels.reshape(len(pixels), -1), ones]), part.labels.numpy()


def least_squares(data: Dataset) -> np.ndarray:
    """Weights and biases [10, 65] for one-hot labels, with a little ridge."""
    x, y = flat(data, "train")
    return np.linalg.solve(x.T @ x + 10 * np.eye(x.shape[1]), x.T @ np.eye(10)[y]).T


def told_of(spec_text: str, tmp_path: Path, change: Change, family: str = "linear") -> list[str]:
    """What the checks tell of such a teacher."""
    data = make_plan(parse_spec(spec_text)).data
    weights = torch.from_numpy(change(10 * least_squares(data))).float()
    torch.save({"1.weight": weights[:, :-1], "1.bias": weights[:, -1]}, tmp_path / "teacher.pt")
    overrides = [
        f"teacher={{model: {{family: '{OWN}:{family}'}}, checkpoint: '{tmp_path}/teacher.pt'}}",
        "methods=[kd]",
        "students=[{family: mlp, width: 0.1, depth: 1}]",
    ]
    return make_plan(parse_spec(spec_text, overrides)).warnings


def test_a_sound_teacher_is_not_odd(spec_text: str, tmp_path: Path) -> None:
    assert told_of(spec_text, tmp_path, lambda w: w) == []


def test_classes_in_another_order(spec_text: str, tmp_path: Path) -> None:
    data = make_plan(parse_spec(spec_text)).data
    x, y = flat(data, "validation")
    answers = (x @ least_squares(data).T).argmax(axis=1)
    (told,) = told_of(spec_text, tmp_path, lambda w: np.roll(w, 1, axis=0))
    assert "'0' as '1', '1' as '2', '2' as '3' and 7 more" in told
    shifted, plain = np.mean((answers + 1) % 10 == y), np.mean(answers == y)
    assert f"{shifted:.1%} of the validation samples are right" in told
    assert f"another order would have {plain:.1%}" in told


def test_random_weights(spec_text: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(4)
    (told,) = told_of(spec_text, tmp_path, lambda w: generator.normal(size=w.shape))
    assert "not clearly more than guessing" in told


def test_weights_of_zero(spec_text: str, tmp_path: Path) -> None:
    def emptied(weights: np.ndarray) -> np.ndarray:
        weights[:, :-1] = 0
        return weights

    (told,) = told_of(spec_text, tmp_path, emptied)
    assert "gives the same outputs for each of" in told


def test_a_bias_that_decides(spec_text: str, tmp_path: Path) -> None:
    def biased(weights: np.ndarray) -> np.ndarray:
        weights[7, -1] += 1000
        return weights

    (told,) = told_of(spec_text, tmp_path, biased)
    assert "predicts '7' for 100% of the validation samples" in told


def test_probabilities_in_place_of_logits(spec_text: str, tmp_path: Path) -> None:
    (told,) = told_of(spec_text, tmp_path, lambda w: w, "linear_softmax")
    assert told.startswith("the teacher returns probabilities (a softmax), and ")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_that_are_not_finite_are_refused(
    spec_text: str, tmp_path: Path, value: float
) -> None:
    def broken(weights: np.ndarray) -> np.ndarray:
        weights[3, 5] = value
        return weights

    told = r"the teacher \(.*linear width 1\) cannot be used, since its outputs are not finite for"
    with pytest.raises(SpecError, match=told):
        told_of(spec_text, tmp_path, broken)


def test_a_trained_teacher_that_guesses_is_told(digits: Dataset) -> None:
    def told(history: list[dict[str, float]], name: str = "wide") -> list[str]:
        facts = {"history": history}
        found = StoredTeacher("k", ModelConfig(family="mlp"), Path("w"), facts, name)
        return training_warnings(found, digits)

    assert told([{"accuracy": 0.1}, {"accuracy": 0.9}]) == []
    (sentence,) = told([{"accuracy": 0.9}, {"accuracy": 0.1}])
    assert sentence.startswith("the teacher wide predicts 10.0% of 60 validation samples right")
    assert told([]) == []
