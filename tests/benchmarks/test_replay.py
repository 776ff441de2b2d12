"""The replayed searches: what a proposal is answered with, what is counted, and the ratio."""

from __future__ import annotations

import gzip
import json
import math
import time
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdsearch.execution.jobs import Jobs, NoMoreJobs, RungStage
from kdsearch.results.front import hypervolume
from kdsearch.results.objectives import Objectives
from kdsearch.results.record import TrialRecord
from tests.records import trial

EPOCHS = 4


@pytest.fixture(autouse=True)
def _plain_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.fixture
def made_table() -> Any:
    """Forty made-up configurations of two methods; every seventh diverged after two epochs."""
    tables, generator = import_module("curves_table"), np.random.default_rng(0)
    curves = []
    for place in range(40):
        width = float(np.exp(generator.uniform(np.log(0.1), np.log(2.0))))
        parameters: dict[str, Any] = {"method": "kd" if place % 2 else "none", "width": width}
        if place % 2:
            parameters["kd.weight"] = float(generator.uniform(0, 5))
        size = int(1_000 * width)
        scores = [0.1 * (epoch + 1) + 0.2 * width for epoch in range(EPOCHS)]
        if place % 7 == 6:
            scores = scores[:2]
        curves.append(
            tables.Curve(
                parameters,
                {"parameters": size, "macs": 2 * size, "bytes": 4 * size},
                scores,
                [score + 0.05 for score in scores],
                0.5 + width,
                None if place % 7 == 6 else scores[-1],
            )
        )
    dimensions = {
        "width": tables.Dimension(0.1, 2.0, True),
        "kd.weight": tables.Dimension(0.0, 5.0, False),
    }
    return tables.CurvesTable(curves, dimensions, EPOCHS)


def test_a_proposal_is_answered_with_the_nearest_of_its_method(made_table: Any) -> None:
    generator = np.random.default_rng(1)
    for _ in range(30):
        wanted = {"method": "kd", "width": generator.uniform(0.1, 2), "kd.weight": 2.5}

        def gap(curve: Any, wanted: dict[str, Any] = wanted) -> float:
            across = math.log(curve.parameters["width"] / wanted["width"]) / math.log(20)
            along = (curve.parameters["kd.weight"] - wanted["kd.weight"]) / 5
            return math.hypot(across, along)

        of_method = [each for each in made_table.curves if each.parameters["method"] == "kd"]
        by_gap = sorted(of_method, key=gap)
        numbers = [made_table.curves.index(each) for each in by_gap]
        assert made_table.nearest(wanted) == numbers[0]
        assert made_table.nearest(wanted, set(numbers[:3])) == numbers[3]
        assert made_table.nearest(wanted, set(numbers)) == numbers[0]


def test_choices_that_were_not_recorded_are_no_neighbours(made_table: Any) -> None:
    with pytest.raises(KeyError):
        made_table.nearest({"method": "dkd", "width": 1.0})


def test_a_table_is_read_as_it_was_written(made_table: Any, tmp_path: Path) -> None:
    head = {"epochs": EPOCHS, "dimensions": {"width": {"low": 0.1, "high": 2.0, "log": True}}}
    undistilled = [each for each in made_table.curves if each.parameters["method"] == "none"]
    lines = [json.dumps(each) for each in (head, *(asdict(curve) for curve in undistilled))]
    file = tmp_path / "table.jsonl.gz"
    file.write_bytes(gzip.compress("\n".join(lines).encode()))
    table = import_module("curves_table").CurvesTable.read(file)
    assert table.curves == undistilled
    assert table.epochs == EPOCHS
    wanted = {"method": "none", "width": 0.7}
    assert table.nearest(wanted) == made_table.nearest(wanted)


class Widths(Jobs):
    """Proposes widths; every third trial is put aside after its second epoch, and half of those go
    on at once."""

    def __init__(self, count: int) -> None:
        self._left, self.handed = count, 0
        self._waiting: list[TrialRecord] = []
        self.records: list[TrialRecord] = []

    def next(self) -> TrialRecord | None:
        if self._waiting:
            return self._waiting.pop().model_copy(update={"status": "running"})
        if self.handed == self._left:
            raise NoMoreJobs
        self.handed += 1
        parameters = {"method": "none", "width": 0.1 + 0.05 * self.handed}
        update = {"status": "running", "parameters": parameters, "epochs": ()}
        return trial(self.handed - 1, None, 1).model_copy(update=update)

    def stage(self, record: TrialRecord) -> RungStage:
        return RungStage(until=2 if record.number % 3 == 2 and not record.epochs else None)

    def ended(self, record: TrialRecord) -> None:
        self.records.append(record)
        if record.status == "paused" and record.number % 2:
            self._waiting.append(record)


def test_every_epoch_counts_and_the_complete_alone_make_the_front(made_table: Any) -> None:
    jobs = Widths(40)
    replay = import_module("replay").Replay(made_table, 3, largest=5_000)
    progress = replay.run(jobs, budget=1e9)
    ended = {record.number: record for record in jobs.records}
    met: set[int] = set()
    for _, record in sorted(ended.items()):
        answer = made_table.nearest(record.parameters, met)
        met.add(answer)
        curve = made_table.curves[answer]
        assert record.parameter_count == curve.sizes["parameters"]
        scores = [each["accuracy"] for each in record.epochs]
        assert scores == curve.accuracy[: len(scores)]
        if record.number % 6 == 2:
            expected = ("paused", 2)
        else:
            expected = ("failed", 2) if curve.diverged else ("complete", EPOCHS)
        assert (record.status, len(record.epochs)) == expected
    complete = [record for record in jobs.records if record.status == "complete"]
    assert len(progress.volume) == len(complete)
    points = {(each.parameter_count, each.scores["accuracy"]) for each in complete}
    assert [(each.parameter_count, each.scores["accuracy"]) for each in replay.front()] == sorted(
        one for one in points if not any(_beats(other, one) for other in points)
    )
    assert progress.volume[-1] == pytest.approx(hypervolume(complete, Objectives(), [5_000]))
    assert np.all(np.diff(progress.volume) >= 0)
    # in the made-up table a test accuracy is that on validation after the last epoch
    assert progress.on_test().volume.tolist() == pytest.approx(progress.volume.tolist())
    spent = sum(len(record.epochs) for record in ended.values())
    failed = sum(record.status == "failed" for record in ended.values())
    assert progress.compute[-1] * EPOCHS == spent + failed
    assert progress.at(np.array([0.0, 1e9])).tolist() == [0.0, progress.volume[-1]]


def _beats(one: tuple[int, Any], other: tuple[int, Any]) -> bool:
    """Whether one is no worse than another in size and accuracy, and better in one of them."""
    return one != other and one[0] <= other[0] and one[1] >= other[1]


def test_compute_is_all_epochs_so_far(made_table: Any) -> None:
    """One worker trains one trial after another; the epoch in which one diverges is spent too."""
    jobs = Widths(30)
    progress = import_module("replay").Replay(made_table, 1, largest=5_000).run(jobs, 12)
    spent, behind = [], dict.fromkeys(range(30), 0)
    for each in jobs.records:
        spent.append(len(each.epochs) + (each.status == "failed") - behind[each.number])
        behind[each.number] = len(each.epochs)
    so_far = np.cumsum(spent)
    complete = [record.status == "complete" for record in jobs.records]
    assert 3 < sum(complete) < len(complete)
    assert progress.compute.tolist() == (so_far[complete] / EPOCHS).tolist()


def test_one_that_another_scheduler_stops_is_lost(made_table: Any) -> None:
    """Every trial is stopped after its third epoch."""
    module = import_module("replay")

    class Stops(Widths, module.Stopping):  # type: ignore[name-defined]
        def stage(self, record: TrialRecord) -> RungStage:
            return RungStage()

        def goes_on(self, record: TrialRecord) -> bool:
            return len(record.epochs) < 3

    jobs = Stops(1_000)
    progress = module.Replay(made_table, 3, largest=5_000).run(jobs, budget=10)
    assert len(progress.volume) == 0
    assert {(record.status, len(record.epochs)) for record in jobs.records} == {
        ("stopped", 3),
        ("failed", 2),
    }


def test_others_that_stop_trials_have_new_ones_in_their_place() -> None:
    """On the real table and proposals: of 20 whole trainings' compute many more trials begin."""
    replay, jobs = import_module("search_replay").prepare(
        "narrow", "tpe + Ray Tune's ASHA on accuracy", 0
    )
    progress = replay.run(jobs, 20)
    assert progress.trials > 2 * 20
    assert len(replay.complete) > 4


def test_the_ratio_is_where_the_mean_reaches_the_others_end() -> None:
    module = import_module("volumes")
    base = np.tile(module.GRID * 0.8, (5, 1))
    ahead = np.minimum(1.0, base * 4)
    assert module.compute_ratio(ahead, base)["ratio"] == pytest.approx(0.25, abs=0.01)
    assert module.compute_ratio(base, base)["ratio"] == 1.0
    assert module.compute_ratio(base / 2, base) == {"ratio": None, "low": None, "high": None}


@pytest.mark.parametrize("name", ["tunes_asha"])
def test_tunes_asha_keeps_the_most_accurate(name: str) -> None:
    """Its rungs are at 3 and 9 of 27 epochs; of nine trials the third third is stopped."""
    decide = getattr(import_module("replay_strategies"), name)(27, 0)
    kept = []
    for number in range(9):
        record = trial(number, None, 100).model_copy(update={"status": "running"})
        for epoch in range(1, 4):
            report = {"epoch": epoch, "averaged_accuracy": 0.9 - 0.05 * number}
            record = record.model_copy(update={"epochs": (*record.epochs, report)})
            goes_on = decide(record)
            assert goes_on or epoch == 3
        kept.append(goes_on)
    assert kept == [True] + [False] * 8


def test_the_drivers_time_is_that_of_the_jobs(made_table: Any) -> None:
    """Each proposal burns a millisecond of this process."""
    module, replay = import_module("replay_driver"), import_module("replay")

    class Burning(Widths):
        def next(self) -> TrialRecord | None:
            end = time.process_time() + 0.001
            while time.process_time() < end:
                pass
            return super().next()

    found = module.driver_ms(replay.Replay(made_table, 3, largest=5_000), Burning(1_000))
    assert list(found) == ["10", "100", "1000"]
    assert all(1.0 <= milliseconds < 100 for milliseconds in found.values())


def test_the_epochs_before_a_rung_count_once_and_as_soon_as_it_is_reached() -> None:
    volumes = import_module("volumes")
    whole = trial(0, 0.5, 100)
    parts = [whole.model_copy(update={"epochs": whole.epochs * count}) for count in (1, 3)]
    aside, other = parts[0].model_copy(update={"status": "paused"}), trial(1, 0.8, 100)
    found = volumes.growth([aside, other, parts[1]], Objectives(), [1_000], epochs=1)
    assert found.compute.tolist() == [2.0, 4.0]
    assert found.trials == 2


def test_a_front_grows_with_the_epochs_of_those_that_ended() -> None:
    volumes = import_module("volumes")
    records = [trial(0, 0.5, 100), trial(1, None, 10), trial(2, 0.8, 100)]
    records[1] = records[1].model_copy(update={"epochs": records[0].epochs * 3})
    found = volumes.growth(records, Objectives(), [1_000], epochs=2)
    assert found.compute.tolist() == [0.5, 2.5]
    # error 0.5, then 0.2, at two thirds of the log size
    assert found.volume.tolist() == pytest.approx([0.5 / 3, 0.8 / 3])
    assert found.trials == 3
    assert found.at(np.array([0.4, 0.5, 2.4, 2.5])) == pytest.approx([0, 0.5 / 3, 0.5 / 3, 0.8 / 3])
