"""``kdsearch validate``: a search-space file with its data and models."""

from __future__ import annotations

from kdsearch.cli.printing import print_inventory, print_warnings, print_wrapped
from kdsearch.cli.program import Sets, Spec, app, examples, open_console


@app.command(epilog=examples("kdsearch validate search_spaces/digits.yaml"))
def validate(spec: Spec, overrides: Sets = None) -> None:
    """Check a search-space file with its data and models; train nothing."""
    from kdsearch.render.steps import Steps
    from kdsearch.spec.load import load_spec

    loaded = load_spec(spec, overrides or [])
    console = open_console()
    with Steps(console, piped=False) as steps:
        steps.show("loading PyTorch")
        from kdsearch.render.plan import specialist_lines, unfit_lines
        from kdsearch.space.checks import make_plan
        from kdsearch.space.export_checks import export_warnings

        plan = make_plan(loaded, told=steps.show)
        steps.show("trying to export the students")
        exported = export_warnings(loaded, plan.data)
    data, students = plan.data, len(plan.space.students)
    families = f"{students} student {'family' if students == 1 else 'families'}"
    count = len(plan.space.ways)
    ways = f"{count} ways, " if count > 1 else ""
    print_wrapped(
        console,
        f"{spec}: sound; {data.name}: {len(data.train)} training, {len(data.validation)} "
        f"validation, {len(data.test)} test samples of {data.told_inputs}, "
        f"{data.problem.told}; {len(plan.space.methods)} methods with none, "
        f"{ways}{families}, taught by {', '.join(loaded.taught_by)}",
    )
    for line in specialist_lines(loaded):
        print_wrapped(console, line)
    print_inventory(console, data)
    print_warnings(console, [*plan.warnings, *exported])
    for line in unfit_lines(plan.space.fitting):
        print_wrapped(console, line)
