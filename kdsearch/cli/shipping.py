"""``kdsearch export``: a student as files that run without kdsearch."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kdsearch.cli.picking import (
    Least,
    MaxBytes,
    MaxLatency,
    MaxMacs,
    MaxParameters,
    MinRetained,
    Most,
    limits_of,
)
from kdsearch.cli.program import StudyFolder, app, examples, open_console
from kdsearch.cli.summaries import read_summary
from kdsearch.errors import UserError


class _Format(StrEnum):
    onnx = "onnx"
    pt2 = "pt2"
    safetensors = "safetensors"


@app.command(
    epilog=examples(
        "kdsearch export studies/digits",
        "kdsearch export studies/digits --max-parameters 5k --int8",
        "kdsearch export studies/digits --trial 53 --format onnx --format pt2",
    )
)
def export(
    study: StudyFolder,
    trial: Annotated[
        int | None, typer.Option(metavar="N", help="This finalist; absent: what pick names.")
    ] = None,
    formats: Annotated[
        list[_Format] | None,
        typer.Option("--format", help="A format; may be repeated. Absent: onnx."),
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Also a quantized ONNX file, with its own test scores.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Absent: STUDY/exported/trial-NNNN."),
    ] = None,
    max_parameters: MaxParameters = None,
    max_macs: MaxMacs = None,
    max_bytes: MaxBytes = None,
    max_latency: MaxLatency = None,
    min_retained: MinRetained = None,
    most: Most = None,
    least: Least = None,
) -> None:
    """Export a student as ONNX or torch.export program, with a model card.

    The files take samples as they are: normalisation and resizing are inside.
    Each is compared with PyTorch on real samples of the study's data.
    """
    from kdsearch.render.steps import Steps
    from kdsearch.results.pick import pick

    content = read_summary(study, "front")
    sizes = (max_parameters, max_macs, max_bytes, max_latency)
    limits = limits_of(content, sizes, min_retained, most, least)
    if trial is not None and limits:
        raise UserError("--trial names the student, so limits have no effect; give one of the two")
    number = trial if trial is not None else int(pick(content, limits).row["trial"])
    names = [each.value for each in formats or (_Format.onnx,)]
    console = open_console()
    with Steps(console, piped=False) as steps:
        steps.show("loading PyTorch")
        from kdsearch.export.exported import export_student

        steps.show("writing the files and checking them on the study's data")
        done = export_student(study, number, names, int8=int8, folder=output)
    from kdsearch.render.exported import exported_lines

    for line in exported_lines(done):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
