"""Pages of the documentation whose examples are run as they stand, but for their length."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from kdsearch.spec import load_spec
from tests.command_line import CallCommand
from tests.empty_database import put_database
from tests.own_ray import ray_in
from tests.teachers import train_teachers
from tests.user_study import command

MEASURED = ("finalists.int8=true", "finalists.latency=true")
"""For an example whose finalists are also measured in int8 and timed, as by default."""

SHORTER = (
    "teacher.training.epochs=3",
    "training.epochs=3",
    "search.trials=5",
    "finalists.seeds=2",
    "finalists.max=1",
    "finalists.int8=false",
    "finalists.latency=false",
    "resources.concurrent=1",
    "tracking.uri=sqlite:///mlflow.db",
)


class Page:
    """A page of ``docs/``.

    Args:
        name: Of its file.
        modules: The user's modules that its Python blocks are, in their order.
    """

    def __init__(self, name: str, modules: tuple[str, ...]) -> None:
        self.text = (Path(__file__).parents[1] / "docs" / name).read_text()
        self._modules = modules

    def spaces(self) -> dict[str, str]:
        """The search spaces of the page by the study's name."""
        found = re.findall(r"```yaml\n(.*?)```", self.text, re.DOTALL)
        return {re.search(r"name: (\w+)", text)[1]: text for text in found}  # type: ignore[index]

    def run(
        self,
        name: str,
        folder: Path,
        call: CallCommand,
        changes: Sequence[str] = SHORTER,
        trains_teachers: bool = False,
    ) -> str:
        """Run an example in a folder with the page's modules, as :meth:`run_in_place`."""
        with self.place(folder):
            return self.run_in_place(self.spaces()[name], folder, call, changes, trains_teachers)

    def run_command(self, text: str, folder: Path, changes: Sequence[str], seconds: int) -> str:
        """The same of a search space in a process of its own, which may take so long."""
        self._write(text, folder)
        done = subprocess.run(
            command(*_words(changes)),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return _one_line(done.stdout)

    @contextmanager
    def place(self, folder: Path) -> Iterator[Path]:
        """The folder with the page's modules, and a Ray for several examples that run in it."""
        self._write(next(iter(self.spaces().values())), folder)
        with ray_in(folder):
            yield folder

    def run_in_place(
        self,
        text: str,
        folder: Path,
        call: CallCommand,
        changes: Sequence[str] = SHORTER,
        trains_teachers: bool = False,
    ) -> str:
        """Run a search space in this process, in a folder of :meth:`place`; what it printed.

        Its teachers are there already, as of an earlier study, unless it ``trains_teachers``.
        """
        self._write(text, folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            if not trains_teachers:
                train_teachers(load_spec(Path("space.yaml"), changes))
            code, out, err = call(*_words(changes))
        assert code == 0, out + err
        return _one_line(out)

    def _write(self, text: str, folder: Path) -> None:
        put_database(folder)
        (folder / "space.yaml").write_text(text)
        codes = re.findall(r"```python\n(.*?)```", self.text, re.DOTALL)
        for module, code in zip(self._modules, codes, strict=True):
            (folder / f"{module}.py").write_text(code)


def _words(changes: Sequence[str]) -> list[str]:
    return ["run", "space.yaml", *(word for change in changes for word in ("--set", change))]


def _one_line(printed: str) -> str:
    return re.sub(r"\s+", " ", printed)


TASKS = Page("tasks.md", ("my_tags", "my_ink", "my_scans"))
