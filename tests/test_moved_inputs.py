"""A study that goes on although what it was made from has moved, and not if that has changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import kdsearch
from kdsearch.models import build_network, of_images
from kdsearch.models.weights import save_weights
from kdsearch.spec import ModelConfig
from tests.command_line import CallCommand
from tests.own_ray import ray_in

pytestmark = pytest.mark.slow

SPEC = """
study: {name: first, directory: studies}
data: {source: image_folder, root: images, image_size: 8, validation: 0.25, test: 0.25}
teacher:
  model: {family: convnet, width: 0.5, depth: 2}
  checkpoint: teacher.safetensors
  training: {batch_size: 16}
students:
  - {family: convnet, width: {low: 0.2, high: 1.0, log: true}, depth: 1}
methods: [none, kd]
training: {epochs: 1, batch_size: 16, lr: {low: 0.02, high: 0.2, log: true}}
search: {trials: 3, sampler: random}
resources: {concurrent: 1}
finalists: {seeds: 2, max: 1, int8: false, latency: false}
"""


def write_images(folder: Path) -> None:
    """48 images each of a light and a dark class."""
    generator = np.random.default_rng(0)
    for name, shade in (("dark", 60), ("light", 160)):
        (folder / name).mkdir(parents=True)
        for number in range(48):
            pixels = generator.normal(shade, 40, (8, 8, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:02d}.png")


def write_teacher(file: Path, seed: int) -> None:
    torch.manual_seed(seed)
    config = ModelConfig(family="convnet", width=0.5, depth=2)
    save_weights(build_network(config, of_images((3, 8, 8)), 2), file)


def contents(folder: str) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("moved")
    (path / "space.yaml").write_text(SPEC)
    write_images(path / "images")
    write_teacher(path / "teacher.safetensors", 1)
    with ray_in(path):
        yield path


def test_a_study_goes_on_without_the_folders_that_it_began_with(
    folder: Path, call_command: CallCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    code, _, err = call_command("run", "space.yaml")
    assert (code, err) == (0, "")
    members = [each.parameters for each in kdsearch.Study.open("studies/first").members()]

    begin = ["run", "space.yaml", "--set", "study.name=second"]
    begin += ["--set", "search.warm_start=[studies/first]"]
    code, _, err = call_command(*begin, "--set", "search.trials=1")
    assert (code, err) == (0, "")
    shutil.rmtree("studies/first")
    shutil.move("images", "elsewhere/images")
    shutil.move("teacher.safetensors", "elsewhere/given.safetensors")
    moved = ["--set", "data.root=elsewhere/images", "--resume"]
    moved += ["--set", "teacher.checkpoint=elsewhere/given.safetensors"]
    extended = [*begin, *moved, "--set", f"search.trials={len(members) + 1}"]
    code, _, err = call_command(*extended)
    assert (code, err) == (0, "")
    trials = kdsearch.Study.open("studies/second").records()
    assert len(trials) == len(members) + 1
    assert {str(each.parameters) for each in trials} >= {str(each) for each in members}

    before = contents("studies/second")
    image = Path("elsewhere/images/dark/07.png")
    pixels = np.asarray(Image.open(image)).copy()
    kept = image.read_bytes()
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(image)
    code, _, err = call_command(*extended)
    assert (code, err.count("\n")) == (2, 1)
    assert "was made from other data" in err
    image.write_bytes(kept)

    write_teacher(Path("elsewhere/given.safetensors"), 2)
    code, _, err = call_command(*extended)
    assert (code, err.count("\n")) == (2, 1)
    assert "was made with another file of teacher.checkpoint" in err
    assert contents("studies/second") == before


def test_damaged_weights_of_a_finalist_are_trained_again_as_the_message_says(
    folder: Path, call_command: CallCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    write_images(folder / "again")
    write_teacher(folder / "again.safetensors", 1)
    words = ["run", "space.yaml", "--set", "study.name=flipped", "--set", "data.root=again"]
    words += ["--set", "teacher.checkpoint=again.safetensors"]
    assert call_command(*words).code == 0
    study = kdsearch.Study.open("studies/flipped")
    (student,) = study.directory.students.iterdir()
    shipped = (student / "student.safetensors").read_bytes()
    for file in study.directory.weights.glob("*.safetensors"):
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    code, _, err = call_command(*words, "--resume")
    assert code == 1
    assert "its checksum differs; remove the lines with" in err
    assert (student / "student.safetensors").read_bytes() == shipped
    line = err.partition("remove the lines with ")[2].partition(" ")[0]
    journal = study.directory.finalists.path
    lines = journal.read_text().splitlines(keepends=True)
    left = [each for each in lines if f"{line}," not in each]
    assert len(left) == len(lines) - 2  # that it was begun, and that it is complete
    journal.write_text("".join(left))
    code, _, err = call_command(*words, "--resume")
    assert (code, err) == (0, "")
    assert (student / "student.safetensors").read_bytes() == shipped
