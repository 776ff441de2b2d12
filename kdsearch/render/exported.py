"""What an export wrote, in lines for a person."""

from __future__ import annotations

from collections.abc import Iterator

from kdsearch.export.exported import CARD, Exported
from kdsearch.results.limits import told, told_size
from kdsearch.results.naming import small_student_told


def exported_lines(done: Exported) -> Iterator[str]:
    """The student, a line for each file, and where they are."""
    row, objective = done.row, done.content["objective"]
    if done.state != "finished":
        yield (
            f"the study has not ended ({done.state}): this is the best of its "
            f"{row['seeds']} trainings so far"
        )
    yield f"trial {row['trial']}: {row['method']}, {small_student_told(row)}"
    width = max(len(file.name) for file in done.files)
    for file in done.files:
        parts = [f"{file.name:{width}}", f"{told_size('bytes', file.bytes):>10}"]
        if objective in file.scores:
            head = done.content["metrics"][objective]["head"]
            parts.append(f"{head} {told(done.content, objective, file.scores[objective])}")
        if file.difference is not None:
            within = f"within {file.difference:.0e} of" if file.difference else "equal to"
            parts.append(f"outputs {within} PyTorch's")
        yield "  " + "  ".join(parts)
    if any(file.scores for file in done.files):
        yield f"scored on the {done.samples:,} test samples"
    yield f"in {done.folder}"
    yield f"{CARD} there is the model card: fill in its licence"
