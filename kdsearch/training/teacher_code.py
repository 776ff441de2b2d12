"""The user's code that makes a network, as a part of what a teacher is known by."""

from __future__ import annotations

import ast
import hashlib
import sys
from pathlib import Path
from types import ModuleType

from kdsearch.errors import ModelError
from kdsearch.models.user_models import GROUP, is_own
from kdsearch.plugins import installed, is_reference, load, resolve
from kdsearch.spec.concrete import ModelConfig


def code_digest(model: ModelConfig) -> str:
    """SHA-256 of the files of the user's code behind a model; empty for kdsearch's own models.

    The module of the function counts as a whole, and with it every module beside it, or of its
    package, that it imports.

    Raises:
        ModelError: The function is not there.
    """
    family = model.family
    if not is_own(family):
        return ""
    if is_reference(family):
        function = resolve(family, "function", ModelError)
        name = family.partition(":")[0]
    else:
        function = load(installed(GROUP)[family], ModelError)
        name = getattr(function, "__module__", "")
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
