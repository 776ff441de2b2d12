"""Outputs that are not the classes of the data, held against probabilities that are added up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax

from kdsearch.errors import ModelError
from kdsearch.models import Network, Signal, build_network, of_images
from kdsearch.spec import ModelConfig

INPUTS = of_images((1, 8, 8))
GROUPS = {"cat": [4, 0], "dog": 6, "bird": [1, 2, 3]}
IMAGES = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def network(classes: int = 3, **more: Any) -> Network:
    torch.manual_seed(1)
    return build_network(ModelConfig(family="convnet", depth=2, **more), INPUTS, classes).eval()


def test_the_probability_of_a_class_is_that_of_its_outputs_among_those_that_stand_for_any() -> None:
    general = network(outputs=7, stands_for=GROUPS)
    with torch.no_grad():
        own = softmax(general(IMAGES).double().numpy(), axis=1)
        logits = general.observe({"image": IMAGES}, {Signal.LOGITS}).logits
    assert own.shape == (5, 7)
    found = softmax(logits.double().numpy(), axis=1)
    added = np.stack([own[:, [4, 0]].sum(1), own[:, 6], own[:, [1, 2, 3]].sum(1)], axis=1)
    np.testing.assert_allclose(found, added / added.sum(axis=1, keepdims=True), rtol=1e-5)


def test_shapes_say_whether_the_outputs_answer_in_the_classes_of_the_data() -> None:
    mapped = network(outputs=7, stands_for=GROUPS).signal_shapes()
    assert (mapped.classes, mapped.answers) == (3, True)
    general = network(outputs=7).signal_shapes()
    assert (general.classes, general.answers) == (7, False)
    alike = network(outputs=3).signal_shapes()
    assert (alike.classes, alike.answers) == (3, False), "as many outputs are not the same classes"
    headless = network(outputs=0).signal_shapes()
    assert not headless.answers
    plain = network().signal_shapes()
    assert plain.answers
    assert headless.features == general.features == plain.features
    assert headless.embedding == plain.embedding


def test_an_output_that_is_not_there_is_refused() -> None:
    with pytest.raises(ModelError, match="output 6 of convnet stands for 'dog'"):
        network(outputs=6, stands_for=GROUPS)


def test_a_model_keeps_its_classes_in_their_order_through_files_and_keys() -> None:
    model = ModelConfig(family="convnet", outputs=7, stands_for=GROUPS)
    again = ModelConfig.model_validate_json(model.model_dump_json())
    assert again == model
    assert [name for name, _ in again.stands_for] == ["cat", "dog", "bird"]
    plain = ModelConfig(family="convnet").model_dump(mode="json")
    assert "outputs" not in plain
    assert "stands_for" not in plain
