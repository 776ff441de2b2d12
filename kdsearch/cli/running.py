"""``kdsearch run``: a study, or what it would cost."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated, Any

import typer

from kdsearch.cli.picking import print_pick
from kdsearch.cli.planning import print_plan
from kdsearch.cli.printing import print_front, print_ranking
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
        bool, typer.Option("--dry-run", help="Check all, print cost and samples, train nothing.")
    ] = False,
    show_spec: Annotated[
        bool, typer.Option("--show-spec", help="With --dry-run: print the spec with all defaults.")
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
    from kdsearch.render.headline import headline
    from kdsearch.render.steps import Steps
    from kdsearch.results.folder import StudyFolder
    from kdsearch.results.resume import check_retry
    from kdsearch.spec.load import load_spec

    check_retry(resume, retry_failed)
    loaded = load_spec(spec, overrides or [])
    check_home()
    console = open_console()
    if dry_run:
        print_plan(console, loaded, resume, retry_failed, show_spec)
        return
    folder = StudyFolder(loaded.study.directory / loaded.study.name)
    if not resume:
        folder.check_free(loaded.study.name)
    console.print(headline(loaded), highlight=False, markup=False)
    try:
        with Steps(console) as steps:
            steps.show("loading PyTorch, Ray and MLflow")
            from kdsearch.api import run_study
            from kdsearch.display import Display

            run_study(
                loaded,
                resume=resume,
                retry_failed=retry_failed,
                address=address,
                observers=[Display(console, steps)],
            )
    except KeyboardInterrupt:
        print(f"kdsearch: interrupted; go on with: {go_on(loaded)}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    from kdsearch.results.front_file import read_summary

    content = read_summary(folder.path, "front")
    console.print()
    print_front(console, content)
    console.print()
    print_ranking(console, read_summary(folder.path, "ranking"))
    print_pick(console, content, str(folder.path))


def go_on(spec: Any) -> str:
    """The command that goes on with an interrupted run."""
    from kdsearch.redaction import MASK
    from kdsearch.results.folder import StudyFolder
    from kdsearch.spec.masking import masked_setting

    words = [word for word in sys.argv[1:] if word != "--resume"]
    if StudyFolder(spec.study.directory / spec.study.name).exists():
        words.append("--resume")
    shown = shlex.join(masked_setting(word) for word in words)
    known = f" (with what stands for {MASK})" if MASK in shown else ""
    return f"kdsearch {shown}{known}"
