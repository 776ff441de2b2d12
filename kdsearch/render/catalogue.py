"""What kdsearch offers, for a person: methods and model families."""

from __future__ import annotations

import inspect
import re

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kdsearch.errors import MethodError
from kdsearch.methods import UNDISTILLED, Hyperparameter, Method, find_method, method_names
from kdsearch.methods.base import KINDS, STAGES, listed
from kdsearch.methods.hyperparameter import SCHEDULE
from kdsearch.methods.labels import CE_WEIGHT
from kdsearch.models import FAMILIES
from kdsearch.models.user_models import GROUP as MODELS
from kdsearch.plugins import installed
from kdsearch.render.tables import plain_table
from kdsearch.spec.ranges import Choices, Range


def methods_view() -> RenderableType:
    """Every method by kind, with its signals, published defaults and search ranges.

    An installed plug-in that cannot be used is listed below with the reason.
    """
    found, broken = _find_methods()
    table = plain_table("method", "reads", "published; searched", "paper")
    table.columns[0].no_wrap = True
    table.add_row(UNDISTILLED, "", "", "the undistilled baseline")
    for kind in KINDS:
        of_kind = {name: method for name, method in found.items() if method.kind == kind}
        if of_kind:
            table.add_row(Text(f"{kind} methods", style="bold"))
        for name, method in of_kind.items():
            values = "\n".join(_values(method))
            table.add_row(f"  {name}", _signals(method), values, _authors(method.paper))
    lines = [f"{name}: {reason}" for name, reason in broken.items()]
    return Group(table, "", Text(_schedule_note()), *map(Text, lines))


def method_view(method: type[Method], name: str | None = None) -> RenderableType:
    """One method in full.

    Args:
        method: The method.
        name: What the spec calls it, if not by its own name.
    """
    facts = Table.grid(padding=(0, 2))
    for fact, value in _facts(method).items():
        facts.add_row(fact, Text(value))
    values = plain_table(
        "hyperparameter", "published", "searched", "what it is", right=("published",)
    )
    for own, declared in method.hyperparameters.items():
        default, searched = _number(declared.default), _range(declared.search)
        values.add_row(own, default, searched, Text(declared.about))
    ce = _number(method.ce_weight)
    values.add_row(CE_WEIGHT, ce, "fixed", _CE_ABOUT)
    texts = [*_paragraphs(method.__doc__), *_formulas(method)]
    about = [Padding(Text(text), (0, 0, 1, 0)) for text in texts]
    return Group(Text(name or method.name, style="bold"), "", *about, facts, "", values)


def models_view() -> Table:
    """Every family with its knobs, installed plug-ins too."""
    table = plain_table("family", "what it is", "width", "depth")
    for family in FAMILIES.values():
        table.add_row(family.name, family.about, family.width, family.depth)
    table.add_row(
        "torchvision/NAME",
        "any classification model of torchvision, such as torchvision/resnet18",
        "all channel counts, where the model allows",
        "none: it is part of the name",
    )
    for name, point in installed(MODELS).items():
        if name not in FAMILIES:
            about = f"the installed plug-in {point.value}"
            table.add_row(Text(name), Text(about), "as it defines it", "as it defines it")
    table.add_row(
        "module:function",
        "your own, called with image_shape (or inputs), classes, width and depth",
        "as you define it",
        "as you define it",
    )
    return table


def _find_methods() -> tuple[dict[str, type[Method]], dict[str, str]]:
    """Every method by its name in the spec, and why some plug-ins cannot be used."""
    found, broken = {}, {}
    for name in method_names():
        if name != UNDISTILLED:
            try:
                found[name] = find_method(name)
            except MethodError as error:
                broken[name] = str(error)
    return found, broken


_CE_ABOUT = "weight of the cross-entropy; a sum takes that of its first term that lowers it"


def _formulas(method: type[Method]) -> list[str]:
    """What the loss functions beside a method say of themselves, in their first lines."""
    module = inspect.getmodule(method)
    return [
        f"{name}: {_paragraphs(function.__doc__)[0]}"
        for name, function in vars(module).items()
        if name.endswith("_loss")
        and inspect.isfunction(function)
        and inspect.getmodule(function) is module
        and function.__doc__
    ]


def _facts(method: type[Method]) -> dict[str, str]:
    """What a method states about itself, in words."""
    facts = {
        "paper": method.paper,
        "kind": method.kind,
        "reads": _reads(method),
        "compares samples": "those of a batch; each worker those of its own share"
        if method.batchwise
        else "no",
        "remembers samples": "yes, so it cannot work under mixup or cutmix"
        if method.by_sample
        else "no",
        "ships": "with a projector and the teacher's classifier"
        if method.adopts_classifier
        else "as the plain student",
    }
    if method.signals & STAGES:
        facts["stages"] = listed(method.takes)
    if method.kind == "parameter":
        facts["weight"] = "none, and no schedule: it adds no weighted term"
    return facts


def _reads(method: type[Method]) -> str:
    if not method.signals:
        return "nothing of the networks' outputs"
    if not method.teacher_signals:
        return f"{', '.join(sorted(method.signals))} of student and teacher"
    teacher = ", ".join(sorted(method.teacher_signals))
    return f"{', '.join(sorted(method.signals))} of the student, {teacher} of the teacher"


def _signals(method: type[Method]) -> str:
    """What a method reads, of which network is not told; several below each other, to be narrow."""
    return ",\n".join(sorted(method.signals | method.teacher_signals))


def _authors(paper: str) -> str:
    """First author and year of a paper; the whole where it has no year."""
    cited = re.match(r"(?P<names>.+?),? (?P<year>\d{4}[a-z]?)\b", paper)
    if cited is None:
        return paper
    names = re.split(r", | & ", cited["names"])
    who = f"{names[0]} et al." if len(names) > 2 else " & ".join(names)
    return f"{who} {cited['year']}"


def _values(method: type[Method]) -> list[str]:
    """Default and range of each hyperparameter, without the schedule where it has no effect."""
    return [
        f"{name} {_number(declared.default)}; {_range(declared.search)}"
        for name, declared in method.hyperparameters.items()
        if not _without_effect(name, declared)
    ]


def _without_effect(name: str, declared: Hyperparameter) -> bool:
    common = SCHEDULE.get(name)
    return common is not None and (declared.default, declared.search) == (
        common.default,
        common.search,
    )


def _schedule_note() -> str:
    common = "; ".join(
        f"{name} ({declared.about}; {_number(declared.default)}; {_range(declared.search)})"
        for name, declared in SCHEDULE.items()
    )
    return f"every method but those of kind parameter also has, unless listed otherwise: {common}"


def _paragraphs(docstring: str | None) -> list[str]:
    """The paragraphs of a docstring as lines without end, up to its first section.

    Indented lines and lists keep their lines.
    """
    text = _clean(docstring)
    section = re.search(r"^(?:Args|Attributes|Examples?|Raises|Returns):$", text, re.MULTILINE)
    prose = text[: section.start()] if section else text
    paragraphs = re.split(r"\n\s*\n", prose.strip())
    return [
        paragraph
        if re.search(r"^(?:\s|[-*] )", paragraph, re.MULTILINE)
        else " ".join(paragraph.split())
        for paragraph in paragraphs
        if paragraph
    ]


def _clean(docstring: str | None) -> str:
    """A docstring without its margin, its code in plain backticks."""
    text = inspect.cleandoc(docstring or "")
    return re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", text).replace("``", "`")


def _range(search: Range | Choices | None) -> str:
    if search is None:
        return "fixed"
    if isinstance(search, Choices):
        return "one of " + ", ".join(_number(value) for value in search.choices)
    return f"{_number(search.low)} to {_number(search.high)}" + (", log" if search.log else "")


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.4g}"
