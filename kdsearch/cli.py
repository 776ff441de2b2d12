"""The command line: ``kdsearch run``, ``validate``, ``front``, ``ranking``, ``methods``, …

Exit codes: 0 done, 1 failed, 2 usage or spec, 130 interrupted, 141 nobody read on.
"""

from __future__ import annotations

import shlex
import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from kdsearch.errors import KdsearchError, in_lines
from kdsearch.import_path import current_directory_searched
from kdsearch.interrupts import INTERRUPTED, Interrupts
from kdsearch.redaction import redacted
from kdsearch.streams import pipe_closed, print_what_can_be_printed


def _examples(*lines: str) -> str:
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
    epilog=_examples(
        "kdsearch run search_spaces/digits.yaml",
        "kdsearch run search_spaces/digits.yaml --dry-run --set search.trials=10",
        "kdsearch front studies/digits",
        "kdsearch ui studies/digits",
    ),
)

PIPE_CLOSED = 128 + signal.SIGPIPE

Spec = Annotated[Path, typer.Argument(metavar="SPEC", help="The search-space file (YAML).")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a value, such as search.trials=10."),
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="With --resume: train again what has failed.")
]
StudyFolder = Annotated[
    Path, typer.Argument(metavar="STUDY", help="The study's folder, such as studies/digits.")
]


def _console() -> Console:
    console = Console()
    # a pipe has no width: give tables the room they need instead of folding them to 80 columns
    return console if console.is_terminal else Console(width=160)


@app.command(
    epilog=_examples(
        "kdsearch run search_spaces/digits.yaml",
        "kdsearch run search_spaces/digits.yaml --set search.trials=20 --set study.name=quick",
        "kdsearch run search_spaces/digits.yaml --resume",
    )
)
def run(
    spec: Spec,
    overrides: Sets = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check all, print samples and cost, train nothing.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a study that was cut off or extended.")
    ] = False,
    retry_failed: RetryFailed = False,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to run on; default: RAY_ADDRESS, else here.")
    ] = None,
) -> None:
    """Run a study: teacher, search, finalists, report."""
    from kdsearch.execution.connection.private_ray import check_home
    from kdsearch.results.resume import check_retry
    from kdsearch.spec.load import load_spec

    check_retry(resume, retry_failed)
    loaded = load_spec(spec, overrides or [])
    check_home()
    if dry_run:
        _dry_run(loaded, resume, retry_failed)
        return
    from kdsearch.api import run_study
    from kdsearch.display import Display

    console = _console()
    try:
        study = run_study(
            loaded,
            resume=resume,
            retry_failed=retry_failed,
            address=address,
            observers=[Display(console)],
        )
    except KeyboardInterrupt:
        print(f"kdsearch: interrupted; go on with: {_go_on(loaded)}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    _print_front(console, study)
    _print_ranking(console, study)
    folder = loaded.study.directory / loaded.study.name
    console.print(f"report: {folder}", markup=False, highlight=False)


def _dry_run(spec: Any, resume: bool, retry_failed: bool) -> None:
    from kdsearch.api import plan_study, quieten
    from kdsearch.execution.storage.access import check_storage
    from kdsearch.render.caches import cache_lines
    from kdsearch.render.study import samples_view, specialist_lines, unfit_view
    from kdsearch.render.units import duration
    from kdsearch.results.directory import StudyDirectory
    from kdsearch.search.clock import order_told
    from kdsearch.search.estimate import estimate_cost, sample_trials
    from kdsearch.spec.load import dump_spec

    quieten()
    console = _console()
    directory = StudyDirectory.of(spec)
    directory.check(spec, resume)
    plan, _ = plan_study(spec, directory if resume else None, retry_failed)
    check_storage(spec)
    console.print(dump_spec(spec), markup=False, highlight=False)
    for line in specialist_lines(spec):
        console.print(line, highlight=False)
    _print_unlabelled(console, plan.data)
    _print_warnings(console, plan.warnings)
    samples = sample_trials(plan, 6)
    console.print(samples_view(samples))
    if plan.space.fitting.unfit:
        console.print(unfit_view(plan.space.fitting))
    cost = estimate_cost(plan, samples)
    for line in cache_lines(cost.caches):
        console.print(line, highlight=False)
    console.print(
        f"\ncost on this machine, from a few measured steps: teacher {duration(cost.teacher)}, "
        f"its cache {duration(cost.cache)}, "
        f"search {duration(cost.search)}, finalists at most {duration(cost.finalists)}; in all "
        f"about {duration(cost.total)} and the start of Ray; nothing was trained or written",
        highlight=False,
    )
    console.print(order_told(spec), highlight=False)


@app.command(epilog=_examples("kdsearch validate search_spaces/digits.yaml"))
def validate(spec: Spec, overrides: Sets = None) -> None:
    """Check a search-space file with its data and models; train nothing."""
    from kdsearch.spec.load import load_spec

    loaded = load_spec(spec, overrides or [])
    from kdsearch.render.study import specialist_lines, unfit_view
    from kdsearch.space.checks import make_plan

    console = _console()
    plan = make_plan(loaded)
    data = plan.data
    console.print(
        f"{spec}: sound; {data.name}: {len(data.train)} training, {len(data.validation)} "
        f"validation, {len(data.test)} test samples of {data.told_inputs}, "
        f"{data.problem.told}; {len(plan.space.methods)} methods with none, "
        f"{len(plan.space.students)} student families, taught by {', '.join(loaded.taught_by)}",
        highlight=False,
        markup=False,
    )
    for line in specialist_lines(loaded):
        console.print(line, highlight=False)
    _print_inventory(console, data)
    _print_warnings(console, plan.warnings)
    if plan.space.fitting.unfit:
        console.print(unfit_view(plan.space.fitting))


def _print_warnings(console: Console, warnings: list[str]) -> None:
    from kdsearch.render.inventory import WIDTH

    for warning in warnings:
        width = min(console.width, WIDTH)
        console.print(f"warning: {warning}", width=width, highlight=False, markup=False)


def _print_inventory(console: Console, data: Any) -> None:
    from kdsearch.data.balance import balance_warnings
    from kdsearch.render.inventory import WIDTH, inventory_view, split_lines

    width = min(console.width, WIDTH)
    if data.inventory is not None:
        console.print()
        console.print(inventory_view(data.inventory), width=width)
        for line in split_lines(data.inventory):
            console.print(line, width=width, highlight=False, markup=False)
    _print_unlabelled(console, data)
    _print_warnings(console, balance_warnings(data))


def _print_unlabelled(console: Console, data: Any) -> None:
    from kdsearch.render.inventory import WIDTH, unlabelled_line

    if line := unlabelled_line(data):
        console.print(line, width=min(console.width, WIDTH), highlight=False, markup=False)


@app.command(epilog=_examples("kdsearch front studies/digits"))
def front(
    study: StudyFolder,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """Print the front of a study."""
    from kdsearch.results.study import Study

    opened = Study.open(study)
    if as_json:
        import json

        from kdsearch.export.report import rows

        print(json.dumps(rows(opened.front), indent=1))
        return
    console = _console()
    _print_front(console, opened)
    console.print(f"report: {study}", markup=False, highlight=False)


def _print_front(console: Console, study: Any) -> None:
    from kdsearch.render.study import front_note, front_view, gain_note

    table = study.front
    if not len(table):
        console.print("no trial has ended well yet, so there is no front", highlight=False)
        return
    title = f"front of {study.spec.study.name}"
    console.print(front_view(table, title, console.width), markup=False)
    console.print(front_note(table, console.width), style="dim", highlight=False)
    if note := gain_note(table, study.size):
        console.print(note, highlight=False)


@app.command(epilog=_examples("kdsearch ranking studies/digits"))
def ranking(
    study: StudyFolder,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """Rank a study's methods at one tuning budget."""
    from kdsearch.results.study import Study

    opened = Study.open(study)
    if as_json:
        import json

        from kdsearch.export.report import rows

        print(json.dumps(rows(opened.ranking), indent=1))
        return
    _print_ranking(_console(), opened)


def _print_ranking(console: Console, study: Any) -> None:
    from kdsearch.render.study import ranking_note, ranking_view

    table = study.ranking
    if not len(table):
        console.print("no trial has ended yet, so there is nothing to rank", highlight=False)
        return
    title = f"methods of {study.spec.study.name} at one budget"
    console.print(ranking_view(table, title), markup=False)
    console.print(ranking_note(table), style="dim", markup=False, highlight=False)


@app.command(
    epilog=_examples(
        "kdsearch methods",
        "kdsearch methods dkd",
        "kdsearch methods kd+at",
        "kdsearch methods my_module:MyMethod",
    )
)
def methods(
    name: Annotated[
        str | None, typer.Argument(help="One method, a sum, or module:Class, in full.")
    ] = None,
) -> None:
    """List the distillation methods."""
    from kdsearch.methods import UNDISTILLED, parse_label
    from kdsearch.render.catalogue import method_view, methods_view

    if name is None:
        _console().print(methods_view(), highlight=False)
        return
    if name == UNDISTILLED:
        print(f"{name}: the undistilled baseline, cross-entropy with the labels alone")
    console = _console()
    for place, method in enumerate(parse_label(name)):
        if place:
            console.print()
        console.print(method_view(method, name.split("+")[place]), markup=False)


@app.command(epilog=_examples("kdsearch models"))
def models() -> None:
    """List the model families."""
    from kdsearch.render.catalogue import models_view

    _console().print(models_view(), markup=False)


@app.command(epilog=_examples("kdsearch ui studies/digits --port 5001"))
def ui(
    study: StudyFolder,
    port: Annotated[int, typer.Option(help="Port of the page.", min=1, max=65535)] = 5000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Open MLflow's UI on the study's store."""
    from kdsearch.results.study import Study
    from kdsearch.tracking.ui import serve_ui

    sys.exit(serve_ui(Study.open(study), host, port))


@app.command(
    epilog=_examples(
        "kdsearch sync studies/digits",
        "kdsearch sync studies/digits --uri sqlite:///elsewhere.db",
    )
)
def sync(
    study: StudyFolder,
    uri: Annotated[
        str | None, typer.Option(help="MLflow tracking URI; default: the study's own store.")
    ] = None,
) -> None:
    """Make MLflow's copy of a study again from the study's own files."""
    from kdsearch.execution.connection.private_ray import check_home

    check_home()
    from kdsearch.api import sync_study

    print(f"{study} is complete in {sync_study(study, uri)}")


@app.command(
    epilog=_examples(
        "kdsearch submit search_spaces/cifar100.yaml --address http://127.0.0.1:8265 \\",
        "  --set study.directory=/shared/studies --set tracking.uri=http://mlflow:5000",
    )
)
def submit(
    spec: Spec,
    address: Annotated[str, typer.Option(help="Address of the cluster's job server.")],
    overrides: Sets = None,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Print the job's log until it ends.")
    ] = True,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a study that was cut off or extended.")
    ] = False,
    retry_failed: RetryFailed = False,
) -> None:
    """Run a study as a job on a Ray cluster.

    Passwords do not travel with a job, since others can read it: the cluster's environment has
    them, for MLflow as MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, for S3 as
    AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
    """
    from kdsearch.execution.connection.private_ray import check_home

    check_home()
    from kdsearch.cluster.submit import submit_study

    sys.exit(submit_study(spec, overrides or [], address, follow, resume, retry_failed))


def main() -> None:
    """Run the command line; the program's entry point."""
    interrupts = Interrupts()
    print_what_can_be_printed()
    try:
        with current_directory_searched():  # modules of the user's own lie beside the spec
            app(prog_name="kdsearch")
    except KdsearchError as error:
        print("kdsearch:", in_lines(str(error)), file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as left:
        # of a command that keeps no state, Typer makes an ordinary failure
        if interrupts.count:
            sys.exit(INTERRUPTED)
        sys.exit(PIPE_CLOSED if pipe_closed(left) else left.code)
    except Exception:  # a mistake of kdsearch; what a library says may quote a URI
        print(redacted(traceback.format_exc()), end="", file=sys.stderr)
        sys.exit(1)


def _go_on(spec: Any) -> str:
    """The command that goes on with an interrupted run."""
    from kdsearch.redaction import MASK
    from kdsearch.results.directory import StudyDirectory
    from kdsearch.spec.masking import masked_setting

    words = [word for word in sys.argv[1:] if word != "--resume"]
    if StudyDirectory.of(spec).exists():
        words.append("--resume")
    shown = shlex.join(masked_setting(word) for word in words)
    known = f" (with what stands for {MASK})" if MASK in shown else ""
    return f"kdsearch {shown}{known}"


if __name__ == "__main__":
    main()
