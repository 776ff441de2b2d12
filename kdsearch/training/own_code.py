"""The user's code behind networks and methods, as a part of what its results are known by."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from kdsearch.errors import KdsearchError, MethodError, ModelError
from kdsearch.methods.registry import GROUP as METHODS
from kdsearch.models.user_models import GROUP as MODELS
from kdsearch.plugins import installed, is_reference, load, resolve
from kdsearch.spec.concrete import ModelConfig
from kdsearch.spec.concrete.network import HUGGING_FACE
from kdsearch.spec.study import StudySpec
from kdsearch.ways.registry import GROUP as WAYS


def code_digest(model: ModelConfig) -> str:
    """SHA-256 of the files of the user's code behind a model; empty for kdsearch's own models.

    The module of the function counts as a whole, and with it every module beside it, or of its
    package, that it imports.

    Raises:
        ModelError: The function is not there.
    """
    return _digest(model.family, MODELS, "function", ModelError)


def own_code(spec: StudySpec) -> dict[str, str]:
    """The user's networks, methods and ways in a study, each with the SHA-256 of its files.

    Of a data set's loader the data are compared, whatever code reads them.

    Raises:
        ModelError: A function is not there.
        MethodError: A class is not there.
    """
    families = [each.family for each in spec.students]
    families += [section.model.family for section in spec.given_teachers.values()]
    found = {name: _digest(name, MODELS, "function", ModelError) for name in families}
    found |= {name: _digest(name, METHODS, "class", MethodError) for name in _parts(spec.methods)}
    found |= {name: _digest(name, WAYS, "class", ModelError) for name in _parts(spec.ways)}
    return {name: digest for name, digest in found.items() if digest}


def _parts(labels: Iterable[str]) -> list[str]:
    """The names in sums, each once."""
    return list(dict.fromkeys(part for label in labels for part in label.split("+")))


def _digest(part: str, group: str, what: str, error: type[KdsearchError]) -> str:
    """SHA-256 of the files behind ``module:name`` or an entry point; empty for any other name."""
    if part.startswith(f"{HUGGING_FACE}/"):  # a folder says what its network is built like
        content = Path(part.removeprefix(HUGGING_FACE), "config.json").read_bytes()
        return hashlib.sha256(content).hexdigest()
    if is_reference(part):
        resolve(part, what, error)
        name = part.partition(":")[0]
    elif part in installed(group):
        name = getattr(load(installed(group)[part], error), "__module__", "")
    else:
        return ""
    digest = hashlib.sha256()
    for place, content in sorted(_files(sys.modules.get(name)).items()):
        digest.update(f"{place} {len(content)} ".encode() + content)
    return digest.hexdigest()


def _files(module: ModuleType | None) -> dict[str, bytes]:
    """Contents of the module's file, and of those files beside it that it imports, by name."""
    if module is None or not getattr(module, "__file__", None):
        return {}
    file = Path(str(module.__file__))
    root = file.parents[module.__name__.count(".") + (file.stem == "__init__")]
    found: dict[str, bytes] = {}
    waiting = [module.__name__]
    while waiting:
        name = waiting.pop()
        path = _place(root, name)
        # what is installed beside a plug-in is not its own
        other = root.name == "site-packages" and _top(name) != _top(module.__name__)
        if name in found or path is None or other:
            continue
        found[name] = path.read_bytes()
        package = name if path.stem == "__init__" else name.rpartition(".")[0]
        waiting += _imported(found[name], package)
    return found


def _place(root: Path, name: str) -> Path | None:
    base = root.joinpath(*name.split("."))
    places = (base.with_name(f"{base.name}.py"), base / "__init__.py")
    return next((place for place in places if place.is_file()), None)


def _imported(source: bytes, package: str) -> list[str]:
    """Names of modules that a source may import, at its top or within its functions."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError):
        return []
    names: list[str] = []
    for node in nodes:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*parents, *filter(None, [node.module])]) if node.level else node.module
            names += [str(base), *(f"{base}.{alias.name}" for alias in node.names)]
    return names


def _top(name: str) -> str:
    return name.partition(".")[0]
