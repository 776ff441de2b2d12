"""The command line that every benchmark has: measure, keep the figures as JSON, show a table."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console, RenderableType

from kdsearch.files import write_atomically

WIDTH = 110
"""Columns of the tables, also where the output goes to a file."""

Found = TypeVar("Found")


def command_line(doc: str, quick: str) -> ArgumentParser:
    """A parser of the options that all benchmarks have.

    Args:
        doc: Of the benchmark; its first line describes it.
        quick: What ``--quick`` does.
    """
    parser = ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help=quick)
    help_text = "file that the results go to"
    parser.add_argument("--json", type=results_file, metavar="PATH", help=help_text)
    return parser


def keeps_outcomes(parser: ArgumentParser) -> None:
    """Add the option of benchmarks that go on where they were cut off."""
    help_text = "folder of what is done; run again with it, the benchmark goes on there"
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help=help_text)


def results_file(name: str) -> Path:
    """A file that can be written, tried before anything is measured.

    Raises:
        ArgumentTypeError: It cannot; argparse ends with what it says.
    """
    file = Path(name)
    try:
        if file.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        tempfile.TemporaryFile(dir=file.parent).close()
    except OSError as error:
        told = f"{name} cannot be written ({error.strerror}); give a file in a folder that can"
        raise ArgumentTypeError(told) from None
    return file


def write_results(file: Path, found: Any) -> None:
    """Write figures as JSON, whole or not at all."""
    write_atomically(file, (json.dumps(found, indent=1) + "\n").encode())


def carry_out(
    results: Path | None,
    measure: Callable[[Console], Found],
    show: Callable[[Found], RenderableType],
) -> None:
    """Measure, write the figures and show them with the minutes that it took.

    Args:
        results: Takes the figures as JSON; ``None``: they are shown alone.
        measure: Gives the figures, and may tell on a console how far it is.
        show: Makes something for the terminal of them.
    """
    start = time.perf_counter()
    found = measure(Console(file=sys.stderr, highlight=False))
    if results is not None:
        write_results(results, found)
    console = Console(width=WIDTH, highlight=False)
    console.print(show(found))
    console.print(f"{(time.perf_counter() - start) / 60:.1f} minutes")
