"""Pages of the documentation whose examples are run as they stand, but for their length."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.user_study import command

SHORTER = (
    "teacher.training.epochs=3",
    "training.epochs=3",
    "search.trials=5",
    "finalists.seeds=2",
    "finalists.max=1",
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

    def run(self, name: str, folder: Path) -> str:
        """Run an example in a folder with the page's modules; what it printed, in one line."""
        return self.run_text(self.spaces()[name], folder)

    def run_text(
        self, text: str, folder: Path, changes: Sequence[str] = SHORTER, seconds: int = 400
    ) -> str:
        """The same of a search space, with other changes or more time."""
        (folder / "space.yaml").write_text(text)
        codes = re.findall(r"```python\n(.*?)```", self.text, re.DOTALL)
        for module, code in zip(self._modules, codes, strict=True):
            (folder / f"{module}.py").write_text(code)
        words = [word for change in changes for word in ("--set", change)]
        done = subprocess.run(
            command("run", "space.yaml", *words),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return re.sub(r"\s+", " ", done.stdout)


TASKS = Page("tasks.md", ("my_tags", "my_ink", "my_scans"))
