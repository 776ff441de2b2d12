"""The data set of a study as MLflow knows data sets."""

from __future__ import annotations

import json

from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_SOURCE_NAME

from kdsearch.redaction import redacted
from kdsearch.results.study import Study
from kdsearch.spec.sections import SourceSection

DIGEST_DIGITS = 36
"""As many digits of a fingerprint as MLflow takes."""


def _where(section: SourceSection) -> str:
    """A source of samples, and the place of its files."""
    place = section.root or (section.table and section.table.file)
    return f"{section.source}{f' in {place}' if place else ''}"


def dataset_input(study: Study) -> DatasetInput:
    """The data set that a study trains on: its name, fingerprint, size, inputs and source."""
    facts, spec = study.directory.inputs().data, study.spec
    sections = (spec.data, *([spec.target] if spec.target else []))
    source = {MLFLOW_SOURCE_NAME: redacted(" → ".join(map(_where, sections)))}
    told = MetaDataset(  # type: ignore[abstract]  # as its documentation has it
        CodeDatasetSource(source), name=facts.name, digest=facts.fingerprint[:DIGEST_DIGITS]
    ).to_dict()
    profile = {
        "training samples": facts.train,
        "validation samples": facts.validation,
        **{f"input {name}": "×".join(map(str, shape)) for name, shape in facts.inputs.items()},
        "sha256": facts.fingerprint,
    }
    return DatasetInput(
        Dataset(
            name=told["name"],
            digest=told["digest"],
            source_type=told["source_type"],
            source=told["source"],
            schema=told.get("schema"),
            profile=json.dumps(profile, ensure_ascii=False),
        ),
        [InputTag(MLFLOW_DATASET_CONTEXT, "training")],
    )
