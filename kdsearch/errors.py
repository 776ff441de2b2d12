"""Every error that kdsearch raises on purpose.

::

    KdsearchError
    ├── UserError               what the user asked for cannot be done; exit code 2
    │   ├── SpecError           the search-space file, with file, line and column
    │   ├── DataError           a data set is missing or is not what it should be
    │   ├── ModelError          an architecture that cannot be built
    │   ├── MethodError         a distillation method that cannot work as asked
    │   ├── CheckpointError     a file of weights is missing or belongs to another model
    │   ├── StudyError          a study's directory: exists already, is missing, is of another spec
    │   ├── StorageError        the storage of checkpoints cannot be reached, or not written to
    │   └── MissingExtraError   an optional dependency is not installed
    └── RunError                what was asked for is sound but broke; exit code 1
        ├── DivergedError       a training's loss is not finite
        ├── TeacherError        the teacher's training failed
        ├── StoreError          the MLflow store cannot be reached
        └── ClusterError        the Ray cluster or its job server cannot be reached

Each message is one sentence that says what is wrong and what to do. The command line prints it
without a traceback and leaves with ``exit_code``.
"""

from __future__ import annotations

from typing import ClassVar

from kdsearch.redaction import redacted


class KdsearchError(Exception):
    """Base of every error raised on purpose; passwords in URIs are masked in its message."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str) -> None:
        super().__init__(redacted(message))


class UserError(KdsearchError):
    """The user can fix this: the request itself cannot be carried out."""

    exit_code: ClassVar[int] = 2


class SpecError(UserError):
    """A search-space file that cannot be used.

    Args:
        message: What is wrong and what to do.
        file: The file's name as the user gave it.
        line: 1-based line, where known.
        column: 1-based column, where known.
    """

    def __init__(
        self,
        message: str,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        place = ":".join(str(part) for part in (file, line, column) if part is not None)
        super().__init__(f"{place}: {message}" if place else message)
        self.message = redacted(message)
        self.file = file
        self.line = line
        self.column = column

    def __reduce__(self) -> tuple[type, tuple]:
        return type(self), (self.message, self.file, self.line, self.column)


class DataError(UserError):
    """A data set is missing or is not what it should be."""


class ModelError(UserError):
    """An architecture that cannot be built as asked."""


class MethodError(UserError):
    """A distillation method that cannot work as asked."""


class CheckpointError(UserError):
    """A file of weights is missing, corrupt, or belongs to another model."""


class StudyError(UserError):
    """A study's directory exists already, is missing, or belongs to another spec."""


class StorageError(UserError):
    """The storage of checkpoints cannot be reached, or not written to."""


class MissingExtraError(UserError):
    """An optional dependency is not installed; the message holds the command that installs it."""


class RunError(KdsearchError):
    """What was asked for is sound, but it broke on the way."""


class DivergedError(RunError):
    """A training's loss is not finite."""


class TeacherError(RunError):
    """The teacher's training failed."""


class StoreError(RunError):
    """The MLflow store cannot be reached or refuses what it is given."""


class ClusterError(RunError):
    """The Ray cluster, or its job server, cannot be reached."""


LISTED = "\n  - "
"""What stands before each item of a list in a message: such lines are printed as they are."""


def in_lines(message: str) -> str:
    """A message as it is printed: on one line, but for the lists in it."""
    return LISTED.join(" ".join(part.splitlines()) for part in message.split(LISTED))


def described(error: BaseException) -> str:
    """An exception in a message: its kind and the first line of what it says."""
    kind, said = type(error).__name__, one_line(error).rstrip(".")
    return kind if said == kind else f"{kind}: {said}"


def one_line(error: BaseException | str, *uris: str) -> str:
    """The first line of what an exception says, or its kind if it says nothing.

    Passwords in URIs are masked, also parts of ``uris`` that the exception quotes.
    """
    text = redacted(str(error), *uris)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
