"""What kdsearch offers, for a person: methods and model families.

What is its own is read from a file, without PyTorch; only a user's own parts are imported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kdsearch.errors import KdsearchError
from kdsearch.plugins import installed
from kdsearch.render.catalogue_file import kept
from kdsearch.render.columns import Column, Layout, fitted
from kdsearch.render.tables import plain_table
from kdsearch.spec.teaching import UNDISTILLED

_METHODS, _MODELS = "kdsearch.methods", "kdsearch.models"
"""Entry-point groups of installed plug-ins."""

_LIBRARIES = (
    (
        "torchvision/NAME",
        "any classification model of torchvision, such as torchvision/resnet18, with its weights",
    ),
    (
        "timm/NAME",
        "any model of timm, such as timm/mobilenetv4_conv_small, with its weights; needs the extra "
        "timm",
    ),
    (
        "hf/NAME",
        "an image classifier of transformers: an architecture (hf/convnext), a repository "
        "(hf/OWNER/NAME) or a folder of save_pretrained (hf/./folder), with its weights; needs the "
        "extra transformers",
    ),
)
"""Libraries whose networks are families, each with what there is to tell of it."""

_LIBRARY_WIDTH = "all channel counts, where the model allows"
_LIBRARY_DEPTH = "none: it is part of the name"

Facts = Mapping[str, Any]
"""What there is to tell of a method, as :func:`kdsearch.render.offered.method_facts` makes it."""


def methods_view(width: int | None = None, wide: bool = False) -> Layout:
    """Every method by kind: what it reads, what is searched of it, and where it is from.

    Args:
        width: Letters of a line; absent: no limit.
        wide: Whether each value has a line with its published default and its range.
    """
    rows = list(_method_rows(_known()[0], wide))
    names, signals, values, papers = zip(*rows, strict=True)
    columns = (
        Column("method", names, right=False),
        Column("reads", signals, 3 if wide else 2, right=False, least=13),
        Column(
            "published; searched" if wide else "searched",
            values,
            2 if wide else 3,
            right=False,
            least=None if wide else 12,
        ),
        Column("paper", papers, 1, right=False, least=14),
    )
    return fitted(columns, width)


def methods_notes() -> list[str]:
    """What holds for every method, and why installed plug-ins cannot be used."""
    broken = _known()[1]
    return [kept()["schedule"], *(f"{name}: {reason}" for name, reason in broken.items())]


def _method_rows(methods: Mapping[str, Facts], wide: bool) -> Iterator[tuple[str, str, str, str]]:
    yield UNDISTILLED, "", "", "the undistilled baseline"
    for kind in dict.fromkeys(facts["kind"] for facts in kept()["methods"].values()):
        of_kind = {name: facts for name, facts in methods.items() if facts["kind"] == kind}
        if of_kind:
            yield f"{kind} methods", "", "", ""
        for name, facts in of_kind.items():
            first, *others = _told_values(facts, wide) or [""]
            reads, paper = ", ".join(facts["signals"]), authors(facts["paper"])
            yield f"  {name}", reads, first, paper
            yield from (("", "", value, "") for value in others)


def _told_values(facts: Facts, wide: bool) -> list[str]:
    """What a method's lines say of its values."""
    own = [value for value in facts["values"] if value[0] in facts["own"]]
    if wide:
        return [f"{name} {default}; {search}" for name, default, search, _ in own]
    return [", ".join(name for name, _, search, _ in own if search != "fixed")]


def method_view(facts: Facts, name: str | None = None) -> RenderableType:
    """One method in full.

    Args:
        facts: What there is to tell of it.
        name: What the spec calls it, if not by its own name.
    """
    grid = Table.grid(padding=(0, 2))
    for fact, value in facts["facts"].items():
        grid.add_row(fact, Text(value))
    values = plain_table(
        "hyperparameter", "published", "searched", "what it is", right=("published",)
    )
    for own, default, searched, about in facts["values"]:
        values.add_row(own, default, searched, Text(about))
    about = [Padding(Text(text), (0, 0, 1, 0)) for text in facts["about"]]
    return Group(Text(name or facts["name"], style="bold"), "", *about, grid, "", values)


def models_view() -> RenderableType:
    """Every family with its knobs, installed plug-ins too."""
    rows = [*kept()["families"]]
    rows += [[name, about, _LIBRARY_WIDTH, _LIBRARY_DEPTH] for name, about in _LIBRARIES]
    known = {name for name, *_ in kept()["families"]}
    for name, point in installed(_MODELS).items():
        if name not in known:
            about = f"the installed plug-in {point.value}"
            rows.append([name, about, "as it defines it", "as it defines it"])
    own = "your own, called with image_shape (or inputs), classes, width and depth"
    rows.append(["module:function", own, "as you define it", "as you define it"])
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, about, width, depth in rows:
        grid.add_row(Text(name, style="bold"), Text(about))
        grid.add_row(Text("  width"), Text(width))
        grid.add_row(Text("  depth"), Text(depth))
    return grid


def with_plugins(
    own: Mapping[str, Facts], group: str, find: Callable[[str], Facts]
) -> tuple[dict[str, Facts], dict[str, str]]:
    """What there is to list, by its name in the spec, and why some plug-ins cannot be used.

    Args:
        own: kdsearch's own.
        group: Entry-point group of the others.
        find: What there is to tell of one.
    """
    found, broken = dict(own), dict[str, str]()
    for name in installed(group):
        if name not in found:
            try:
                found[name] = find(name)
            except KdsearchError as error:
                broken[name] = str(error)
    return found, broken


def _known() -> tuple[dict[str, Facts], dict[str, str]]:
    return with_plugins(kept()["methods"], _METHODS, find_facts)


def find_facts(name: str) -> Facts:
    """What there is to tell of a method, by its name in the spec.

    Raises:
        MethodError: There is none of that name, or what is there is no complete method.
    """
    if name in kept()["methods"]:
        facts: Facts = kept()["methods"][name]
        return facts
    from kdsearch.methods import find_method
    from kdsearch.render.offered import method_facts

    return method_facts(find_method(name))


def authors(paper: str) -> str:
    """First author and year of a paper; the whole where it has no year."""
    cited = re.match(r"(?P<names>.+?),? (?P<year>\d{4}[a-z]?)\b", paper)
    if cited is None:
        return paper
    names = re.split(r", | & ", cited["names"])
    who = f"{names[0]} et al." if len(names) > 2 else " & ".join(names)
    return f"{who} {cited['year']}"
