"""What is sent with a job can be read by all who see the job: no secret may be in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from kdsearch.errors import SpecError
from kdsearch.execution.storage.access import ENVIRONMENT
from kdsearch.redaction import holds_secret, redacted_uri
from kdsearch.spec.masking import masked_setting, masked_text
from kdsearch.spec.origin import KeyPath, dotted
from kdsearch.spec.study import StudySpec

_SERVER = (
    "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in the cluster's environment, "
    "where the job finds them"
)
_REMEDIES = {"tracking.uri": _SERVER, "resources.storage": ENVIRONMENT}
_READ = "which all who see the job could read; take it out, and"
_OTHERWISE = "let the job find it in the cluster's environment"


def check_readable(spec: StudySpec, overrides: Sequence[str], inherited: str | None) -> None:
    """Refuse passwords, tokens and keys in URIs of the spec, its overrides and its store.

    Args:
        spec: The study.
        overrides: Texts such as ``"search.trials=10"``.
        inherited: ``MLFLOW_TRACKING_URI`` of the submitter, if it goes with the job.

    Raises:
        SpecError: There is one; the message names the variables that the job reads instead.
    """
    for path, value in _texts(spec.model_dump(mode="json")):
        if holds_secret(value):
            name, shown = dotted(path), redacted_uri(value)
            remedy = _REMEDIES.get(name, _OTHERWISE)
            raise spec.refuse(path, f"{name} ({shown}) holds a secret, {_READ} {remedy}")
    for text in overrides:
        if masked_setting(text) != text:
            raise SpecError(
                f"--set {masked_setting(text)}: it holds a secret, {_READ} {_OTHERWISE}"
            )
    _check_text(spec)
    if inherited and holds_secret(inherited):
        shown = redacted_uri(inherited)
        raise SpecError(f"MLFLOW_TRACKING_URI ({shown}) holds a secret, {_READ} {_SERVER}")


def _check_text(spec: StudySpec) -> None:
    """Refuse a file with a secret that is no value of the spec, as in a comment."""
    lines = zip_longest(spec.text.splitlines(), masked_text(spec.text).splitlines())
    for number, (line, shown) in enumerate(lines, start=1):
        if line != shown:
            reason = f"the line holds a secret, {_READ} {_OTHERWISE}"
            raise SpecError(reason, spec.file, number)


def _texts(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Every text of a spec, with where it stands."""
    if isinstance(value, str):
        yield path, value
    items = value.items() if isinstance(value, dict) else ()
    for key, inner in enumerate(value) if isinstance(value, list) else items:
        yield from _texts(inner, (*path, key))
