"""``kdsearch run``: a study, or what it would cost."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated, Any

import typer

from kdsearch.cli.printing import (
    print_front,
    print_layout,
    print_ranking,
    print_unlabelled,
    print_warnings,
    room,
)
from kdsearch.cli.program import RetryFailed, Sets, Spec, app, examples, open_console
from kdsearch.interrupts import INTERRUPTED


@app.command(
    epilog=examples(
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
    from kdsearch.results.front_file import front_content, ranking_content

    console = open_console()
    try:
        study = run_study(
            loaded,
            resume=resume,
            retry_failed=retry_failed,
            address=address,
            observers=[Display(console)],
        )
    except KeyboardInterrupt:
        print(f"kdsearch: interrupted; go on with: {go_on(loaded)}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    print_front(console, front_content(study))
    print_ranking(console, ranking_content(study))
    folder = loaded.study.directory / loaded.study.name
    console.print(f"report: {folder}", markup=False, highlight=False)


def _dry_run(spec: Any, resume: bool, retry_failed: bool) -> None:
    from kdsearch.api import plan_study, quieten
    from kdsearch.execution.storage.access import check_storage
    from kdsearch.render.caches import cache_lines
    from kdsearch.render.plan import samples_view, specialist_lines, unfit_view
    from kdsearch.render.units import duration
    from kdsearch.results.directory import StudyDirectory
    from kdsearch.search.clock import order_told
    from kdsearch.search.estimate import estimate_cost, sample_trials
    from kdsearch.spec.load import dump_spec

    quieten()
    console = open_console()
    directory = StudyDirectory.of(spec)
    directory.check(spec, resume)
    plan, _ = plan_study(spec, directory if resume else None, retry_failed)
    check_storage(spec)
    console.print(dump_spec(spec), markup=False, highlight=False)
    for line in specialist_lines(spec):
        console.print(line, highlight=False)
    print_unlabelled(console, plan.data)
    print_warnings(console, plan.warnings)
    samples = sample_trials(plan, 6)
    print_layout(console, samples_view(samples, room(console)))
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


def go_on(spec: Any) -> str:
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
