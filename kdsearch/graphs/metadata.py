"""What an ONNX file says of itself: inputs, tasks and where it comes from."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

from kdsearch.graphs.onnx_file import OPSET
from kdsearch.graphs.samples import SampleNetwork
from kdsearch.models.inputs import Input
from kdsearch.problems import Head

_OUTPUTS = {
    "class": "logits, one a class: the largest is the predicted one",
    "labels": "logits, one a label: above 0 it is predicted",
    "value": "the value, in its own unit",
}


_HUB_TASKS = {
    ("image", "class"): "image-classification",
    ("image", "labels"): "image-classification",
    ("numbers", "class"): "tabular-classification",
    ("numbers", "value"): "tabular-regression",
}


def metadata_of(module: SampleNetwork) -> dict[str, str]:
    """What everyone must know who runs a network as a file, each a text or JSON.

    ``tasks`` lists the tasks with kind, columns of the output and names of classes or labels;
    ``inputs`` the inputs with type and shape, where a number that is left open is a name.
    """
    return {
        "kdsearch": version("kdsearch"),
        "opset": str(OPSET),
        "family": module.network.family,
        "inputs": json.dumps([_input(module, *each) for each in module.inputs.items()]),
        "tasks": json.dumps([_task(head) for head in module.heads]),
        "preprocessing": "inside the graph: give samples as they are, not normalised",
    }


def hub_task(module: SampleNetwork) -> str | None:
    """What the Hugging Face Hub calls such a task; ``None`` where it has no name for it."""
    kinds = {each.kind for each in module.inputs.values()}
    if len(kinds) > 1 or len(module.heads) > 1:
        return None
    return _HUB_TASKS.get((kinds.pop(), module.heads[0].kind))


def _input(module: SampleNetwork, name: str, of: Input) -> dict[str, Any]:
    scale = module.scales[name]
    facts = {"name": name, "kind": of.kind, "mean": scale.mean, "std": scale.std}
    if of.kind == "numbers":
        given = "as the training data have them"
        return facts | {"type": "float64", "shape": ["batch", *of.shape], "given": given}
    channels, height, width = of.shape
    given = f"{'RGB' if channels == 3 else f'{channels} channel(s)'}, 0 to 255, channels first"
    shape: list[str | int] = ["batch", channels, height, width]
    if module.image_size is not None:
        shape = ["batch", channels, "height", "width"]
        given += f"; the centre square is resized to {height}×{width} inside the graph"
    return facts | {"type": "uint8", "shape": shape, "given": given}


def _task(head: Head) -> dict[str, Any]:
    return {
        "name": head.name,
        "kind": head.kind,
        "names": head.names,
        "columns": [head.start, head.start + head.size],
        "outputs": _OUTPUTS[head.kind],
    }
