"""The data set of a study, as MlflowClient reads it back."""

from __future__ import annotations

import json

from kdsearch.results.study import Study
from kdsearch.tracking.page.data import dataset_input
from kdsearch.tracking.store import Store
from kdsearch.tracking.writer import Writer


def test_the_run_of_a_study_has_its_data_set_once(study: Study, store: Store) -> None:
    for _ in range(2):
        writer = Writer(store, study)
        writer.begin()
    (found,) = store.client.get_run(writer.parent).inputs.dataset_inputs
    assert (found.dataset.name, found.dataset.digest) == ("digits", "f" * 36)
    assert {tag.key: tag.value for tag in found.tags} == {"mlflow.data.context": "training"}
    profile = json.loads(found.dataset.profile)
    assert profile["training samples"] == 300
    assert profile["validation samples"] == 80
    assert profile["input image"] == "1×8×8"
    assert profile["sha256"] == "f" * 64
    assert "digits" in found.dataset.source


def test_no_password_of_its_place_is_told(study: Study) -> None:
    data = study.spec.data.model_copy(update={"root": "s3://key1:secret7@bucket/images"})
    study.spec = study.spec.model_copy(update={"data": data})
    told = dataset_input(study).dataset
    assert "secret7" not in told.source
    assert "bucket/images" in told.source
