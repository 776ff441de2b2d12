"""Whole studies with and without cached teacher signals: the same studies.

The first and the killed one are commands of their own; the others share the Ray of this process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

import kdsearch
from kdsearch.data import load_dataset
from kdsearch.execution.connection.session import ray_session
from kdsearch.models import build_network, of_images
from kdsearch.models.weights import load_weights
from kdsearch.spec import ModelConfig, parse_spec
from kdsearch.training.teacher import Reference, Teacher
from tests.command_line import CallCommand
from tests.empty_database import put_database
from tests.user_study import command, lines, start, wait_until

pytestmark = pytest.mark.slow

SPEC = """
study: {name: one, seed: 3, directory: studies}
data: {source: digits, validation: 0.2, test: 0.25, limit: 400, augment: {crop: 1}}
teacher:
  model: {family: convnet, width: 1, depth: 2}
  training: {epochs: 3}
students:
  - {family: convnet, width: {low: 0.3, high: 1.0, log: true}, depth: {choices: [1, 2]}}
methods: [none, kd, kd+fitnet]
training: {epochs: 2, lr: {low: 0.02, high: 0.2, log: true}, clip_grad_norm: 5}
search: {trials: 6, sampler: random}
finalists: {seeds: 2, max: 1, int8: false, latency: false}
"""
SAME = ["trial", "method", "width", "lr", "status"]
SCORES = ["validation_accuracy", "validation_nll", "validation_kl"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("caches")
    put_database(path)
    (path / "space.yaml").write_text(SPEC)
    return path


def words(name: str, *changes: str) -> list[str]:
    settings = [f"study.name={name}", *changes]
    return ["run", "space.yaml", *(word for change in settings for word in ("--set", change))]


def complete(*words: str, folder: Path) -> str:
    """What a command of its own prints on its way to a good end."""
    done = subprocess.run(
        command(*words), cwd=folder, capture_output=True, text=True, timeout=900, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def study(folder: Path, name: str) -> kdsearch.Study:
    return kdsearch.Study.open(folder / "studies" / name)


def parts(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of every file of signals: a file that was written anew has others."""
    found = {}
    for path in folder.glob("*/*.safetensors"):
        facts = path.stat()
        found[str(path.relative_to(folder))] = (facts.st_ino, facts.st_mtime_ns)
    return found


def assert_same_studies(one: kdsearch.Study, other: kdsearch.Study) -> None:
    """Equal but for what rounds otherwise where a teacher answers in batches of another size."""
    pd.testing.assert_frame_equal(one.trials[SAME], other.trials[SAME])
    scores = [name for name in SCORES if name in one.trials]
    assert "validation_accuracy" in scores
    pd.testing.assert_frame_equal(one.trials[scores], other.trials[scores], rtol=0.01, atol=0.02)
    columns = ["trial", "parameters", "test_accuracy"]
    pd.testing.assert_frame_equal(one.front[columns], other.front[columns], rtol=0, atol=0.02)


@pytest.fixture(scope="module")
def printed(folder: Path) -> str:
    """What the study with a cache prints, which the others are compared with."""
    return complete(*words("one"), folder=folder)


@pytest.fixture(scope="module")
def one(folder: Path, printed: str) -> kdsearch.Study:
    return study(folder, "one")


@pytest.fixture(scope="module")
def _ray() -> Iterator[None]:
    with ray_session(parse_spec(SPEC), None):
        yield


Run = Callable[..., str]


@pytest.fixture
def run(
    folder: Path, _ray: None, call_command: CallCommand, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """``run("two", "search.trials=1")``: a study in this process, and what it prints."""
    monkeypatch.chdir(folder)

    def to_a_good_end(*changes: str, resume: bool = False) -> str:
        given = words(*changes, "resources.concurrent=1")
        code, out, err = call_command(*given, *["--resume"] * resume)
        assert (code, err) == (0, "")
        return out

    return to_a_good_end


def test_a_person_sees_what_is_cached_and_the_study_notes_it(
    folder: Path, one: kdsearch.Study, printed: str
) -> None:
    (line,) = [line for line in printed.splitlines() if "the cache in" in line]
    start = "teacher: the cache in studies/.cache holds logits and features of 2 epochs ("
    assert line.startswith(start)
    assert "computed once for all trials" in line
    noted = one.state["cache"]
    assert noted["folder"] == str(folder.resolve() / "studies" / ".cache")
    assert noted["epochs"] == {"teacher": {"logits": 2, "features": 2}}
    assert "errors" not in noted
    files = parts(folder / "studies" / ".cache")
    kinds = sorted(Path(name).name.split("-")[0] for name in files)
    # two epochs of each signal, and the logits of the validation and the test
    assert kinds == ["features"] * 2 + ["logits"] * 4
    stored = sum((folder / "studies" / ".cache" / name).stat().st_size for name in files)
    assert noted["bytes"] <= stored <= noted["bytes"] + 500 * len(files)


def test_trials_read_the_folder_of_the_study_and_no_other(folder: Path, one: object) -> None:
    own = Path(tempfile.gettempdir()) / f"kdsearch-cache-{os.getuid()}"
    keys = {path.name for path in (folder / "studies" / ".cache").iterdir()}
    assert len(keys) == 3
    assert not any((own / key).exists() for key in keys)


def test_without_a_cache_it_is_the_same_study(folder: Path, one: kdsearch.Study, run: Run) -> None:
    before = parts(folder / "studies" / ".cache")
    assert "the teachers run at every step, since cache.disk_gb is 0" in run(
        "live", "cache.disk_gb=0"
    )
    live = study(folder, "live")
    assert_same_studies(one, live)
    assert (live.state["cache"]["bytes"], live.state["cache"]["epochs"]["teacher"]) == (
        0,
        {"logits": 0, "features": 0},
    )
    assert parts(folder / "studies" / ".cache") == before


def test_a_second_study_asks_the_teacher_nothing_that_is_there(
    folder: Path, one: kdsearch.Study, run: Run
) -> None:
    before = parts(folder / "studies" / ".cache")
    printed = run("two", "cache.workers=2", "cache.ahead=2")
    assert "complete already" in printed
    assert "parts of the cache" not in printed  # no group starts for what is there
    assert parts(folder / "studies" / ".cache") == before
    two = study(folder, "two")
    pd.testing.assert_frame_equal(one.trials[SAME + SCORES[:1]], two.trials[SAME + SCORES[:1]])


def test_a_study_killed_in_the_search_goes_on_with_what_is_there(
    folder: Path, one: kdsearch.Study, run: Run
) -> None:
    changes = ("killed", "cache.folder=of_killed")
    path = folder / "studies" / "killed"
    with start(folder, words(*changes)) as process:
        wait_until(lambda: lines(path / "trials.jsonl") >= 2, process)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=300)
    before = parts(folder / "of_killed")
    run(*changes, resume=True)
    after = parts(folder / "of_killed")
    assert {name: after[name] for name in before} == before
    assert len(after) == 6
    assert_same_studies(one, study(folder, "killed"))


def test_workers_build_ahead_in_half_precision_and_leave_nothing_behind(
    folder: Path, one: kdsearch.Study, run: Run
) -> None:
    changes = ("cache.folder=of_ahead", "cache.workers=2", "cache.ahead=2", "cache.dtype=float16")
    printed = run("ahead", *changes).splitlines()
    told = [line for line in printed if "parts of the cache" in line]
    assert told[-1] == "teacher: 2 of 2 parts of the cache are built"
    assert printed.index(told[-1]) < printed.index("search: 6 trainings")
    assert not list((folder / "of_ahead").glob("*.run"))
    (line,) = [line for line in printed if "error of cached logits" in line]
    assert line.endswith(" nats")
    half = study(folder, "ahead")
    errors = half.state["cache"]["errors"]["teacher"]
    assert errors.keys() == {"logits", "features"}
    assert 0 < errors["logits"]["relative"] < 2**-11
    assert_same_studies(one, half)


@pytest.mark.usefixtures("_ray")
def test_signals_that_cannot_be_stored_end_the_study_before_its_search(
    folder: Path, call_command: CallCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = build_network(
        ModelConfig(family="convnet", width=1, depth=2), of_images((1, 8, 8)), 10
    )
    state = network.state_dict()
    state["classifier.bias"] = state["classifier.bias"] + 1e6
    save_file(state, folder / "large.safetensors")
    monkeypatch.chdir(folder)
    changes = ["teacher.checkpoint=large.safetensors", "cache.dtype=float16"]
    code, _, err = call_command(*words("large", *changes))
    assert code == 2
    assert err.count("\n") == 1
    assert "beyond what float16 holds; set cache.dtype to float32" in err
    state_file = json.loads((folder / "studies" / "large" / "study.json").read_text())
    assert state_file["state"] == "failed"
    assert lines(folder / "studies" / "large" / "trials.jsonl") == 0


def test_a_dry_run_tells_what_would_be_kept_and_writes_nothing(
    tmp_path: Path, call_command: CallCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "space.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    code, out, err = call_command(
        "run", "space.yaml", "--dry-run", "--set", "cache.signals=[logits]"
    )
    assert (code, err) == (0, "")
    told = [line for line in out.splitlines() if line.startswith("teacher: ")]
    kept, live = told
    # 320 samples, ten logits of four bytes, two epochs
    assert "the cache in studies/.cache holds logits of 2 epochs (25.6 kB)" in kept
    assert live == "teacher: features computed at every step, since cache.signals leaves them out"
    assert [path.name for path in tmp_path.iterdir()] == ["space.yaml"]


def test_the_teacher_of_a_cache_is_the_trained_one(folder: Path, one: kdsearch.Study) -> None:
    """What is stored under the study's key is what its teacher's weights say of the images."""
    data = load_dataset(one.spec.data)
    network = build_network(one.spec.teacher.model, data.inputs, len(data.classes))
    load_weights(network, folder / one.state["teachers"]["teacher"]["weights"], "the teacher")
    expected = Reference(Teacher(network), data).logits("validation")
    stored = []
    for path in (folder / "studies" / ".cache").glob("*/logits-*.safetensors"):
        (values,) = load_file(path).values()
        if values.shape == expected.shape:
            stored.append(float((values - expected).abs().max()))
    assert min(stored) < 1e-4
