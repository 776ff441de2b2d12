"""``kdsearch export``: the files, the search-space file and the model card in one folder."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdsearch.errors import StudyError
from kdsearch.export.card import model_card
from kdsearch.export.shipping import ShippedFile, open_shipment, write_shipment
from kdsearch.files import unwritable, write_atomically
from kdsearch.results.front_file import front_content
from kdsearch.results.study import Study
from kdsearch.spec.load import dump_spec

CARD, SPACE = "README.md", "study.yaml"


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Attributes:
        folder: Where.
        content: That of ``front.json``.
        row: The student's row of it.
        files: The student's files.
        samples: Of the test split.
        state: The study's: ``finished``, or how it stands.
    """

    folder: Path
    content: Mapping[str, Any]
    row: Mapping[str, Any]
    files: tuple[ShippedFile, ...]
    samples: int
    state: str


def export_student(
    path: str | Path,
    trial: int,
    formats: Collection[str] = ("onnx",),
    *,
    int8: bool = False,
    folder: Path | None = None,
) -> Exported:
    """Write a finalist as files that run without kdsearch, with a model card.

    A study that has not ended exports the finalists that have a complete training.

    Args:
        path: The study's folder.
        trial: The finalist's number.
        formats: ``onnx``, ``pt2`` of torch.export, and ``safetensors`` for kdsearch itself.
        int8: Whether to write a quantized ONNX file too.
        folder: Where to write; absent: ``exported/trial-NNNN`` in the study's folder.

    Raises:
        UserError: There is no such study or finalist, its data are gone, its network cannot be
            such a file, or the folder cannot be written to.
        RunError: It has no complete training, or a file answers otherwise than the network.
    """
    study = Study.open(path)
    target = folder or study.directory.exported(trial)
    if fault := unwritable(target):
        raise StudyError(
            f"nothing can be written into {target}, since {fault}; give another --output"
        )
    shipment = open_shipment(study, trial)
    files = write_shipment(shipment, target, formats, int8)
    content = front_content(study)
    row = next(row for row in content["front"] if row["trial"] == trial)
    words = ["kdsearch", "export", str(Path(study.spec.study.directory, study.spec.study.name))]
    words += ["--trial", str(trial), *(word for each in formats for word in ("--format", each))]
    command = shlex.join([*words, *(["--int8"] if int8 else [])])
    card = model_card(shipment, content, row, files, command)
    write_atomically(target / SPACE, dump_spec(study.spec).encode())
    write_atomically(target / CARD, card.encode())
    state = study.state.get("state", "unknown")
    return Exported(target, content, row, files, len(shipment.data.test), state)
