"""Metrics of any number of labels a sample."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.problems.classification import ECE_BINS
from kdsearch.problems.metric import Metric, Predictions

_MISSING = -1
"""What torchmetrics leaves out."""


def _whole(of: Predictions) -> Tensor:
    """The labels [N, K] as 0, 1 and -1 for those that are missing."""
    return of.targets.nan_to_num(_MISSING).long()


def _right(of: Predictions) -> Tensor:
    """Which labels are decided right, [N, K]; a missing one counts as right."""
    return ((of.outputs > 0) == (of.targets > 0.5)) | of.targets.isnan()


def _each(score: Callable[..., Tensor], of: Predictions) -> Tensor:
    """The score of each label [K], NaN where no sample's is known."""
    known = (~of.targets.isnan()).any(dim=0)
    with warnings.catch_warnings():  # of the labels that are left out below
        warnings.simplefilter("ignore", UserWarning)
        each = score(
            _ranks(of.outputs[:, known]),
            _whole(of)[:, known],
            int(known.sum()),
            average="none",
            ignore_index=_MISSING,
            validate_args=False,
        )
    found = torch.full(known.shape, torch.nan, dtype=each.dtype)
    found[known] = each.reshape(-1)
    return found


def _ranks(outputs: Tensor) -> Tensor:
    """Each label's logits [N, K] by their order, from 0 to 1 and above ½ where they are above 0.

    As probabilities, those of sure logits would be equal.
    """
    columns = []
    for logits in outputs.double().unbind(dim=1):
        values, place = logits.unique(return_inverse=True)
        below = int((values <= 0).sum())
        spread = torch.cat([_steps(below, 0.0), _steps(len(values) - below, 0.5)])
        columns.append(spread[place])
    return torch.stack(columns, dim=1)


def _steps(count: int, start: float) -> Tensor:
    """``count`` rising numbers above ``start``, at most ½ above it."""
    steps = torch.arange(1, count + 1, dtype=torch.float64) / (2 * count + 2)
    return start + steps


def _average_precision(of: Predictions) -> float:
    from torchmetrics.functional.classification import multilabel_average_precision

    there = (of.targets == 1).any(dim=0)
    return float(_each(multilabel_average_precision, of)[there].mean())


def _f1(of: Predictions) -> float:
    from torchmetrics.functional.classification import multilabel_f1_score

    known = ~of.targets.isnan()
    met = ((of.targets == 1) | ((of.outputs > 0) & known)).any(dim=0)
    return float(_each(multilabel_f1_score, of)[met].mean())


def _auroc(of: Predictions) -> float:
    from torchmetrics.functional.classification import multilabel_auroc

    both = (of.targets == 1).any(dim=0) & (of.targets == 0).any(dim=0)
    return float(_each(multilabel_auroc, of)[both].mean())


def _calibration_error(of: Predictions) -> float:
    from torchmetrics.functional.classification import binary_calibration_error

    known = ~of.targets.isnan()
    found = binary_calibration_error(
        of.outputs[known].sigmoid(),
        of.targets[known].long(),
        n_bins=ECE_BINS,
        norm="l1",
        validate_args=False,
    )
    return float(found)


def _nll(of: Predictions) -> float:
    known = ~of.targets.isnan()
    logits, targets = of.outputs[known].double(), of.targets[known].double()
    return float(F.binary_cross_entropy_with_logits(logits, targets))


def _accuracy(of: Predictions) -> float:
    known = ~of.targets.isnan()
    return float(_right(of)[known].double().mean())


def _agreement(of: Predictions) -> float:
    assert of.reference is not None
    known = ~of.targets.isnan()
    return float(((of.outputs > 0) == (of.reference > 0))[known].double().mean())


_Labels = partial(Metric, kind="labels")

METRICS = (
    _Labels(
        "mean_average_precision",
        _average_precision,
        title="mAP",
        about="mean average precision (mAP)",
        shown="always",
    ),
    _Labels("multilabel_f1", _f1, title="F1 over labels", head="F1", shown="wide"),
    _Labels(
        "exact_match",
        lambda of: float(_right(of).all(dim=1).double().mean()),
        error="binomial",
        shown="wide",
    ),
    _Labels(
        "multilabel_nll", _nll, "lower", 0.0, None, "nats", title="NLL a label", head="NLL a label"
    ),
    _Labels("multilabel_ece", _calibration_error, "lower", title="ECE over labels", head="ECE"),
    _Labels(
        "multilabel_agreement",
        _agreement,
        title="agreement with the teacher over labels",
        head="agreement",
        loss_title="disagreement",
        compares=True,
        about="agreement with the teacher's decision on each label",
    ),
    _Labels("multilabel_accuracy", _accuracy, title="accuracy over labels"),
    _Labels("multilabel_auroc", _auroc, title="AUROC over labels"),
)
"""Every metric of labels; those that nobody has to choose come first.

A label that a sample lacks is left out; a label is decided by the sign of its logit.

* mean_average_precision: the mean over the labels of each one's average precision, Σ (R_n −
  R_{n−1}) P_n over the thresholds, as scikit-learn has it; over the labels that a sample has.
* multilabel_f1: mean of the labels' F1 scores, over those that are there or predicted.
* exact_match: the share of samples of which every label is decided right.
* multilabel_nll: mean negative log-likelihood of a label, in nats.
* multilabel_ece: over 15 equal bins of the probability of a label, the mean distance between it
  and the share of samples that have the label.
* multilabel_agreement: the share of labels on which the teacher decides alike.
* multilabel_accuracy: the share of labels that are decided right.
* multilabel_auroc: mean over the labels that some samples have and some have not.
"""

USUAL = (
    "mean_average_precision",
    "multilabel_f1",
    "exact_match",
    "multilabel_nll",
    "multilabel_ece",
    "multilabel_agreement",
)
"""Those that every study of labels has."""
