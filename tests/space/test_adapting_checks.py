"""Methods that adapt are refused where there is no target domain, or frozen batch normalisation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from kdsearch.data import Dataset
from kdsearch.errors import SpecError
from kdsearch.results.sweep import baseline_methods
from kdsearch.space.adapting_checks import check_adapting_methods
from kdsearch.spec import parse_spec


@pytest.fixture
def adapting(digits: Dataset) -> Dataset:
    """The same with a target domain."""
    return replace(digits, train=replace(digits.train, domain=torch.arange(240) >= 100))


@pytest.mark.parametrize("label", ["coral", "kd+mmd", "dann", "pseudo_label+adabn"])
def test_they_need_a_target_domain(
    spec_text: str, digits: Dataset, adapting: Dataset, label: str
) -> None:
    spec = parse_spec(spec_text, [f"methods=[none, {label}]"])
    check_adapting_methods(spec, adapting)
    with pytest.raises(SpecError, match=r"adapts to a target domain.*remove .*, or add a section"):
        check_adapting_methods(spec, digits)


def test_frozen_statistics_cannot_be_adapted(spec_text: str, adapting: Dataset) -> None:
    frozen = "training.fine_tuning={batch_norm: frozen}"
    check_adapting_methods(parse_spec(spec_text, ["methods=[none, coral]", frozen]), adapting)
    spec = parse_spec(spec_text, ["methods=[none, kd+adabn]", frozen])
    with pytest.raises(SpecError, match=r"training\.fine_tuning\.batch_norm freezes them"):
        check_adapting_methods(spec, adapting)


def test_they_are_no_baselines(spec_text: str) -> None:
    labels = "methods=[kd, coral, pseudo_label, adabn, kd+dann, pseudo_label+mmd]"
    assert baseline_methods(parse_spec(spec_text, [labels])) == ("none", "pseudo_label")
