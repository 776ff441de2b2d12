"""The groups of parameters that an optimiser takes: learning rate and weight decay of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from torch import nn

from kdsearch.models.parts import find_parts, head_names, is_within
from kdsearch.spec.concrete import FineTuning, TrainingConfig
from kdsearch.training.distiller import Distiller

Parameters = Iterable[nn.Parameter] | Iterable[dict[str, Any]]
"""Parameters, or groups of them as PyTorch's optimisers take them."""

_STUDENT = "student."


class _Kind(NamedTuple):
    """What parameters of one group have in common: a factor of the learning rate, and decay."""

    rate: float
    decays: bool


def parameter_groups(
    distiller: Distiller,
    training: TrainingConfig,
    tuning: FineTuning | None = None,
    frozen: frozenset[str] = frozenset(),
) -> Parameters:
    """What is trained, in groups; the helpers of the method have the full learning rate.

    With a factor p on what is pretrained and a decay d, a parameter of part i of n has p · dⁿ⁻ⁱ of
    the rate, and the head all of it (Clark et al. 2020, "ELECTRA: Pre-training Text Encoders as
    Discriminators Rather Than Generators", section 3.1). Weights of tasks that are learnt take no
    weight decay, nor do biases and the scales of normalisations where they are not to.

    Args:
        distiller: The student and its objective.
        training: Rates and decay.
        tuning: How the student is fine-tuned, if it is.
        frozen: The student's parameters that are frozen all along.
    """
    rates = _rates(distiller, tuning)
    weighting = distiller.objective.weighting
    apart = set() if weighting is None else {id(each) for each in weighting.parameters()}
    groups: dict[_Kind, list[nn.Parameter]] = {}
    for name, parameter in distiller.named_parameters():
        own = name.removeprefix(_STUDENT)
        if name.startswith(_STUDENT) and own in frozen:
            continue
        # biases and the scales of normalisations are those of one dimension
        decays = id(parameter) not in apart and (training.decay_norms or parameter.ndim > 1)
        kind = _Kind(rates.get(name, 1.0), decays)
        groups.setdefault(kind, []).append(parameter)
    if set(groups) == {_Kind(1.0, True)}:
        return groups[_Kind(1.0, True)]
    return [_group(kind, groups[kind], training) for kind in sorted(groups, reverse=True)]


def _group(kind: _Kind, parameters: list[nn.Parameter], training: TrainingConfig) -> dict[str, Any]:
    group: dict[str, Any] = {"params": parameters}
    if kind.rate != 1.0:
        group["lr"] = training.lr * kind.rate
    if not kind.decays:
        group["weight_decay"] = 0.0
    return group


def _rates(distiller: Distiller, tuning: FineTuning | None) -> Mapping[str, float]:
    """The factor of each of the student's parameters, where it is not 1."""
    if tuning is None or tuning.layer_decay == tuning.pretrained_lr == 1:
        return {}
    student = distiller.student
    names = [name for name, _ in student.named_parameters()]
    if tuning.layer_decay == 1:
        heads = head_names(student)
        return {_STUDENT + n: tuning.pretrained_lr for n in names if not is_within(n, heads)}
    parts = find_parts(student)
    above = {name: parts.head - parts.of(name) for name in names}
    return {
        _STUDENT + name: tuning.pretrained_lr * tuning.layer_decay**count
        for name, count in above.items()
        if count
    }
