"""An earlier study's folder with finalists of random weights, shipped as a run ships them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd
import torch

from kdsearch.data import Dataset
from kdsearch.export import save_student
from kdsearch.models import Network, build_network, measure
from kdsearch.models.weights import save_weights
from kdsearch.results.directory import StudyDirectory
from kdsearch.results.finalists import Finalist
from kdsearch.results.front_file import Summary, write_summaries
from kdsearch.results.summary import made_from
from kdsearch.spec import ModelConfig
from kdsearch.spec.study import StudySpec
from tests.records import TASK, sized


def make_study(spec: StudySpec, folder: Path) -> Path:
    """The folder of a finished study without finalists."""
    directory = StudyDirectory(folder)
    directory.create(spec)
    directory.update(state="finished")
    return folder


def ship(
    study: Path, trial: int, data: Dataset, accuracy: float = 0.9, **model: object
) -> tuple[Network, Path]:
    """A finalist of random weights and statistics; its network, and the file of its weights."""
    config = ModelConfig.model_validate({"family": "convnet", "depth": 2, **model})
    torch.manual_seed(100 + trial)
    network = build_network(config, data.inputs, data.outputs)
    for name, values in network.state_dict().items():
        if "running" in name:
            values.uniform_(0.5, 2)
    save_weights(network, study / "finalists" / f"{trial}.safetensors")
    task = TASK.model_copy(update={"model": config})
    run = sized(trial, "finalists", task, measure(network)).model_copy(
        update={
            "status": "complete",
            "epochs": ({"accuracy": accuracy, "epoch": 1.0, "seconds": 1.0},),
            "test": {"accuracy": accuracy},
        }
    )
    finalist = Finalist(run, (run,), ())
    folder = StudyDirectory(study).student(trial)
    save_student(finalist, data, study / "finalists" / f"{trial}.safetensors", folder)
    of_before = {int(each.name[-4:]) for each in folder.parent.glob("trial-[0-9]*")}
    tell_finalists(study, of_before)
    return network, folder / "student.safetensors"


def tell_finalists(study: Path, trials: Collection[int]) -> None:
    """Have a study's front hold these trials."""
    content = {"made_from": made_from(study), "front": [{"trial": each} for each in trials]}
    write_summaries(study, {"front": Summary(pd.DataFrame(), content)})
