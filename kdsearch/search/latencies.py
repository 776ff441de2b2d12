"""Latency and memory of the finalists and of their teacher, once nothing else of the study runs."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from subprocess import CalledProcessError
from typing import Any

from kdsearch.errors import KdsearchError
from kdsearch.graphs.peak_memory import peak_memory
from kdsearch.graphs.stopwatch import files_of
from kdsearch.models import build_network
from kdsearch.results.study import Study
from kdsearch.space.architectures import Architectures
from kdsearch.space.checks import Plan
from kdsearch.spec.concrete import ModelConfig


@dataclass(frozen=True)
class _Files:
    """An architecture as ONNX files of random weights; or why there are none."""

    contents: Mapping[str, bytes]
    failure: str | None = None


def measure_latencies(study: Study, plan: Plan) -> dict[str, Any]:
    """Latencies of all together, in interleaved runs, and the memory that each needs.

    Times and memory follow from the architecture alone, so the weights are random ones.

    Args:
        study: The study, its finalists chosen.
        plan: Its plan.

    Returns:
        ``how`` it was measured, ``teachers`` by name and ``trials`` by number as text; of each
        ``latency`` and ``int8_latency`` in microseconds, ``peak_memory`` and ``int8_peak_memory``
        in bytes, or ``failure``.

    Raises:
        RunError: The command that measures fails.
    """
    networks = plan.architectures
    compared = study.spec.teachers_behind(study.spec.compared_with)
    files = {
        ("teachers", name): _files(
            networks.of_tasks(study.spec.tasks_of(name)), study.spec.given_teachers[name].model
        )
        for name in compared
    }
    files |= {
        ("trials", str(finalist.trial.number)): _files(networks, finalist.trial.task.model)
        for finalist in study.finalists()
    }
    contents = {(key, kind): c for key, of in files.items() for kind, c in of.contents.items()}
    stopwatch = networks.stopwatch
    times = dict(zip(contents, stopwatch.together(list(contents.values())), strict=True))
    found: dict[str, Any] = {"how": _how(plan), "teachers": {}, "trials": {}}
    for key, of in files.items():
        group, name = key
        told: dict[str, Any] = {} if of.failure is None else {"failure": of.failure}
        for kind, content in of.contents.items():
            told[f"{kind}latency"] = times[key, kind]
            if stopwatch.setting.command is None:
                told[f"{kind}peak_memory"] = _memory(content, plan)
        found[group][name] = told
    return found


def _files(networks: Architectures, model: ModelConfig) -> _Files:
    network = build_network(model, networks.inputs, networks.outputs)
    try:
        original, int8 = files_of(network, networks.heads, network.inputs)
    except KdsearchError as error:
        return _Files({}, str(error))
    assert int8 is not None
    return _Files({"": original, "int8_": int8})


def _memory(content: bytes, plan: Plan) -> int | None:
    setting = plan.spec.latency
    try:
        return peak_memory(content, setting.batch, setting.threads)
    except (CalledProcessError, OSError, ValueError):  # what cannot be measured costs no study
        return None


def _how(plan: Plan) -> dict[str, Any]:
    setting = plan.spec.latency
    told: dict[str, Any] = {"batch": setting.batch}
    if setting.command is not None:
        return told | {"command": setting.command}
    return told | {
        "runtime": f"onnxruntime {version('onnxruntime')}",
        "provider": "CPUExecutionProvider",
        "threads": setting.threads,
        "machine": f"{platform.system()} {platform.machine()}",
    }
