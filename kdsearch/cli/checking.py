"""``kdsearch validate``: a search-space file with its data and models."""

from __future__ import annotations

from kdsearch.cli.printing import print_inventory, print_warnings
from kdsearch.cli.program import Sets, Spec, app, examples, open_console


@app.command(epilog=examples("kdsearch validate search_spaces/digits.yaml"))
def validate(spec: Spec, overrides: Sets = None) -> None:
    """Check a search-space file with its data and models; train nothing."""
    from kdsearch.spec.load import load_spec

    loaded = load_spec(spec, overrides or [])
    from kdsearch.render.plan import specialist_lines, unfit_view
    from kdsearch.space.checks import make_plan

    console = open_console()
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
    print_inventory(console, data)
    print_warnings(console, plan.warnings)
    if plan.space.fitting.unfit:
        console.print(unfit_view(plan.space.fitting))
