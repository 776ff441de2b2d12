"""Writes ``docs/spec.md``, every key of the search-space file, from the typed models.

Run it after a change in ``kdsearch/spec``: ``python -m docs.tools.generate_spec``. A test compares
the page with what this would write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from docs.tools.spec_examples import EXAMPLES
from docs.tools.spec_schema import Schema, section_of, spec_schema, type_of

PAGE = Path(__file__).parents[1] / "spec.md"

INTRODUCTION = """\
# Every key of the search-space file

<!-- Written by `python -m docs.tools.generate_spec` from kdsearch/spec: change it there. -->

A study is one YAML file. The sections `study`, `data`, `teacher`, `students` and `methods` must be
there. Every other key has a default, which the tables show. Where the default is "absent", the last
column says what happens without the key.

A value that may be searched is written in one of three ways:

| Form | Example | Meaning |
|---|---|---|
| a single value | `0.05` | fixed |
| a range | `{low: 0.01, high: 0.2, log: true}` | searched; `log`: on a log scale |
| | `{low: 8, high: 32, step: 8}` | searched in steps; not together with `log` |
| choices | `{choices: [8, 14, 20]}` | searched among these |

A wrong key, type or name is refused with file, line, column and the nearest valid name. The option
`--set KEY=VALUE` overrides a key by its dotted name, as in `--set search.trials=10`. The folder of
a study holds `resolved.yaml`: the file with all defaults written out. `kdsearch validate FILE`
checks a file together with its data and models.
"""

METHODS = """\
Each key is a method, or a sum of methods joined by `+`. Below it stand the values that you fix, or
that you search in another range than the method's own. In a sum they are named `METHOD.VALUE`. A
plain list of names is enough where nothing is changed: `methods: [none, kd, kd+fitnet]`.
[Choosing methods](methods.md) lists all of them.
"""

REFUSED = {("ModelConfig", name) for name in ("adopts", "stored", "cut_from", "ways")} | {
    ("InitialWeights", "student")
}
"""Keys that are refused: of a teacher's model, since students alone have them, and what kdsearch
fills in of an earlier study's student."""

SAME = {
    "teachers": "teacher",
    "teacher.training": "training",
    "target.table": "data.table",
    "target.unlabelled": "data.unlabelled",
    "data.strong_augment": "data.augment",
}
"""Sections with the keys of another one, which are listed there alone."""


@dataclass(frozen=True)
class Part:
    """A section of the file: its dotted name, the schema of its keys, and what it is for."""

    name: str
    schema: Schema
    about: str


def page() -> str:
    """The whole page."""
    schema = spec_schema()
    texts = [text for part in parts(schema) for text in _section(part)]
    return "\n".join([INTRODUCTION, *texts])


def parts(schema: Schema) -> Iterator[Part]:
    """The sections in the order of the file, each before those within it."""
    for name, field in schema["properties"].items():
        yield from _within(name, field, schema["$defs"])


def _within(name: str, field: Schema, kinds: Schema) -> Iterator[Part]:
    inner = section_of(field)
    if inner is None and name != "methods":
        return
    schema = kinds[inner] if inner else {}
    yield Part(name, schema, markdown(field["description"]))
    if name in SAME:
        return
    for key, value in schema.get("properties", {}).items():
        if (inner, key) not in REFUSED:
            yield from _within(f"{name}.{key}", value, kinds)


def _section(part: Part) -> Iterator[str]:
    level = "#" * (2 + part.name.count("."))
    yield f"{level} {part.name} {{ #{anchor(part.name)} }}\n\n{part.about}\n"
    yield f"```yaml\n{EXAMPLES[part.name]}```\n"
    if part.name in SAME:
        other = SAME[part.name]
        note = ", each with a single value" if other == "training" else ""
        yield f"The keys are those of [{other}](#{anchor(other)}){note}.\n"
    elif part.name == "methods":
        yield METHODS
    else:
        yield "\n".join(_table(part))


def _table(part: Part) -> Iterator[str]:
    yield "| Key | Type | Default | Meaning |\n|---|---|---|---|"
    required = part.schema.get("required", ())
    for key, field in part.schema["properties"].items():
        if (part.schema["title"], key) in REFUSED:
            continue
        default = "required" if key in required else _default(field)
        meaning = markdown(field["description"])
        if section_of(field):
            inner = f"{part.name}.{key}"
            meaning += f" See [{inner}](#{anchor(inner)})."
        yield f"| `{key}` | {type_of(field)} | {default} | {meaning} |"
    yield ""


def _default(field: Schema) -> str:
    value = field.get("default")
    if value is None:
        return "absent"
    if value in ([], {}):
        return "none"
    if section_of(field):
        return "its defaults"
    text = yaml.safe_dump(_short(value), default_flow_style=True, width=1000)
    return f"`{text.splitlines()[0]}`"


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return [_short(each) for each in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def anchor(name: str) -> str:
    """The anchor of a section on the page."""
    return name.replace(".", "-").replace("_", "-")


def markdown(docstring: str) -> str:
    """A docstring of one paragraph as one line of Markdown."""
    return re.sub(r"\s+", " ", docstring.replace("``", "`").replace("|", "\\|")).strip()


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"wrote {PAGE}")
