from __future__ import annotations

from pathlib import Path

import pytest

from kdsearch.cluster import working_dir
from kdsearch.cluster.working_dir import fill_working_dir, own_modules
from kdsearch.errors import UserError
from kdsearch.spec.load import load_spec


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


def sent(target: Path) -> set[str]:
    return {path.relative_to(target).as_posix() for path in target.rglob("*") if not path.is_dir()}


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")


def test_modules_are_those_of_source_teacher_and_students(spec_file: Path) -> None:
    spec = load_spec(
        spec_file,
        [
            "data.source=shapes.io:load",
            "teacher.model.family=nets:big",
            "students.0.family=nets:small",
        ],
    )
    assert own_modules(spec) == ["shapes.io", "nets", "nets"]
    assert own_modules(load_spec(spec_file)) == []


def test_a_spec_without_own_modules_travels_alone(spec_file: Path, target: Path) -> None:
    write(spec_file.parent, "other.py", "data/huge.bin")
    assert fill_working_dir(load_spec(spec_file), spec_file, target) == Path("tiny.yaml")
    assert sent(target) == {"tiny.yaml"}
    assert (target / "tiny.yaml").read_bytes() == spec_file.read_bytes()


def test_own_modules_take_their_folder_along(spec_file: Path, target: Path) -> None:
    folder = spec_file.parent
    write(folder, "shapes.py", "helpers/angles.py", "classes.txt", ".env", ".git/config")
    write(folder, "mlflow.db", "mlruns/1/x", "studies/x/trials.jsonl", "__pycache__/a.pyc")
    spec = load_spec(spec_file, ["data.source=shapes:load"])
    assert fill_working_dir(spec, spec_file, target) == Path("tiny.yaml")
    assert sent(target) == {"tiny.yaml", "shapes.py", "helpers/angles.py", "classes.txt"}
    assert (target / "helpers/angles.py").read_text() == "# helpers/angles.py\n"


def test_data_and_studies_inside_the_folder_stay_behind(spec_file: Path, target: Path) -> None:
    folder = spec_file.parent
    write(folder, "shapes.py", "images/a.png", "results/x/spec.yaml")
    spec = load_spec(
        spec_file,
        [
            "data.source=shapes:load",
            f"data.root={folder}/images",
            f"study.directory={folder}/results",
        ],
    )
    fill_working_dir(spec, spec_file, target)
    assert sent(target) == {"tiny.yaml", "shapes.py"}


def test_the_current_directory_comes_first(
    spec_file: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "specs"
    write(project, "nets/__init__.py")
    below = project / "spaces" / "s.yaml"
    below.parent.mkdir()
    spec_file.rename(below)
    write(below.parent, "nets.py")
    monkeypatch.chdir(project)
    spec = load_spec("spaces/s.yaml", ["students.0.family=nets:small"])
    place = fill_working_dir(spec, Path("spaces/s.yaml"), target)
    assert place == Path("spaces/s.yaml")
    assert sent(target) == {"spaces/s.yaml", "nets/__init__.py", "spaces/nets.py"}


def test_a_spec_from_elsewhere_joins_the_modules(
    spec_file: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "project", "nets.py")
    monkeypatch.chdir(tmp_path / "project")
    spec = load_spec(spec_file, ["students.0.family=nets:small"])
    assert fill_working_dir(spec, spec_file, target) == Path("tiny.yaml")
    assert sent(target) == {"tiny.yaml", "nets.py"}


def test_a_module_that_is_not_here_is_left_to_the_cluster(spec_file: Path, target: Path) -> None:
    spec = load_spec(spec_file, ["data.source=installed_there:load"])
    fill_working_dir(spec, spec_file, target)
    assert sent(target) == {"tiny.yaml"}


def test_a_heavy_folder_is_refused_and_its_heaviest_part_named(
    spec_file: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working_dir, "LIMIT", 3 * 2**20)
    folder = spec_file.parent
    write(folder, "shapes.py")
    spec = load_spec(spec_file, ["data.source=shapes:load"])
    (folder / "images").mkdir()
    for name in ("a", "b"):
        (folder / "images" / name).write_bytes(bytes(2**20))
    fill_working_dir(spec, spec_file, target)
    assert "images/a" in sent(target)
    (folder / "images" / "c").write_bytes(bytes(2**20))
    with pytest.raises(UserError, match=r"more than 3 MB \(images is the largest\)"):
        fill_working_dir(spec, spec_file, target)


def test_a_folder_that_cannot_be_copied_is_told(spec_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be sent with the job"):
        fill_working_dir(load_spec(spec_file), spec_file, tmp_path / "missing")
