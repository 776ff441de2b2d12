"""What is known of a study, read from its directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from kdsearch.errors import StudyError
from kdsearch.search.directory import StudyDirectory
from kdsearch.search.finalists import Finalist
from kdsearch.search.front import hypervolume, pareto_front, spread
from kdsearch.search.judging import Judging
from kdsearch.search.record import TrialRecord, by_task
from kdsearch.search.tables import front_table, trials_table
from kdsearch.spec.study import StudySpec
from kdsearch.spec.teaching import TEACHER


class Study:
    """What is known of a study, read from its directory.

    Args:
        directory: The study's files.

    Example:
        >>> study = Study.open("studies/digits")  # doctest: +SKIP
        >>> study.front[["method", "parameters", "test_accuracy", "gain"]]  # doctest: +SKIP
    """

    def __init__(self, directory: StudyDirectory) -> None:
        self.directory = directory
        self.spec: StudySpec = directory.spec()

    @classmethod
    def open(cls, path: str | Path) -> Study:
        """The study in a folder.

        Raises:
            StudyError: There is no study.
        """
        directory = StudyDirectory(Path(path))
        directory.state()
        return cls(directory)

    @property
    def size(self) -> str:
        """The size that accuracy is weighed against."""
        return self.spec.search.size

    @property
    def largest(self) -> int:
        """That size of the teacher with which every student is compared."""
        try:
            return self.state["teachers"][TEACHER]["size"][self.size]
        except KeyError:
            raise StudyError(
                f"{self.directory.path} does not say how large its teacher is; was it made by an "
                "earlier kdsearch, or cut off before its teacher was there?"
            ) from None

    @property
    def state(self) -> dict[str, Any]:
        """State, phase, teacher, data and places of the records."""
        return self.directory.state()

    def records(self) -> list[TrialRecord]:
        """The ended trials of the search, by number."""
        return list(self.directory.trials.read().values())

    def members(self) -> list[TrialRecord]:
        """The Pareto front on validation, small to large."""
        return pareto_front(self.records(), self.size)

    def chosen(self) -> list[TrialRecord]:
        """The members of the front that are judged: all, or some spread evenly along it."""
        return spread(self.members(), self.spec.finalists.max, self.size)

    def finalists(self) -> list[Finalist]:
        """The members that were, or will be, judged on the test."""
        chosen = self.chosen()
        ended = by_task(self.directory.finalists)
        return Judging(self.spec, chosen, ended).finalists(ended)

    @property
    def trials(self) -> pd.DataFrame:
        """One row a trial of the search."""
        return trials_table(self.records(), self.members())

    @property
    def front(self) -> pd.DataFrame:
        """One row a finalist, with test accuracy and gain over the undistilled baseline."""
        return front_table(self.finalists())

    def hypervolumes(self) -> list[float]:
        """Hypervolume of the validation front after each ended trial, in the order they ended."""
        records = self.records()
        largest = self.largest
        return [
            hypervolume(records[: count + 1], self.size, largest) for count in range(len(records))
        ]
