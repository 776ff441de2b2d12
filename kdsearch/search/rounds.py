"""The rounds of a ladder: how long they are, and how much of each the settings have."""

from __future__ import annotations

from kdsearch.search.budget import whole_budget
from kdsearch.spec.study import StudySpec


def round_end(spent: int, spec: StudySpec) -> int:
    """The epochs after which a round ends that begins when so many are spent; at most all."""
    whole, length = whole_budget(spec), _length(spec)
    end = (spent // length + 1) * length
    return whole if whole - end < length else end


def settings_share(spent: int, spec: StudySpec) -> float:
    """Share of the epochs for the settings, of a round that begins when so many are spent.

    In later rounds it is half as large: what is known of settings by then is seldom surpassed, and
    while they are searched the front does not grow.
    """
    share = spec.search.ladder.settings
    return share if spent < _length(spec) else share / 2


def epochs_of_settings(spec: StudySpec) -> float:
    """About how many epochs the settings have in all rounds together."""
    begun, epochs = 0, 0.0
    while begun < whole_budget(spec):
        end = round_end(begun, spec)
        epochs += settings_share(begun, spec) * (end - begun)
        begun = end
    return epochs


def _length(spec: StudySpec) -> int:
    return spec.search.ladder.round * spec.training.epochs
