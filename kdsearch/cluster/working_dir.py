"""The files that travel with a job: the spec, and the user's own modules beside it."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path

from kdsearch.errors import UserError
from kdsearch.spec.study import StudySpec

LIMIT = 100 * 2**20
"""Bytes that may travel with a job; Ray keeps them in the memory of its head."""

LEFT_OUT = frozenset({"studies", "mlruns", "mlartifacts", "mlflow.db", "__pycache__", "venv"})
"""Names that never travel, beside hidden ones, the data set's folder and the studies'."""


def fill_working_dir(spec: StudySpec, file: Path, target: Path) -> Path:
    """Copy into an empty folder what a job needs.

    A spec that names no ``module:function`` travels alone. Otherwise the folder that holds the
    first such module travels whole, less what :data:`LEFT_OUT` says: the current directory, where
    ``kdsearch run`` looks too, or else the spec's own folder. A module in neither is left to what
    is installed on the cluster.

    Args:
        spec: The study, loaded from ``file``.
        file: The search-space file.
        target: The empty folder.

    Returns:
        The search-space file, relative to ``target``.

    Raises:
        UserError: What would travel is larger than :data:`LIMIT`, or cannot be read.
    """
    folder = _folder_of_modules(spec, file)
    try:
        if folder is None:
            shutil.copy2(file, target / file.name)
            return Path(file.name)
        for path in _light_enough(spec, folder):
            copy = target / path.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)
        inside = file.resolve().is_relative_to(folder)
        place = file.resolve().relative_to(folder) if inside else Path(file.name)
        (target / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target / place)
        return place
    except OSError as error:
        raise UserError(
            f"{folder or file} cannot be sent with the job ({error}); make it readable"
        ) from error


def own_modules(spec: StudySpec) -> list[str]:
    """The modules of the spec's ``module:name`` entries."""
    names = [spec.data.source, *([spec.target.source] if spec.target else [])]
    names += [teacher.model.family for teacher in spec.given_teachers.values()]
    names += [student.family for student in spec.students]
    names += [part for label in (*spec.methods, *spec.ways) for part in label.split("+")]
    return [name.partition(":")[0] for name in names if ":" in name]


def _folder_of_modules(spec: StudySpec, file: Path) -> Path | None:
    tops = [module.partition(".")[0] for module in own_modules(spec)]
    for folder in (Path.cwd(), file.resolve().parent):
        if any(PathFinder.find_spec(top, [str(folder)]) for top in tops):
            return folder
    return None


def _light_enough(spec: StudySpec, folder: Path) -> list[Path]:
    """The files of ``folder`` that travel, if they are small enough together."""
    roots = (spec.data.root, spec.target.root if spec.target else None, spec.study.directory)
    apart = {path.resolve() for path in roots if path is not None}
    files: list[Path] = []
    sizes: Counter[str] = Counter()
    for path in _files(folder, apart):
        files.append(path)
        sizes[path.relative_to(folder).parts[0]] += path.stat().st_size
        if sizes.total() > LIMIT:
            heaviest, _ = sizes.most_common(1)[0]
            raise UserError(
                f"{folder} would travel with the job, since the spec names a module in it, but "
                f"holds more than {LIMIT // 2**20} MB ({heaviest} is the largest); put the spec "
                "and its modules into a folder of their own"
            )
    return files


def _files(folder: Path, apart: set[Path]) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):
        parent = Path(here)
        folders[:] = [
            name for name in folders if _travels(name) and (parent / name).resolve() not in apart
        ]
        yield from (parent / name for name in names if _travels(name) and (parent / name).is_file())


def _travels(name: str) -> bool:
    return not name.startswith(".") and name not in LEFT_OUT
