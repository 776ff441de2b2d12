"""What the runs of a study are called, shown under, and told of: as MlflowClient reads it back."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from mlflow.entities import Run

from kdsearch.methods import method_config
from kdsearch.results.record import TrialRecord
from kdsearch.results.study import Study
from kdsearch.tracking.described import rounded
from kdsearch.tracking.lookup import search_runs
from kdsearch.tracking.store import Store
from kdsearch.tracking.writer import Writer
from tests.tracking.conftest import POINTS

PARENT = "mlflow.parentRunId"


def written(store: Store, study: Study, records: list[TrialRecord]) -> dict[str, list[Run]]:
    """The runs that a writer leaves of some records, by kind."""
    writer = Writer(store, study)
    writer.begin()
    for record in records:
        writer.write_trial(record)
    found: dict[str, list[Run]] = {}
    for run in search_runs(store, study, "tags.kind != 'nothing'"):
        found.setdefault(run.data.tags["kind"], []).append(run)
    return found


def test_trainings_that_judge_are_under_the_trial_that_they_judge(
    study: Study, store: Store, records: list[TrialRecord]
) -> None:
    judged = list(study.directory.finalists.read().values())
    runs = written(store, study, [*records, *judged])
    (parent,) = runs["study"]
    trials = {int(run.data.tags["number"]): run for run in runs["trial"]}
    assert len(trials) == len(records)
    assert {run.data.tags[PARENT] for run in trials.values()} == {parent.info.run_id}
    seeds = study.spec.finalists.seeds
    finalists = {finalist.trial.number: finalist for finalist in study.finalists()}
    assert len(runs["finalist"]) == seeds * len(finalists)
    for run in (*runs["finalist"], *runs["baseline"], *runs["sweep"]):
        trial = trials[int(run.data.tags["trial"])]
        assert run.data.tags[PARENT] == trial.info.run_id
        assert run.data.params["width"] == trial.data.params["width"]
        assert int(run.data.tags["trial"]) in finalists
    for run in runs["finalist"]:
        finalist = finalists[int(run.data.tags["trial"])]
        (own,) = (each for each in finalist.runs if str(each.number) == run.data.tags["number"])
        assert own.test is not None
        assert run.data.metrics["test/accuracy"] == pytest.approx(own.test["accuracy"], abs=5e-5)
        assert run.data.params["method"] == finalist.trial.task.method.label
    for run in (*runs["baseline"], *runs["sweep"]):
        assert run.data.params["method"] == "none"
    by_trial = Counter(run.data.tags["trial"] for run in runs["baseline"])
    assert by_trial == {str(number): seeds for number in finalists}
    assert not any(name.startswith("test/") for run in runs["sweep"] for name in run.data.metrics)


def test_runs_are_called_by_what_they_are(
    study: Study, store: Store, records: list[TrialRecord]
) -> None:
    judged = list(study.directory.finalists.read().values())
    runs = written(store, study, [*records, *judged])
    names = {int(run.data.tags["number"]): run.info.run_name for run in runs["trial"]}
    sizes = {number: size for number, (_, size) in enumerate(POINTS)}
    assert names == {
        number: f"{'none' if number == 2 else 'kd'} {size:,} parameters"
        for number, size in sizes.items()
    }
    own = [run.info.run_name for run in runs["finalist"] if run.data.tags["trial"] == "3"]
    told = [name.partition(" parameters, ") for name in sorted(own)]
    assert [(what.startswith("kd "), seed) for what, _, seed in told] == [
        (True, f"seed {seed}") for seed in range(1, study.spec.finalists.seeds + 1)
    ]
    assert all(run.info.run_name.startswith("undistilled ") for run in runs["baseline"])
    assert all(run.info.run_name.startswith("tuning undistilled ") for run in runs["sweep"])


def with_method(record: TrialRecord, label: str, values: dict[str, float]) -> TrialRecord:
    task = record.task.model_copy(update={"method": method_config(label, values)})
    searched = {f"{label}.{name}": value for name, value in values.items()}
    return record.model_copy(update={"task": task, "parameters": searched})


def test_parameters_have_the_same_names_whatever_the_method(
    study: Study, store: Store, records: list[TrialRecord]
) -> None:
    made = [
        with_method(records[0], "kd", {"weight": 0.123456, "temperature": 3.0}),
        with_method(records[1], "dist", {"weight": 2.0, "temperature": 5.0}),
        with_method(
            records[3], "kd+rkd", {"kd.weight": 1.5, "kd.temperature": 6.5, "rkd.angle": 9.0}
        ),
        records[2],
    ]
    runs = {int(run.data.tags["number"]): run for run in written(store, study, made)["trial"]}
    params = {number: run.data.params for number, run in runs.items()}
    uniform = {"method", "family", "width", "ce_weight", "method_weight"}
    assert all(uniform <= each.keys() for each in params.values())
    assert params[0].keys() == params[1].keys() == params[2].keys() | {"temperature"}
    assert (params[0]["method_weight"], params[0]["temperature"]) == ("0.1235", "3")
    assert (params[1]["method_weight"], params[1]["temperature"]) == ("2", "5")
    assert params[2]["method_weight"] == "0"
    weights = [term.hyperparameters["weight"] for term in made[2].task.method.terms]
    assert float(params[3]["method_weight"]) == pytest.approx(sum(weights), rel=1e-3)
    assert params[3]["temperature"] == "6.5"
    assert params[3].keys() - params[0].keys() == {"kd.weight", "rkd.angle"}


def test_a_run_has_the_times_of_its_training(
    study: Study, store: Store, records: list[TrialRecord]
) -> None:
    began = 1_700_000_000.25
    record = records[3].model_copy(update={"started": began, "finished": began + 7.5})
    (run,) = written(store, study, [record])["trial"]
    assert (run.info.start_time, run.info.end_time) == (1_700_000_000_250, 1_700_000_007_750)
    points = store.client.get_metric_history(run.info.run_id, "train/loss")
    assert [(point.step, point.timestamp) for point in sorted(points, key=lambda p: p.step)] == [
        (epoch, 1000 * epoch + 1_700_000_000_250) for epoch in (1, 2, 3)
    ]
    assert run.data.metrics.keys() == {
        *(f"train/{name}" for name in ("loss", "learning_rate", "epoch_seconds")),
        *(f"search/{name}" for name in ("accuracy", "nll", "ece", "agreement", "kl")),
        *(f"size/{name}" for name in ("parameters", "macs", "bytes")),
        *(f"size/log10_{name}" for name in ("parameters", "macs", "bytes")),
    }
    assert run.data.metrics["size/log10_parameters"] == pytest.approx(math.log10(9_000))
    assert run.data.tags["epochs"] == "3"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.97312345, 0.9731),
        (1.98520744, 1.9852),
        (12345.67891, 12345.6789),
        (0.000034916342, 0.00003492),
        (-0.034916342, -0.03492),
        (0.0, 0.0),
        (math.inf, math.inf),
    ],
)
def test_four_digits_of_a_number_are_told(value: float, expected: float) -> None:
    assert rounded(value) == expected
