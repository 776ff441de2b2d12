"""The front of a search on the test: its members are trained again, to the same weights."""

from __future__ import annotations

from functools import cache

from side_by_side import StudyBench

from kdsearch.models import Network
from kdsearch.results.front import hypervolume
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.training.programs import TrainingProgram, begin_training


def volume_on_test(study: Study) -> float:
    """The hypervolume of a front by its members' scores on the test.

    Args:
        study: Its search is over.
    """
    bench, members = StudyBench(study.spec), study.members()
    by_key = {each.task.key: each for each in study.records()}
    weighed = (study.objectives.score, *study.objectives.more)

    @cache
    def student(key: str) -> Network:
        return trained(by_key[key]).student

    def trained(record: TrialRecord) -> TrainingProgram:
        task = record.task
        parent = None if task.parent is None else student(task.parent.key)
        program = begin_training(task, bench.data, bench.teachers, parent=parent)
        while not program.finished:
            report = program.train_epoch()
        if any(report.scores[name] != record.scores[name] for name in weighed):
            raise AssertionError(f"trial {record.number} was not trained again to the same weights")
        return program

    tested = []
    for record in members:
        scores = trained(record).score_test()
        last = record.epochs[-1] | {name: scores[name] for name in weighed}
        tested.append(record.model_copy(update={"epochs": (*record.epochs[:-1], last)}))
    return hypervolume(tested, study.objectives, study.largest)
