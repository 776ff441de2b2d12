"""Load a search-space file: YAML, overrides, types, and errors that point at the line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from kdsearch.errors import SpecError
from kdsearch.spec.explain import translate
from kdsearch.spec.masking import masked_values
from kdsearch.spec.origin import LONGEST, read_yaml
from kdsearch.spec.overrides import apply_override
from kdsearch.spec.study import StudySpec
from kdsearch.spec.yaml_form import SpecDumper


def load_spec(path: str | Path, overrides: Sequence[str] = ()) -> StudySpec:
    """Read a search-space file.

    Args:
        path: The YAML file.
        overrides: Texts such as ``"search.trials=10"``, applied in order.

    Raises:
        SpecError: The file is missing, is not YAML, or holds a wrong key, type or range; the
            message gives file, line, column and the nearest valid name.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            text = file.read(LONGEST + 1)
    except FileNotFoundError:
        raise SpecError(f"no such file: {path}; check the path") from None
    except IsADirectoryError:
        raise SpecError(f"{path} is a folder; give the search-space file in it") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path} is not a text file in UTF-8; give a search-space file") from None
    except (OSError, ValueError) as error:
        raise SpecError(f"cannot read {path} ({error}); give a search-space file") from None
    return parse_spec(text, overrides, file=str(path))


def parse_spec(text: str, overrides: Sequence[str] = (), file: str = "<text>") -> StudySpec:
    """Like :func:`load_spec`, from the text itself."""
    origin = read_yaml(text, file)
    for override in overrides:
        apply_override(origin, override)
    try:
        spec = StudySpec.model_validate(origin.data)
    except ValidationError as error:
        raise translate(error, origin) from None
    spec._origin = origin
    return spec


def dump_spec(spec: StudySpec) -> str:
    """The resolved spec as YAML, every default written out, passwords in URIs masked."""
    return yaml.dump(
        masked_values(spec.model_dump(mode="json")),
        Dumper=SpecDumper,
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )
