"""What ``kdsearch run --dry-run`` prints: the cost of a study, and samples of its trials."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from kdsearch.cli.printing import (
    print_layout,
    print_unlabelled,
    print_warnings,
    print_wrapped,
    room,
)
from kdsearch.errors import StudyError


def print_plan(
    console: Console, spec: Any, resume: bool, retry_failed: bool, show_spec: bool
) -> None:
    """Check a study as ``run`` does, and print what it would do and cost; train nothing."""
    from kdsearch.render.headline import headline
    from kdsearch.render.steps import Steps
    from kdsearch.spec.load import dump_spec

    console.print(headline(spec), highlight=False, markup=False)
    if show_spec:
        console.print(dump_spec(spec), markup=False, highlight=False)
    with Steps(console, piped=False) as steps:
        steps.show("loading PyTorch")
        from kdsearch.api import plan_study, quieten
        from kdsearch.execution.storage.access import check_storage
        from kdsearch.render.plan import samples_view, specialist_lines, unfit_lines
        from kdsearch.results.directory import StudyDirectory
        from kdsearch.search.estimate import estimate_cost, sample_trials

        quieten()
        directory = StudyDirectory.of(spec)
        taken = _taken(directory, spec, resume)
        plan, _ = plan_study(spec, directory if resume else None, retry_failed, steps.show)
        check_storage(spec)
        steps.show("measuring what steps cost")
        samples = sample_trials(plan, 6)
        cost = estimate_cost(plan, samples)
    _print_cost(console, spec, cost)
    if taken:
        print_wrapped(console, f"note: run would refuse this: {taken}")
    for line in specialist_lines(spec):
        print_wrapped(console, line)
    print_unlabelled(console, plan.data)
    print_warnings(console, plan.warnings)
    console.print()
    print_layout(console, samples_view(samples, room(console)))
    for line in unfit_lines(plan.space.fitting):
        print_wrapped(console, line)
    if not show_spec:
        console.print("\n--show-spec prints the spec with all defaults", style="dim")


def _taken(directory: Any, spec: Any, resume: bool) -> str:
    """Why ``run`` would refuse to begin the study, where one of its name is there."""
    try:
        directory.check(spec, resume)
    except StudyError as error:
        if resume or not directory.exists():
            raise
        return str(error)
    return ""


def _teachers(spec: Any) -> str:
    """The teachers with how they come to be, where that is not one training from the start."""
    from kdsearch.results.spent import teacher_verb

    verbs = list(dict.fromkeys(teacher_verb(spec, name) for name in spec.teachers_in_use))
    return "teacher" if verbs == ["trained"] else f"teacher ({' and '.join(verbs)})"


def _print_cost(console: Console, spec: Any, cost: Any) -> None:
    from kdsearch.render.caches import cache_lines
    from kdsearch.results.durations import duration
    from kdsearch.search.clock import order_told

    print_wrapped(
        console,
        f"cost on this machine, from a few measured steps: {_teachers(spec)} "
        f"{duration(cost.teacher)}, its cache {duration(cost.cache)}, search "
        f"{duration(cost.search)}, finalists at most {duration(cost.finalists)}; in all about "
        f"{duration(cost.total)} and the start of Ray; nothing was trained or written",
    )
    print_wrapped(console, order_told(spec))
    for line in cache_lines(cost.caches):
        print_wrapped(console, line)
