"""A search in rounds: settings on students of middle size, then chains of sizes with the best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kdsearch.execution.jobs import Jobs, NoMoreJobs, RungStage
from kdsearch.results.record import TrialRecord
from kdsearch.search.budget import Budget, whole_budget
from kdsearch.search.links import LinkedJobs
from kdsearch.search.loop import ProposedJobs
from kdsearch.search.rounds import round_end, settings_share
from kdsearch.spec.study import StudySpec


class LadderJobs(Jobs):
    """Hands out trials of the settings, and then those of chains with the best of them, in rounds.

    A round takes the epochs of ``search.ladder.round`` whole trainings; one that would leave less
    than its own length to the next takes that too. In the first the settings have
    ``search.ladder.settings`` of the epochs, and in the later ones half of that share. Chains begin
    when all trials of the settings are through, and the other way round, so that the order in which
    they end changes nothing.

    The proposer counts the trials of the settings alone; in the study they have numbers among all.

    Args:
        spec: The study.
        settings: Proposes settings.
        links: Makes the chains.
        budget: What may be spent, by both.
        places: Of the trials of the settings from before among these, by number.
        number: Gives each new trial its number.
    """

    def __init__(
        self,
        spec: StudySpec,
        settings: ProposedJobs,
        links: LinkedJobs,
        budget: Budget,
        places: Mapping[int, int],
        number: Iterator[int],
    ) -> None:
        self._spec, self._settings, self._links, self._budget = spec, settings, links, budget
        self._places = dict(places)
        self._numbers = {place: number for number, place in places.items()}
        self._number = number
        self._now: Jobs = settings
        self._chosen = -1
        self._round_end = 0
        self._begin_settings()
        self.spent: str | None = None

    def _begin_settings(self) -> None:
        spent = self._budget.spent
        begun = max(spent, self._round_end)
        self._round_end = round_end(begun, self._spec)
        epochs = round(settings_share(begun, self._spec) * (self._round_end - spent))
        # without any settings there would be no students either
        self._budget.limit = min(spent + max(epochs, self._budget.longest), self._round_end)
        self._now = self._settings

    def _begin_links(self) -> None:
        self._links.learn(map(self._numbered, self._settings.counted))
        self._budget.limit = self._round_end
        self._now = self._links

    def next(self) -> TrialRecord | None:
        while True:
            try:
                record = self._now.next()
            except NoMoreJobs:
                self._turn()
                continue
            if record is None or self._now is self._links:
                return record
            return self._numbered(record)

    def _turn(self) -> None:
        """Go on with the other part.

        Raises:
            NoMoreJobs: The time is spent, or the epochs are, or nothing was begun in a whole round.
        """
        self.spent = self._budget.out_of_time()
        if self.spent is not None:
            raise NoMoreJobs
        if self._now is self._settings:
            self._begin_links()
            return
        before, self._chosen = self._chosen, self._settings.chosen + self._links.chosen
        if self._chosen == before or self._budget.spent >= whole_budget(self._spec):
            raise NoMoreJobs
        self._begin_settings()

    def _numbered(self, record: TrialRecord) -> TrialRecord:
        """A trial of the settings as the study knows it."""
        place = record.number
        if place not in self._numbers:
            self._numbers[place] = next(self._number)
            self._places[self._numbers[place]] = place
        return record.model_copy(update={"number": self._numbers[place], "ladder": "settings"})

    def _placed(self, record: TrialRecord) -> TrialRecord:
        """The same as the proposer knows it."""
        return record.model_copy(update={"number": self._places[record.number]})

    def stage(self, record: TrialRecord) -> RungStage:
        if record.ladder == "settings":
            return self._settings.stage(self._placed(record))
        return self._links.stage(record)

    def keeps(self, record: TrialRecord) -> bool:
        return record.ladder != "settings" and self._links.keeps(record)

    def ended(self, record: TrialRecord) -> None:
        if record.ladder == "settings":
            self._settings.ended(self._placed(record))
        else:
            self._links.ended(record)
