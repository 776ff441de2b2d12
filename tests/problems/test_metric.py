"""What a metric says of its values, and a metric of the user's own."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from kdsearch.errors import SpecError
from kdsearch.problems import Metric, Predictions, Problem, find_metric
from kdsearch.spec import parse_spec

COST = """
from kdsearch.problems import Metric

cost = Metric("cost", lambda of: float((of.outputs.argmax(1) - of.targets).abs().float().mean()),
              better="lower", highest=None, unit="digits")
number = 3
def plain(of):
    return 0.0
"""


@pytest.fixture
def own_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_costs.py").write_text(COST)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "own_costs:cost"


def test_a_metric_of_ones_own_is_found_and_told_in_its_unit(own_metric: str) -> None:
    metric = find_metric(own_metric)
    logits = torch.eye(4)[[0, 1, 3]]
    of = Predictions(logits, torch.tensor([0, 3, 3]))
    assert Problem((own_metric,)).scores({"label": of})[own_metric] == pytest.approx(2 / 3)
    assert metric.told(2 / 3) == "0.667 digits"
    assert metric.gain_unit == "digits of cost"
    assert (metric.loss(2.0), metric.from_loss(2.0)) == (2.0, 2.0)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("acuracy", "unknown metric 'acuracy'; did you mean 'accuracy'?"),
        ("own_costs:plain", "own_costs:plain is no metric; make it a kdsearch.problems.Metric"),
        ("own_costs:cots", "has no metric 'cots'; did you mean 'cost'?"),
        ("no_such_module:cost", "no_such_module:cost names the module 'no_such_module'"),
    ],
)
def test_what_is_no_metric_is_refused_with_its_line(
    own_metric: str, spec_text: str, name: str, told: str
) -> None:
    for change in (f"search.objective={name}", f"problem.metrics=[{name}]"):
        with pytest.raises(SpecError) as caught:
            Problem.of(parse_spec(spec_text, [change]))
        assert told in str(caught.value)
        assert change.partition("=")[0] in str(caught.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("search.require={accuracy: 1}", "accuracy lies between 0 and 1, not at 1"),
        ("search.require={accuracy: 90}", "accuracy lies between 0 and 1, not at 90"),
        ("search.require={nll: -1}", "NLL lies between 0 and inf, not at -1"),
        ("search.require={acc: 0.5}", "unknown metric 'acc'"),
    ],
)
def test_a_bound_out_of_range_is_refused(spec_text: str, change: str, told: str) -> None:
    with pytest.raises(SpecError, match=told):
        Problem.of(parse_spec(spec_text, [change]))


def test_a_study_is_judged_by_all_that_it_names(spec_text: str) -> None:
    words = ["problem.metrics=[auroc]", "search.objective=macro_f1", "search.require={nll: 0.9}"]
    names = Problem.of(parse_spec(spec_text, words)).names
    assert names[:6] == Problem().names
    assert set(names[6:]) == {"auroc", "macro_f1"}


def test_the_standard_error_of_a_share_is_that_of_a_binomial() -> None:
    draws = np.random.default_rng(0).binomial(400, 0.8, size=200_000) / 400
    error = find_metric("accuracy").standard_error(0.8, 400)
    assert error == pytest.approx(float(draws.std()), rel=0.01)
    assert find_metric("nll").standard_error(0.8, 400) is None
    assert find_metric("accuracy").standard_error(0.8, 0) is None


def test_the_bootstrap_finds_the_standard_error_of_a_mean() -> None:
    """Of a mean of n values it is their standard deviation over √n."""
    logits = torch.randn(2000, 3, generator=torch.Generator().manual_seed(1))
    of = Predictions(logits, torch.zeros(2000, dtype=torch.long))
    losses = torch.nn.functional.cross_entropy(of.outputs, of.targets, reduction="none")
    known = float(losses.std()) / math.sqrt(2000)
    assert find_metric("nll").bootstrap(of) == pytest.approx(known, rel=0.35)
    assert find_metric("nll").bootstrap(of) == find_metric("nll").bootstrap(of)


def test_the_objectives_error_stands_beside_it_where_the_score_does_not_tell_it() -> None:
    of = Predictions(torch.randn(30, 3), torch.arange(30) % 3)
    assert Problem().error({"label": of}, len(of.targets)) == {}
    assert Problem(("nll",), "nll").error({"label": of}, len(of.targets)).keys() == {"nll_error"}
    assert Problem(("agreement",), "agreement").error({"label": of}, len(of.targets)) == {}
    assert (
        Problem(("kl",), "kl").error({"label": of}, len(of.targets)) == {}
    )  # nobody to compare with


def test_a_bound_is_kept_from_its_own_side() -> None:
    accuracy, nll = find_metric("accuracy"), find_metric("nll")
    assert accuracy.enough(0.7, 0.8) == pytest.approx(0.1)
    assert nll.enough(0.7, 0.8) == pytest.approx(-0.1)


def test_a_metric_that_is_better_the_higher_says_how_high_it_can_be() -> None:
    with pytest.raises(ValueError, match="say how high"):
        Metric("gain", lambda of: math.inf, highest=None)
