"""What earlier studies teach a new one: their best configurations are tried first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from kdsearch.errors import StudyError
from kdsearch.results.objectives import Objectives
from kdsearch.results.preference import preference
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.space.given import Known
from kdsearch.space.space import Space
from kdsearch.spec.study import StudySpec

Front = Sequence[Mapping[str, Any]]
"""The parameters of a front's members, in the order in which they are to be tried."""


def front_to_try(members: Sequence[TrialRecord], objectives: Objectives) -> Front:
    """A front's members, each the one that adds most to the hypervolume of those before it.

    So the first few, which may be all that a short search comes to, cover the whole of the front.
    """
    return [members[place].parameters for place in preference(objectives.costs(members))]


def past_fronts(spec: StudySpec) -> list[Front]:
    """The fronts of the studies of ``warm_start``."""
    fronts: list[Front] = []
    for place, folder in enumerate(spec.search.warm_start):
        try:
            study = Study.open(folder)
            members = study.members()
        except StudyError as error:
            raise spec.refuse(("search", "warm_start", place), str(error)) from None
        if not members:
            raise spec.refuse(
                ("search", "warm_start", place),
                f"the study in {folder} has no front yet; finish it first, or remove it",
            )
        fronts.append(front_to_try(members, study.objectives))
    return fronts


def warm_start_proposals(space: Space, fronts: Sequence[Front]) -> list[dict[str, Any]]:
    """The fronts' members of earlier studies, as far as a space holds them.

    Which configuration is best carries over between data sets better than how good it is
    (Feurer et al. 2015, "Initializing Bayesian Hyperparameter Optimization via Meta-Learning"), so
    they are tried anew, and the sampler learns from what they reach here. The studies take turns.
    Of a value that the space does not hold nothing is said, and the sampler chooses; a member whose
    method it lacks is left out.
    """
    found: list[dict[str, Any]] = []
    for turn in zip_longest(*fronts):
        for parameters in turn:
            kept = None if parameters is None else recall(space, parameters)
            if kept and kept not in found:
                found.append(kept)
    return found


def recall(space: Space, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """Those of a trial's parameters that a space holds; ``None`` where it lacks the method."""
    if parameters.get("method", next(iter(space.methods))) not in space.methods:
        return None
    memory = Known(parameters)
    space.suggest(memory)
    return memory.kept
