"""What a network's predictions on labelled samples tell of it, in sentences that warn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_BY_CHANCE = 0.01
"""Probability from which on an accuracy may well be that of guessing."""

_SURE = 0.001
"""Probability below which a matching of classes is no accident: there are many matchings."""

_NEARLY_ALL = 0.95
"""Share of the predictions from which on they are called constant."""

_SHOWN = 3
"""Classes that a sentence names."""

_ROUNDING = 1e-2
"""How far sums of probabilities may be from 1, in half precision."""


def answer_warnings(
    who: str, logits: Tensor, labels: Tensor, classes: Sequence[str], blame: str = ""
) -> list[str]:
    """What is odd about a trained network's predictions; empty where nothing is.

    At most one sentence on the classes that it predicts, and one on the form of its outputs.

    Args:
        who: The network in the sentences ("the teacher").
        logits: [N, K] finite outputs.
        labels: [N] class indices.
        classes: Name of each class.
        blame: What is to blame for wrong predictions, in place of the network's weights.
    """
    right = int((logits.argmax(dim=1) == labels).sum())
    told = [
        constant_warning(who, logits, labels, classes, blame)
        or permuted_warning(who, logits, labels, classes)
        or chance_warning(who, right, labels, len(classes), blame),
        output_warning(who, logits),
    ]
    return [each for each in told if each is not None]


def constant_warning(
    who: str, logits: Tensor, labels: Tensor, classes: Sequence[str], blame: str = ""
) -> str | None:
    """That all samples have one prediction, or nearly all one class; ``None`` where not.

    The arguments are those of :func:`answer_warnings`.
    """
    spread = float((logits - logits[:1]).abs().max())
    if len(logits) > 1 and spread <= 1e-6 * float(logits.abs().max()):
        return f"{who} gives the same outputs for each of {len(logits)} samples; " + (
            blame or "check its weights, and that it reads the inputs that it is given"
        )
    counts = torch.bincount(logits.argmax(dim=1), minlength=len(classes))
    most = int(counts.argmax())
    share = float(counts[most]) / len(logits)
    if share < _NEARLY_ALL or float((labels == most).double().mean()) >= _NEARLY_ALL - 0.1:
        return None
    return f"{who} predicts '{classes[most]}' for {share:.0%} of the validation samples; " + (
        blame
        or "check its weights, and that it was trained on inputs normalised as these are, by "
        "the mean and standard deviation of the training data"
    )


def chance_warning(
    who: str, correct: int, labels: Tensor, classes: int, blame: str = ""
) -> str | None:
    """That an accuracy may be that of guessing; ``None`` where it is clearly better.

    Guessing reaches 1/K, or the share of the largest class; a one-sided binomial test compares.

    Args:
        who: The network in the sentence.
        correct: Samples that it predicts right.
        labels: [N] class indices.
        classes: Number of classes.
        blame: As :func:`answer_warnings`.
    """
    # late, as SciPy's statistics take a second to load, which a trial never needs
    from scipy.stats import binomtest

    count = len(labels)
    largest = float(torch.bincount(labels).max()) / count
    chance = max(1 / classes, largest)
    test = binomtest(correct, count, chance, alternative="greater")
    if chance == 1.0 or test.pvalue < _BY_CHANCE:
        return None
    return (
        f"{who} predicts {correct / count:.1%} of {count} validation samples right, which is not "
        f"clearly more than guessing ({chance:.1%}); "
        + (
            blame
            or "check its weights, the order of its classes, and that it was trained on inputs "
            "normalised as these are"
        )
    )


def permuted_warning(
    who: str, logits: Tensor, labels: Tensor, classes: Sequence[str]
) -> str | None:
    """That the outputs are in another order than the classes; ``None`` where they are not.

    Of all one-to-one matchings of outputs to classes the best is taken (Kuhn 1955, "The Hungarian
    Method for the Assignment Problem"). A class counts as moved if most of its samples have an
    output that is given to few others; of two or more such, a sign test says whether it is chance.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.stats import binomtest

    count = len(classes)
    table = torch.bincount(labels * count + logits.argmax(dim=1), minlength=count * count)
    confusion = table.view(count, count).cpu().numpy()
    rows, columns = linear_sum_assignment(confusion, maximize=True)
    matched = confusion[rows, columns]
    moved = (
        (rows != columns)
        & (matched > 1)
        & (2 * matched > confusion.sum(axis=1)[rows])
        & (2 * matched > confusion.sum(axis=0)[columns])
    )
    there, here = int(matched[moved].sum()), int(np.diag(confusion)[rows[moved]].sum())
    if moved.sum() < 2 or binomtest(there, there + here, alternative="greater").pvalue > _SURE:
        return None
    pairs = [
        f"'{classes[row]}' as '{classes[column]}'"
        for row, column in zip(rows[moved], columns[moved], strict=True)
    ]
    more = f" and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else ""
    right, best = np.trace(confusion) / len(labels), matched.sum() / len(labels)
    return (
        f"{who} has its classes in another order than the data: it predicts "
        f"{', '.join(pairs[:_SHOWN])}{more}, and {right:.1%} of the validation samples are right "
        f"where another order would have {best:.1%}; put its outputs into the order of the data's "
        "classes"
    )


def output_warning(who: str, outputs: Tensor) -> str | None:
    """That outputs [N, K] are probabilities in place of logits; ``None`` where they are not."""
    form = output_form(outputs.double())
    if form is None:
        return None
    return (
        f"{who} returns {form}, and losses and methods take logits; return what comes before that "
        "function"
    )


def output_form(outputs: Tensor) -> str | None:
    """What outputs [N, K] are the values of, where they are no logits."""
    if bool((outputs >= 0).all()):
        if bool(((outputs.sum(dim=1) - 1).abs() < _ROUNDING).all()):
            return "probabilities (a softmax)"
        if bool((outputs <= 1).all()):
            return "values between 0 and 1 (a sigmoid)"
    elif bool((outputs <= 0).all()) and bool((outputs.logsumexp(dim=1).abs() < _ROUNDING).all()):
        return "logarithms of probabilities (a log-softmax)"
    return None
