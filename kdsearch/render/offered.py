"""What kdsearch offers, as plain facts that ``catalogue.json`` keeps for those without PyTorch.

``python -m kdsearch.render.offered`` writes that file anew, once one of them has changed.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from typing import Any

from kdsearch.methods import METHODS, Hyperparameter, Method
from kdsearch.methods.base import STAGES, WITHOUT_LOSS, listed
from kdsearch.methods.hyperparameter import SCHEDULE
from kdsearch.methods.labels import CE_WEIGHT
from kdsearch.models import FAMILIES
from kdsearch.render.catalogue_file import FILE
from kdsearch.spec.ranges import Choices, Range
from kdsearch.ways import WAYS, Way
from kdsearch.ways.base import CHANGED


def offered() -> dict[str, Any]:
    """What is kdsearch's own: methods, ways and families, and the schedule of every method."""
    return {
        "methods": {name: method_facts(method) for name, method in METHODS.items()},
        "ways": {name: way_facts(way) for name, way in WAYS.items()},
        "families": [
            [family.name, family.about, family.width, family.depth] for family in FAMILIES.values()
        ],
        "schedule": _schedule_note(),
    }


def method_facts(method: type[Method]) -> dict[str, Any]:
    """What there is to tell of a method, in words and letters."""
    return {
        "name": method.name,
        "kind": method.kind,
        "signals": sorted(method.signals | method.teacher_signals),
        "paper": method.paper,
        "about": [*_paragraphs(method.__doc__), *_formulas(method)],
        "facts": _facts(method),
        "values": [
            *_values(method.hyperparameters),
            [CE_WEIGHT, _number(method.ce_weight), "fixed", _CE_ABOUT],
        ],
        "own": [  # without the schedule where it has no effect
            name
            for name, declared in method.hyperparameters.items()
            if not _without_effect(name, declared)
        ],
    }


def way_facts(way: type[Way]) -> dict[str, Any]:
    """What there is to tell of a way, in words and letters."""
    return {
        "name": way.name,
        "told": way.about,
        "paper": way.paper,
        "about": _paragraphs(way.__doc__),
        "facts": {"paper": way.paper, "changes": CHANGED[way.changes]},
        "values": _values(way.hyperparameters),
    }


def _values(hyperparameters: Mapping[str, Hyperparameter]) -> list[list[str]]:
    """Each value's name, published default, range and meaning."""
    return [
        [name, _number(declared.default), _range(declared.search), declared.about]
        for name, declared in hyperparameters.items()
    ]


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
    if method.kind in WITHOUT_LOSS:
        facts["weight"] = "none, and no schedule: it adds no weighted term"
    if method.adapts:
        facts["adapts"] = "to a target domain, which a study must have"
    return facts


def _reads(method: type[Method]) -> str:
    if not method.signals:
        return "nothing of the networks' outputs"
    if not method.needs_teacher:
        return f"{', '.join(sorted(method.signals))} of the student; it needs no teacher"
    if not method.teacher_signals:
        return f"{', '.join(sorted(method.signals))} of student and teacher"
    teacher = ", ".join(sorted(method.teacher_signals))
    return f"{', '.join(sorted(method.signals))} of the student, {teacher} of the teacher"


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


if __name__ == "__main__":
    FILE.write_text(json.dumps(offered(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
