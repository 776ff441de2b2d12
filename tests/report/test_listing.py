"""The list of studies, which is made without PyTorch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kdsearch.errors import UserError
from kdsearch.export.report import write_tables
from kdsearch.report.listing import studies_below
from tests.command_line import CallCommand

from .made import CLASSES, TASKS, make_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished studies, one that is interrupted, one that is damaged, and what is none."""
    below = tmp_path_factory.mktemp("studies")
    for name, text in (("classes", CLASSES), ("tasks", TASKS), ("cut", CLASSES), ("torn", CLASSES)):
        study = make_study(below, text, name)
        if name in ("classes", "tasks"):
            write_tables(study)
    from kdsearch.results.directory import StudyDirectory

    StudyDirectory(below / "cut").update(state="interrupted")
    with (below / "cut" / "trials.jsonl").open("a") as file:
        file.write('{"number": 99, "status": "compl')  # a crash tore it off
    (below / "torn" / "study.json").write_text("{")
    (below / ".cache").mkdir()
    (below / "notes").mkdir()
    (below / "file").touch()
    return below


def test_studies_are_told_from_their_files(folder: Path) -> None:
    classes, cut, tasks, torn = studies_below(folder)
    assert [each.name for each in (classes, cut, tasks, torn)] == [
        "classes",
        "cut",
        "tasks",
        "torn",
    ]
    assert (classes.state, classes.trials) == (
        "finished",
        {"complete": 30, "stopped": 24, "failed": 6},
    )
    assert classes.best["score"].startswith("accuracy 9")
    assert classes.best["size"].endswith(" parameters")
    assert tasks.best["score"].startswith("ink MAE 0.")
    assert tasks.best["size"].endswith(" MACs")
    assert (cut.state, cut.best, sum(cut.trials.values())) == ("interrupted", {}, 60)
    assert torn.state == "damaged"
    assert "restore it" in torn.fault


def test_the_best_is_the_least_where_lower_is_better(folder: Path) -> None:
    from kdsearch.results.study import Study

    front = Study.open(folder / "tasks").front
    best = front.loc[front["test_ink/mae"].idxmin()]
    (told,) = (each.best for each in studies_below(folder) if each.name == "tasks")
    assert told["score"] == f"ink MAE {best['test_ink/mae']:.3f} ± {best['test_ink/mae_ci']:.3f}"
    assert told["size"] == f"{best['macs']:,} MACs"


def test_no_torch_is_imported(folder: Path) -> None:
    code = (
        "import sys; from kdsearch.cli import main; sys.argv[1:] = ['ls', sys.argv[1]]\n"
        "try: main()\n"
        "except SystemExit as left: assert not left.code\n"
        "assert not {'torch', 'pandas', 'optuna', 'ray', 'mlflow', 'plotly'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split()[:3] == ["study", "state", "trials"]
    assert [line.split()[0] for line in lines[1:5]] == ["classes", "cut", "tasks", "torn"]
    assert "30 of 60" in lines[1]
    assert lines[5].startswith("torn: ")


def test_a_folder_without_studies_is_told(tmp_path: Path, call_command: CallCommand) -> None:
    assert call_command("ls", str(tmp_path))[:2] == (0, f"there is no study in {tmp_path}\n")
    with pytest.raises(UserError, match="there is no folder"):
        studies_below(tmp_path / "absent")


def test_commands_print_and_write(folder: Path, call_command: CallCommand, tmp_path: Path) -> None:
    study = str(folder / "classes")
    code, out, err = call_command("report", study, "--to", str(tmp_path))
    assert (code, err) == (0, "")
    paths = [Path(line) for line in out.splitlines()]
    assert paths[0] == tmp_path / "report.html"
    assert len(paths) == 7
    assert all(path.stat().st_size > 1000 for path in paths)
    code, out, err = call_command("importance", study)
    assert (code, err) == (0, "")
    assert "convnet.width" in out
    code, out, err = call_command("compare", study, str(folder / "cut"))
    assert (code, err) == (0, "")
    assert "up to" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("report", "STUDY", "--to", "STUDY/spec.yaml"), "spec.yaml is not a folder"),
        (("compare", "STUDY"), "give two studies or more, each once"),
        (("compare", "STUDY", "STUDY"), "give two studies or more, each once"),
        (("compare", "STUDY", "absent"), "there is no study in absent"),
        (("ls", "absent"), "there is no folder absent"),
    ],
)
def test_a_wrong_request_is_one_sentence(
    folder: Path, call_command: CallCommand, words: tuple[str, ...], told: str
) -> None:
    study = str(folder / "classes")
    code, out, err = call_command(*(word.replace("STUDY", study) for word in words))
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1
