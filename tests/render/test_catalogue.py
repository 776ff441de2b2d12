"""The lists of methods and models, and a method in full."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from kdsearch.methods import METHODS, UNDISTILLED, Method
from kdsearch.methods.base import KINDS, STAGES
from kdsearch.methods.hyperparameter import SCHEDULE
from kdsearch.models import FAMILIES
from kdsearch.render.catalogue import method_view, methods_notes, methods_view, models_view
from kdsearch.render.catalogue_file import kept
from kdsearch.render.offered import method_facts, offered
from tests.render.reading import block, is_row, shown, words


def listed(width: int, wide: bool = True) -> str:
    (table,) = methods_view(width, wide).tables
    return shown(table, width)


def view(method: type[Method], name: str | None = None) -> str:
    return shown(method_view(method_facts(method), name))


def test_the_file_holds_what_kdsearch_offers() -> None:
    assert kept() == offered(), "write it anew: python -m kdsearch.render.offered"


@pytest.mark.parametrize("width", [80, 100, 160])
def test_a_method_takes_one_line_and_says_what_is_searched(width: int) -> None:
    lines = listed(width, wide=False).splitlines()
    kinds = {method.kind for method in METHODS.values()}
    assert len(lines) == 1 + 1 + len(kinds) + len(METHODS)  # the heads, none, and the kinds
    assert all(sum(is_row(line, name) for line in lines) == 1 for name in METHODS)
    (dist,) = [line for line in lines if is_row(line, "dist")]
    assert dist.split()[:3] == ["dist", "logits", "weight,"]
    assert dist.endswith("Huang et al. 2022")
    assert "gamma" not in dist  # which is fixed


@pytest.mark.parametrize("width", [125, 160])
def test_the_wide_list_has_every_method_with_its_defaults_and_ranges(width: int) -> None:
    text = listed(width)
    assert text.splitlines()[1].startswith(UNDISTILLED)
    for name, method in METHODS.items():
        told = words(block(text, name))
        read = method.signals | method.teacher_signals
        assert all(signal in told for signal in read), name
        for value, declared in method.hyperparameters.items():
            if value not in SCHEDULE:
                shown_as = round(declared.default, 4)
                assert f"{value} {shown_as:g}; " in told, name
        year = next(part for part in method.paper.replace(",", " ").split() if part.isdigit())
        assert year in told
        assert method.paper.split(",")[0].split()[0] in told
    assert "0.1 to 20, log" in block(text, "kd")
    assert "Hinton et al. 2015" in block(text, "kd")
    assert "Zagoruyko & Komodakis 2017" in words(block(text, "at"))


def test_the_list_is_grouped_by_kind() -> None:
    lines = listed(125).splitlines()
    heads = [line for line in lines if line.endswith(" methods")]
    kinds = {method.kind for method in METHODS.values()}
    assert heads == [f"{kind} methods" for kind in KINDS if kind in kinds]
    places = {head: lines.index(head) for head in heads}
    for name, method in METHODS.items():
        at = next(n for n, line in enumerate(lines) if is_row(line, name))
        above = max((place, head) for head, place in places.items() if place < at)[1]
        assert above == f"{method.kind} methods"


def test_the_schedule_is_told_once_and_where_a_method_has_another() -> None:
    rows = text = listed(125)
    (note,) = methods_notes()
    for name, declared in SCHEDULE.items():
        assert words(note).count(f"{name} (") == 1
        assert declared.about in words(note)
    assert "ramp 0.08333; fixed" in block(text, "dkd")
    assert sum(not SCHEDULE.keys().isdisjoint(line.split()) for line in rows.splitlines()) == sum(
        method.hyperparameters[name] != common
        for method in METHODS.values()
        for name, common in SCHEDULE.items()
        if name in method.hyperparameters
    )


@pytest.mark.usefixtures("own")
def test_plug_ins_are_listed_and_one_that_breaks_says_why() -> None:
    text = "\n".join([listed(120), *methods_notes()])
    told = words(block(text, "plugged"))
    assert "weight 16384; 5e-05 to 20000, log" in told
    assert "bins 4; one of 2, 4, 8" in told
    assert "decay 0.25; fixed" in told
    assert "Doe et al. 2031" in told
    assert "depth 1; fixed" in words(block(text, "copied"))
    (reason,) = [line for line in text.split("\n") if line.startswith("broken: ")]
    assert "the installed plug-in 'broken' (module_that_is_absent:Own) cannot be loaded" in reason
    assert "fix or uninstall it" in words(text)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_method_in_full_tells_all_that_it_states(method: type[Method]) -> None:
    text = words(view(method))
    assert text.startswith(f"{method.name} ")
    assert method.paper in text
    assert f"kind {method.kind}" in text
    reads = f"{', '.join(sorted(method.signals))} of student and teacher"
    if method.teacher_signals:
        teacher = ", ".join(sorted(method.teacher_signals))
        reads = f"{', '.join(sorted(method.signals))} of the student, {teacher} of the teacher"
    if not method.needs_teacher:
        reads = f"{', '.join(sorted(method.signals))} of the student; it needs no teacher"
    assert (reads if method.signals else "nothing of the networks' outputs") in text
    kinds = "vectors, maps and sequences" if method.name in ("fitnet", "vid", "sp") else "maps"
    assert (f" stages {kinds} " in text) == bool(method.signals & STAGES)
    for name, declared in method.hyperparameters.items():
        assert f" {name} " in text
        assert declared.about.split()[0] in text
    assert f"ce_weight {method.ce_weight:g} fixed weight of the cross-entropy" in text
    assert method.__doc__ is not None
    assert words(method.__doc__).split(".")[0].replace("``", "`") in text


def test_what_a_method_does_is_told_in_words(own: type[Method]) -> None:
    text = view(own, "own_methods:Own")
    assert text.startswith("own_methods:Own\n")
    assert "mean_B |z_s − z_t| [B, K]; a formula of two lines." in text
    assert "See `KD` and `z`." in text
    assert "Attributes" not in text
    assert "Left out" not in text
    assert "A Title [with brackets]" in text
    assert "compares samples   those of a batch" in text
    assert "remembers samples  yes" in text
    assert "ships              with a projector and the teacher's classifier" in text
    assert "decay" in block(text, "decay")
    assert "how it fades" in block(text, "decay")
    plain = view(METHODS["kd"])
    assert "compares samples   no" in plain
    assert "remembers samples  no" in plain
    assert "as the plain student" in plain


def test_a_parameter_method_has_no_weight(own: type[Method]) -> None:
    copy = sys.modules[own.__module__].Copy
    text = view(copy)
    assert "nothing of the networks' outputs" in text
    assert "weight             none, and no schedule" in text
    assert "ce_weight 0.3 fixed" in words(text)
    assert not any(line.startswith(("start", "weight ", "ramp ")) for line in values_of(text))


def values_of(text: str) -> list[str]:
    lines = text.splitlines()
    return lines[next(n for n, line in enumerate(lines) if line.startswith("hyperparameter")) :]


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("name", ["own_methods:Own", "plugged"])
def test_the_command_shows_a_method_of_ones_own(kdsearch: Callable[..., str], name: str) -> None:
    text = kdsearch("methods", name)
    assert text.startswith(f"{name}\n")
    assert "Doe, Roe & Poe 2031, A Title [with brackets]" in text


def test_the_command_shows_each_term_of_a_sum(kdsearch: Callable[..., str]) -> None:
    text = kdsearch("methods", "kd+at")
    assert METHODS["kd"].paper in text
    assert METHODS["at"].paper in text
    assert text.index("kd\n") < text.index("at\n")


@pytest.mark.usefixtures("own")
def test_the_commands_list_methods_and_models(kdsearch: Callable[..., str]) -> None:
    told = kdsearch("methods")
    assert all(f"  {name} " in told for name in METHODS)
    assert "broken: " in told
    assert "my_network" in kdsearch("models")


@pytest.mark.usefixtures("own")
def test_the_models_are_families_torchvision_plug_ins_and_ones_own() -> None:
    text = "\n" + shown(models_view(), 80)
    names = [*FAMILIES, "torchvision/NAME", "timm/NAME", "hf/NAME", "my_network", "module:function"]
    assert [name for name in names if f"\n{name} " not in text] == []
    assert "own_methods:network" in words(block(text, "my_network"))
