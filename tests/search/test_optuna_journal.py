"""Optuna's journal of one writer: the same file as Optuna's own, whatever kills its writer."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from kdsearch.results.objectives import Objectives
from kdsearch.results.record import Journal
from kdsearch.search.optuna_study import open_optuna_study
from kdsearch.spec import parse_spec
from tests.search.test_loop import drive, first, make_jobs, parameters

WRITER = """
import sys
from pathlib import Path
from kdsearch.results.record import Journal
from kdsearch.spec import parse_spec
from tests.search.test_loop import drive, first, make_jobs

folder = Path(sys.argv[1])
jobs, _ = make_jobs(parse_spec((folder / "spec.yaml").read_text()), folder / "optuna")
journal, take_in = Journal(folder / "trials"), jobs.ended
jobs.ended = lambda record: (journal.append(record), take_in(record))
drive(jobs, 2, first)
"""


def read_by_optuna(path: Path) -> list[optuna.trial.FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(path)))
    return optuna.load_study(study_name="tiny", storage=storage).trials


def test_a_trial_put_in_line_from_outside_is_handed_out(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    open_optuna_study(path, "tiny", Objectives()).enqueue_trial({"x": 0.25})
    later = open_optuna_study(path, "tiny", Objectives())
    assert later.ask().suggest_float("x", 0, 1) == 0.25


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_optuna_reads_the_file_as_its_own(spec_text: str, tmp_path: Path, sampler: str) -> None:
    spec = parse_spec(spec_text, [f"search.sampler={sampler}", "search.trials=25"])
    jobs, study = make_jobs(spec, tmp_path / "journal")
    drive(jobs, 2, first)
    assert read_by_optuna(tmp_path / "journal") == study.trials
    again = open_optuna_study(tmp_path / "journal", "tiny", Objectives())
    assert again.trials == study.trials
    assert again.metric_names == ["validation accuracy", "log10 parameters"]


def test_a_proposal_counts_once_it_is_made(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    study = open_optuna_study(path, "tiny", Objectives())
    before = path.read_bytes()
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    assert path.read_bytes() == before
    assert study.trials[0].params == trial.params
    trial.set_user_attr("place", 0)
    assert read_by_optuna(path)[0].params == trial.params
    study.tell(trial.number, [0.5, 3.0])
    assert read_by_optuna(path)[0].state == TrialState.COMPLETE


def test_a_torn_line_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    study = open_optuna_study(path, "tiny", Objectives())
    study.tell(study.ask().number, [0.5, 3.0])
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code":4,"wor')
    again = open_optuna_study(path, "tiny", Objectives())
    assert again.trials == study.trials
    again.tell(again.ask().number, [0.6, 3.0])
    assert [trial.values[0] for trial in read_by_optuna(path)] == [0.5, 0.6]


@pytest.mark.parametrize("ended", [13])
def test_a_killed_process_costs_no_proposal(spec_text: str, tmp_path: Path, ended: int) -> None:
    text = spec_text + "\n"
    spec = parse_spec(text.replace("trials: 12", "trials: 200"))
    (tmp_path / "spec.yaml").write_text(text.replace("trials: 12", "trials: 200"))
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], cwd=Path(__file__).parents[2]
    )
    trials = tmp_path / "trials"
    while not (trials.exists() and trials.read_bytes().count(b"\n") >= ended):
        assert writer.poll() is None, "the writer ended by itself"
        time.sleep(0.01)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    finished = Journal(trials).read()
    assert ended <= len(finished) < 200
    stop = len(finished) + 8
    short = parse_spec(text.replace("trials: 12", f"trials: {stop}"))
    rest = drive(make_jobs(short, tmp_path / "optuna", finished)[0], 2, first)
    whole = drive(make_jobs(short, tmp_path / "whole")[0], 2, first)
    assert spec.study == short.study
    assert parameters([*finished.values(), *rest]) == parameters(whole)
