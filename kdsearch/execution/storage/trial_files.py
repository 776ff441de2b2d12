"""Where the trainings of a phase leave files: checkpoints, weights, crash logs."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path, PurePath

from pyarrow import fs

from kdsearch.errors import RunError
from kdsearch.execution.storage.access import is_remote, patiently, unusable
from kdsearch.results.finalists import weights_file
from kdsearch.results.record import TrialRecord
from kdsearch.training.lineage import parent_file


class TrialFiles:
    """Folders and storage of a phase's trainings.

    Args:
        storage: Ray Tune's storage, which all nodes reach: a folder, or a URI such as
            ``s3://bucket/folder``.
        failures: Folder of crash logs and tracebacks.
        weights: Folder of the weights of finalists, who are scored on the test split.
        parents: Folder of the weights of students that others go on from, where there are any.
    """

    def __init__(
        self,
        storage: str | Path,
        failures: Path,
        weights: Path | None = None,
        parents: Path | None = None,
    ) -> None:
        self.storage = str(storage if "://" in str(storage) else Path(storage).resolve())
        self.failures = failures.resolve()
        self.weights = None if weights is None else weights.resolve()
        self._parents = None if parents is None else parents.resolve()
        self._files, self._root = self._open()
        self._left: list[str] = []

    def _open(self) -> tuple[fs.FileSystem, str]:
        """Find the storage; for Amazon's that asks where the bucket lies."""
        try:
            files, root = patiently(partial(fs.FileSystem.from_uri, self.storage))
            patiently(partial(files.create_dir, root))
        except OSError as error:
            self.check(error)
            raise
        return files, root

    def check(self, error: BaseException) -> None:
        """Tell a failure of the storage apart from others.

        Args:
            error: What has failed where the storage was used too.

        Raises:
            RunError: It is out of reach.
        """
        if why := self.failing(error):
            raise RunError(why) from error

    def failing(self, error: BaseException | None) -> str | None:
        """Why nothing can go on, if folder or storage are out of reach after an error."""
        if not self.failures.is_dir():
            return f"{self.failures.parent} has vanished; bring it back, then go on with --resume"
        lost = error is None or type(error).__module__.startswith("ray.")
        if lost or not is_remote(self.storage):
            return None
        why = unusable(self.storage)
        return why and f"{why}, then go on with --resume"

    def crash_log(self, record: TrialRecord) -> Path:
        """Where a training says why it failed or crashed."""
        return self.failures / f"{record.phase}-{record.number:04d}.log"

    def weights_file(self, record: TrialRecord) -> Path:
        """Where the weights of a finalist's training lie."""
        assert self.weights is not None, "only finalists keep their weights"
        return weights_file(self.weights, record)

    def parent_file(self, key: str) -> Path:
        """Where the weights of a student lie that others go on from, by its task's key."""
        assert self._parents is not None, "no training goes on from another"
        return parent_file(self._parents, key)

    def missing_weights(self, record: TrialRecord, is_parent: bool) -> str | None:
        """That weights of a finalist, or of a parent of others, are not there, in a sentence."""
        needed = [self.parent_file(record.task.key)] if is_parent else []
        if self.weights is not None and record.phase == "finalists":
            needed.append(self.weights_file(record))
        for file in needed:
            if not file.is_file():
                return (
                    f"its weights are not in {file.parent}; give a study.directory that all nodes "
                    "of the cluster share"
                )
        return None

    def relative(self, path: str) -> str:
        """A checkpoint's path below the storage, which may move."""
        return os.path.relpath(path, self._root)

    def uri(self, checkpoint: str) -> str:
        """Where a checkpoint lies, for any node."""
        base, mark, query = self.storage.partition("?")
        return f"{base.rstrip('/')}/{checkpoint}{mark}{query}"

    def remove_others(self, held: set[str], checkpoint: str | None = None) -> None:
        """Remove a training's other checkpoints, and what else earlier Tune trials of it left."""
        in_use = None if checkpoint is None else PurePath(checkpoint).parent
        for path in sorted(held - {checkpoint}):
            folder = PurePath(path).parent
            self.remove(path if folder == in_use else str(folder))

    def remove_unused(self, name: str, needed: set[str]) -> None:
        """Remove the checkpoints below a name that nothing goes on from.

        A process that is lost while it saves leaves a part of one, of which nobody was told.
        """
        try:
            below = fs.FileSelector(f"{self._root}/{name}", allow_not_found=True, recursive=True)
            found = self._files.get_file_info(below)
        except OSError:  # as for what cannot be removed
            return
        paths = [PurePath(self.relative(each.path.rstrip("/"))) for each in found]
        places = {place for path in paths for place in (path, *path.parents)}
        unused = {str(place) for place in places if place.match("trial-*/checkpoint_*")} - needed
        for path in sorted(unused):
            self.remove(path)

    def remove(self, path: str) -> None:
        """Remove a checkpoint, or a Tune trial's folder, if it is still there.

        What cannot be removed now is left for :meth:`remove_rest`: it is no reason to stop.
        """
        try:
            self._remove(f"{self._root}/{path}")
        except OSError:
            self._left.append(path)

    def remove_rest(self) -> int:
        """Try again what could not be removed; how many of it are left then."""
        left, self._left = self._left, []
        for place, path in enumerate(left):
            self.remove(path)
            if self._left:  # out of reach: not to be tried for each
                self._left += left[place + 1 :]
                break
        return len(self._left)

    def _remove(self, path: str) -> None:
        if self._files.get_file_info(path).type != fs.FileType.NotFound:
            self._files.delete_dir(path)
