"""Metrics of one class a sample."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from kdsearch.problems.metric import Metric, Predictions

# torchmetrics takes four seconds to load. What every study has, each process of a trial computes
# without it; the rest loads it where it is first asked for.

ECE_BINS = 15
"""Bins of confidence, of equal width (Guo et al. 2017)."""

_UNEVEN = 2.0
"""Times its even share from which the largest class of two or more makes a data set uneven."""

_MOST = 0.8
"""Share from which it does so at any rate; of two classes none has twice its even share."""


def misleads(share: float, even: float) -> bool:
    """Whether accuracy alone misleads, by the share of the largest class and an even share."""
    return share > _UNEVEN * even or share >= _MOST


def _uneven(labels: Tensor) -> bool:
    counts = torch.bincount(labels)
    return bool(len(labels)) and misleads(float(counts.max() / counts.sum()), 1 / len(counts))


def _accuracy(of: Predictions) -> float:
    return float((of.outputs.argmax(dim=1) == of.targets).float().mean())


def _top5_accuracy(of: Predictions) -> float:
    best = of.outputs.topk(min(5, of.outputs.shape[1]), dim=1).indices
    return float((best == of.targets[:, None]).any(dim=1).float().mean())


def _recalls(of: Predictions) -> Tensor:
    """The share of each class that is predicted right, of those that the labels have."""
    from torchmetrics.functional.classification import multiclass_recall

    count = of.outputs.shape[1]
    each = multiclass_recall(of.outputs, of.targets, count, average="none", validate_args=False)
    return each[torch.bincount(of.targets, minlength=count) > 0]


def _macro_f1(of: Predictions) -> float:
    from torchmetrics.functional.classification import multiclass_f1_score

    count = of.outputs.shape[1]
    each = multiclass_f1_score(of.outputs, of.targets, count, average="none", validate_args=False)
    met = torch.bincount(of.targets, minlength=count) > 0
    met |= torch.bincount(of.outputs.argmax(dim=1), minlength=count) > 0
    return float(each[met].mean())


def _auroc(of: Predictions) -> float:
    from torchmetrics.functional.classification import multiclass_auroc

    count = of.outputs.shape[1]
    with warnings.catch_warnings():  # of the classes that are left out below
        warnings.simplefilter("ignore", UserWarning)
        each = multiclass_auroc(
            of.outputs.double().softmax(dim=1),
            of.targets,
            count,
            average="none",
            validate_args=False,
        )
    samples = torch.bincount(of.targets, minlength=count)
    both = (samples > 0) & (samples < len(of.targets))
    return float(each[both].mean())


def _calibration_error(of: Predictions) -> float:
    sure, chosen = of.outputs.double().softmax(dim=1).max(dim=1)
    ends = torch.linspace(0, 1, ECE_BINS + 1, dtype=torch.float64)[1:-1]
    gaps = torch.bincount(
        torch.bucketize(sure, ends),
        weights=(chosen == of.targets).double() - sure,
        minlength=ECE_BINS,
    )
    return float(gaps.abs().sum() / len(sure))


def _agreement(of: Predictions) -> float:
    assert of.reference is not None
    return float((of.outputs.argmax(dim=1) == of.reference.argmax(dim=1)).double().mean())


def _divergence(of: Predictions) -> float:
    assert of.reference is not None
    log_p, log_r = (F.log_softmax(each.double(), dim=1) for each in (of.outputs, of.reference))
    return float(F.kl_div(log_p, log_r, reduction="batchmean", log_target=True))


def _mean(loss: Callable[..., Tensor], of: Predictions) -> float:
    return float(loss(of.outputs.double(), of.targets))


_Class = partial(Metric, kind="class")

METRICS = (
    _Class(
        "accuracy",
        _accuracy,
        error="binomial",
        loss_title="error",
        shown="always",
    ),
    _Class(
        "balanced_accuracy",
        lambda of: float(_recalls(of).mean()),
        head="balanced",
        shown="always",
        applies=_uneven,
        about="balanced accuracy (the mean over classes)",
    ),
    _Class("nll", partial(_mean, F.cross_entropy), "lower", 0.0, None, "nats", title="NLL"),
    _Class(
        "ece",
        _calibration_error,
        "lower",
        title="ECE",
        shown="wide",
        about="expected calibration error (ECE)",
    ),
    _Class(
        "agreement",
        _agreement,
        title="agreement with the teacher",
        head="agreement",
        error="binomial",
        loss_title="disagreement",
        compares=True,
        shown="wide",
        about="agreement with the teacher's predictions",
    ),
    _Class(
        "kl",
        _divergence,
        "lower",
        0.0,
        None,
        "nats",
        title="KL to the teacher",
        head="KL",
        compares=True,
    ),
    _Class("top5_accuracy", _top5_accuracy, error="binomial", title="top-5 accuracy"),
    _Class("macro_f1", _macro_f1, title="macro F1"),
    _Class(
        "worst_class_recall",
        lambda of: float(_recalls(of).min()),
        title="worst class recall",
    ),
    _Class("auroc", _auroc, title="AUROC"),
)
"""Every metric of classification; those that nobody has to choose come first.

* accuracy, and ``top5_accuracy``: the share of samples whose label has the largest logit, or one
  of the five largest; of fewer than five classes every sample counts as right.
* balanced accuracy: the mean over the classes of the share of each that is predicted right
  (Brodersen et al. 2010), over the classes that the split has; ``worst_class_recall`` is the least
  of these shares.
* nll: mean negative log-likelihood of the label, in nats.
* ece: over 15 equal bins of confidence, the mean distance between accuracy and confidence (Guo et
  al. 2017, equation 3).
* agreement: the share of samples whose largest logit is the teacher's; kl: mean KL(teacher ‖
  network) of the class probabilities, in nats.
* macro_f1: mean of the classes' F1 scores, over those that are labelled or predicted.
* auroc: one class against the rest, mean over the classes that are there and not alone.
"""

USUAL = ("accuracy", "balanced_accuracy", "nll", "ece", "agreement", "kl")
"""Those that every study has, as far as they are of use."""
