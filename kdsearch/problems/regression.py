"""Metrics of a number a sample."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from kdsearch.problems.metric import Metric, Predictions


def _mae(of: Predictions) -> float:
    from torchmetrics.functional.regression import mean_absolute_error

    return float(mean_absolute_error(of.outputs.double(), of.targets.double()))


def _rmse(of: Predictions) -> float:
    from torchmetrics.functional.regression import mean_squared_error

    return float(mean_squared_error(of.outputs.double(), of.targets.double(), squared=False))


def _r2(of: Predictions) -> float:
    targets = of.targets.double()
    if len(targets) < 2 or _constant(targets):
        return float("nan")
    from torchmetrics.functional.regression import r2_score

    return float(r2_score(of.outputs.double(), targets))


def _constant(values: Tensor) -> bool:
    return bool((values == values[0]).all())


def _to_the_teacher(of: Predictions) -> float:
    assert of.reference is not None
    return float((of.outputs.double() - of.reference.double()).abs().mean())


_Value = partial(Metric, kind="value", lowest=0.0, highest=None, unit="")

METRICS = (
    _Value("mae", _mae, "lower", title="MAE", about="mean absolute error (MAE)", shown="always"),
    _Value("rmse", _rmse, "lower", title="RMSE", about="root of the mean squared error (RMSE)"),
    _Value("r2", _r2, lowest=None, highest=1.0, title="R²", shown="wide"),
    _Value(
        "teacher_mae",
        _to_the_teacher,
        "lower",
        title="MAE to the teacher",
        head="to the teacher",
        compares=True,
    ),
)
"""Every metric of a value, in the value's own unit.

* mae: mean absolute error; rmse: root of the mean squared error.
* r2: 1 − Σ (y − ŷ)² / Σ (y − ȳ)², the share of the variance that is explained; below 0 for worse
  than the mean ȳ.
* teacher_mae: mean distance to the teacher's value.
"""

USUAL = ("mae", "rmse", "r2", "teacher_mae")
"""Those that every study of a value has."""
