"""The page on the keys of the search-space file is what the typed models say."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from docs.tools.generate_spec import PAGE, SAME, page
from docs.tools.spec_examples import EXAMPLES
from kdsearch.errors import SpecError
from kdsearch.spec import parse_spec
from kdsearch.spec.concrete import InitialWeights, ModelConfig
from kdsearch.spec.study import StudySpec

TEXT = PAGE.read_text()
SMALL = {
    "study": {"name": "small"},
    "data": {"source": "digits"},
    "teacher": {"model": {"family": "convnet"}},
    "students": [{"family": "convnet"}],
    "methods": ["none", "kd"],
}


def sections() -> dict[str, str]:
    """The text of each section of the page by its dotted name."""
    found = re.split(r"^#+ ([\w.]+) \{ #[\w-]+ \}$", TEXT, flags=re.MULTILINE)[1:]
    return dict(zip(found[::2], found[1::2], strict=True))


def models(kind: type[BaseModel], name: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Every section of a study with its model, found by walking the models' annotations."""
    for key, field in kind.model_fields.items():
        inner = re.findall(r"kdsearch\.spec\.[\w.]+\.(\w+)", str(field.annotation))
        known = {model.__name__: model for model in _all(BaseModel)}
        for model in (known[each] for each in inner if each not in ("Range", "Choices")):
            if (kind, key) in (
                (ModelConfig, "adopts"),
                (ModelConfig, "ways"),
                (InitialWeights, "student"),
            ):
                continue
            place = f"{name}.{key}".lstrip(".")
            yield place, model
            yield from models(model, place)


def _all(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in base.__subclasses__():
        yield model
        yield from _all(model)


def test_the_page_is_written_from_the_models_of_today() -> None:
    assert page() == TEXT, "run: python -m docs.tools.generate_spec"


def test_every_key_stands_in_the_table_of_its_section() -> None:
    told = sections()
    found = dict(models(StudySpec))
    assert len(found) > 25
    for name, model in found.items():
        same = next((to for of, to in SAME.items() if name == of or name.startswith(f"{of}.")), "")
        if same:
            assert f"[{same}]" in told[name] if name in SAME else name not in told
            continue
        rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+) \|$", told[name], re.MULTILINE)
        expected = set(model.model_fields)
        if model is ModelConfig:
            expected -= {"adopts", "stored", "cut_from", "ways"}
        if model is InitialWeights:
            expected -= {"student"}
        assert {row[0] for row in rows} == expected, name
        for key, _, default, meaning in rows:
            field = model.model_fields[key]
            assert (default == "required") == field.is_required()
            assert re.sub(r"\W", "", field.description or "-") in re.sub(r"\W", "", meaning)
            if isinstance(field.default, int | float | str):
                assert default == f"`{yaml.safe_dump(field.default).splitlines()[0]}`"
            elif field.default is None:
                assert default == "absent"
            else:
                assert default not in ("absent",) or field.default is PydanticUndefined


@pytest.mark.parametrize("key", ["adopts: {family: convnet}", "stored: float16"])
def test_what_the_page_leaves_out_of_a_model_is_refused(key: str) -> None:
    name, value = key.split(": ", 1)
    model = {"family": "convnet", name: yaml.safe_load(value)}
    with pytest.raises(SpecError, match="remove it"):
        parse_spec(yaml.safe_dump(SMALL | {"teacher": {"model": model}}))


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_the_page_loads(name: str) -> None:
    example = yaml.safe_load(EXAMPLES[name])
    spec = parse_spec(yaml.safe_dump(SMALL | example))
    keys = name.split(".")
    assert keys[0] in example
    value: object = example
    for key in keys:
        value = value[0] if isinstance(value, list) else value
        assert isinstance(value, dict)
        value = value[key]
    assert spec.study.name
    assert f"```yaml\n{EXAMPLES[name]}```" in sections()[name]


def test_every_section_has_an_example() -> None:
    assert set(sections()) == set(EXAMPLES)
