"""Where the trainings of a phase leave files: checkpoints, weights, crash logs."""

from __future__ import annotations

import os
from pathlib import Path

from pyarrow import fs

from kdsearch.results.finalists import weights_file
from kdsearch.results.record import TrialRecord


class TrialFiles:
    """Folders and storage of a phase's trainings.

    Args:
        storage: Ray Tune's storage, which all nodes reach: a folder, or a URI such as
            ``s3://bucket/folder``.
        failures: Folder of crash logs and tracebacks.
        weights: Folder of the weights of finalists, who are scored on the test split.
    """

    def __init__(self, storage: str | Path, failures: Path, weights: Path | None = None) -> None:
        self.storage = storage if _is_uri(storage) else str(Path(storage).resolve())
        self.failures = failures.resolve()
        self.weights = None if weights is None else weights.resolve()
        self._files, self._root = fs.FileSystem.from_uri(self.storage)

    def crash_log(self, record: TrialRecord) -> Path:
        """Where a training says why it failed or crashed."""
        return self.failures / f"{record.phase}-{record.number:04d}.log"

    def weights_file(self, record: TrialRecord) -> Path:
        """Where the weights of a finalist's training lie."""
        assert self.weights is not None, "only finalists keep their weights"
        return weights_file(self.weights, record)

    def missing_weights(self, record: TrialRecord) -> str | None:
        """That a finalist's weights are not there, in a sentence."""
        if self.weights is None or record.phase != "finalists":
            return None
        if self.weights_file(record).is_file():
            return None
        return (
            f"its weights are not in {self.weights}; give a study.directory that all nodes of the "
            "cluster share"
        )

    def relative(self, path: str) -> str:
        """A checkpoint's path below the storage, which may move."""
        return os.path.relpath(path, self._root)

    def uri(self, checkpoint: str) -> str:
        """Where a checkpoint lies, for any node."""
        base, mark, query = str(self.storage).partition("?")
        return f"{base.rstrip('/')}/{checkpoint}{mark}{query}"

    def remove(self, checkpoint: str) -> None:
        """Remove a checkpoint that is no longer needed, if it is still there."""
        path = f"{self._root}/{checkpoint}"
        if self._files.get_file_info(path).type != fs.FileType.NotFound:
            self._files.delete_dir(path)


def _is_uri(storage: str | Path) -> bool:
    return "://" in str(storage)
