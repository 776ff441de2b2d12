"""What a search hands out, by ``search.strategy``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import count

from kdsearch.results.cost import TrialCost, trial_lengths
from kdsearch.results.record import TrialRecord
from kdsearch.search.budget import Budget, whole_budget
from kdsearch.search.ladder import LadderJobs
from kdsearch.search.links import LinkedJobs
from kdsearch.search.loop import ProposedJobs
from kdsearch.search.proposer import Proposer
from kdsearch.space.anchored import AnchoredSpace
from kdsearch.space.checks import Plan
from kdsearch.space.usable import Usable


@dataclass
class Before:
    """What a search knows of trials before it, and is told.

    Attributes:
        known: All of them, by number.
        finished: Those that count, by number.
        history: All that the journal says of them, in its order; ``None``: ``finished``.
        seconds: Wall clock that the search took.
        keep: Takes that, whenever a trial ends, if it is limited.
        check: Raises where what students begin with has changed.
    """

    known: Mapping[int, TrialRecord]
    finished: Mapping[int, TrialRecord]
    history: Iterable[TrialRecord] | None
    seconds: float
    keep: Callable[[float], None]
    check: Callable[[], None]


def search_jobs(plan: Plan, before: Before, deterministic: bool) -> ProposedJobs | LadderJobs:
    """The trainings of a study's search.

    Args:
        plan: The checked study.
        before: What is known of trials.
        deterministic: Whether the order is the same at any speed.
    """
    if plan.spec.search.strategy == "ladder":
        return _ladder(plan, before, deterministic)
    spec = plan.spec
    return ProposedJobs(
        spec,
        Proposer(plan.space, plan.architectures, plan.past, before.known, before.check),
        before.finished,
        Budget(spec, before.seconds, before.keep),
        TrialCost.on(plan.data),
        deterministic,
        before.history,
    )


def _ladder(plan: Plan, before: Before, deterministic: bool) -> LadderJobs:
    spec, search = plan.spec, plan.spec.search
    # as many trials of the settings as there are epochs: a scheduler stops most of them early
    most = search.model_copy(update={"trials": whole_budget(spec)})
    numbers = [n for n in sorted(before.known) if before.known[n].ladder == "settings"]
    places = {number: place for place, number in enumerate(numbers)}
    longest = max(trial_lengths(spec, spec.search.ladder.shortened(spec.training.epochs)))
    budget = Budget(spec, before.seconds, before.keep, longest)
    number = (each for each in count() if each not in before.known)
    space, cost_of = AnchoredSpace(plan.space, plan.chains), TrialCost.on(plan.data)
    settings = ProposedJobs(
        spec.model_copy(update={"search": most}),
        Proposer(
            space,
            plan.architectures,
            space.settings(plan.past),
            _placed(before.known, places),
            before.check,
        ),
        _placed(before.finished, places),
        budget,
        cost_of,
        deterministic,
        _history(before.history, places),
    )
    links = LinkedJobs(
        spec,
        plan.chains,
        plan.space,
        Usable(spec, plan.architectures),
        {n: each for n, each in before.known.items() if n not in places},
        {n: each for n, each in before.finished.items() if n not in places},
        budget,
        number,
        cost_of,
        deterministic,
    )
    return LadderJobs(spec, settings, links, budget, places, number)


def _placed(
    records: Mapping[int, TrialRecord], places: Mapping[int, int]
) -> dict[int, TrialRecord]:
    """The trials of the settings as a proposer numbers them, by their places."""
    own = (each for number, each in records.items() if number in places)
    return {places[each.number]: _renumbered(each, places) for each in own}


def _history(
    history: Iterable[TrialRecord] | None, places: Mapping[int, int]
) -> list[TrialRecord] | None:
    if history is None:
        return None
    return [_renumbered(each, places) for each in history if each.number in places]


def _renumbered(record: TrialRecord, places: Mapping[int, int]) -> TrialRecord:
    return record.model_copy(update={"number": places[record.number]})
