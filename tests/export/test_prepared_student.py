"""A student with a size and a normalisation of its own, shipped and loaded again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
import transformers

from kdsearch.data import Dataset
from kdsearch.export import load_student, save_student
from kdsearch.models import build_network
from kdsearch.models.inputs import of_images
from kdsearch.models.weights import save_weights
from kdsearch.spec.concrete import InitialWeights, ModelConfig, Normalisation
from tests.export.conftest import Trained, strict_json

OWN = Normalisation(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))


def test_it_needs_nothing_but_its_two_files(
    trained: Trained, digits: Dataset, tmp_path: Path
) -> None:
    """Of grey digits of 8 pixels, a network of colours at 12, which began with a file now gone."""
    weights = InitialWeights(source="/gone/mine.safetensors", sha256="a")
    config = ModelConfig(family="convnet", depth=2, image_size=12, normalise=OWN, weights=weights)
    torch.manual_seed(3)
    network = build_network(config, digits.inputs, 10).eval()
    save_weights(network, tmp_path / "0.safetensors")
    shipped = trained.finalist.shipped
    assert shipped is not None
    run = shipped.model_copy(update={"task": shipped.task.model_copy(update={"model": config})})
    finalist = replace(trained.finalist, runs=(run,))
    save_student(finalist, digits, tmp_path / "0.safetensors", tmp_path / "student")

    plain = build_network(ModelConfig(family="convnet", depth=2), of_images((3, 12, 12)), 10)
    plain.load_state_dict(network.state_dict())
    images = digits.test.images[:40]
    sized = F.interpolate(images / 255, (12, 12), mode="bilinear", antialias=True)
    mean, std = (torch.tensor(each)[:, None, None] for each in (OWN.mean, OWN.std))
    with torch.no_grad():
        found = load_student(tmp_path / "student")(images)
        expected = plain.eval()((sized.expand(-1, 3, -1, -1) - mean) / std)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    facts = strict_json((tmp_path / "student" / "student.json").read_text())
    assert facts["began_with"]["sha256"] == "a"
    assert facts["model"]["image_size"] == 12


def test_a_network_of_a_folder_needs_the_folder_no_longer(
    trained: Trained, digits: Dataset, tmp_path: Path
) -> None:
    small = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16, "patch_size": 4}
    made = transformers.ViTConfig(**small, num_hidden_layers=1, image_size=8)
    transformers.ViTForImageClassification(made).save_pretrained(tmp_path / "vit")
    config = ModelConfig(family=f"hf/{tmp_path / 'vit'}")
    network = build_network(config, digits.inputs, 10).eval()
    save_weights(network, tmp_path / "0.safetensors")
    shipped = trained.finalist.shipped
    assert shipped is not None
    run = shipped.model_copy(update={"task": shipped.task.model_copy(update={"model": config})})
    finalist = replace(trained.finalist, runs=(run,))
    save_student(finalist, digits, tmp_path / "0.safetensors", tmp_path / "student")
    shutil.rmtree(tmp_path / "vit")
    (tmp_path / "student").rename(tmp_path / "moved")
    student = load_student(tmp_path / "moved")
    images = torch.rand(4, 1, 8, 8)
    mean, std = digits.scales["image"].mean[0], digits.scales["image"].std[0]
    with torch.no_grad():
        expected = network((images - mean) / std)
        torch.testing.assert_close(student(images), expected, rtol=1e-4, atol=1e-5)
