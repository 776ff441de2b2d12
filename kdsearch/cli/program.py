"""The program's application, and what its commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def examples(*lines: str) -> str:
    """The examples at the end of a command's help, one a line."""
    return "\n".join(("Example:" if len(lines) == 1 else "Examples:", *lines))


app = typer.Typer(
    name="kdsearch",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Search distillation methods and their hyperparameters: which distilled student should I "
    "ship?",
    epilog=examples(
        "kdsearch run search_spaces/digits.yaml",
        "kdsearch run search_spaces/digits.yaml --dry-run --set search.trials=10",
        "kdsearch front studies/digits",
        "kdsearch ui studies/digits",
    ),
)


def _print_version(asked: bool) -> None:
    if asked:
        import kdsearch

        print(f"kdsearch {kdsearch.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and leave."
        ),
    ] = False,
) -> None:
    """Options of the program itself."""


Spec = Annotated[Path, typer.Argument(metavar="SPEC", help="The search-space file (YAML).")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a value, such as search.trials=10."),
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="With --resume: train again what has failed.")
]


def _with_study(path: Path) -> Path:
    """Refuse a folder without a study before anything is imported that takes seconds."""
    from kdsearch.results import folder

    folder.StudyFolder(path).state()
    return path


StudyFolder = Annotated[
    Path,
    typer.Argument(
        metavar="STUDY", help="The study's folder, such as studies/digits.", callback=_with_study
    ),
]

Wide = Annotated[
    bool, typer.Option("--wide", help="Print every column, in several tables if need be.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


def open_console() -> Console:
    """Where commands print: the terminal, or a pipe of 160 columns."""
    console = Console()
    # a pipe has no width: give tables the room they need instead of folding them to 80 columns
    return console if console.is_terminal else Console(width=160)
