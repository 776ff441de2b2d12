"""What of a file of weights does not fit is told by name and shape; a head may be replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from kdsearch.errors import CheckpointError
from kdsearch.models import build_network, of_images
from kdsearch.models.weights import load_weights
from kdsearch.models.weights.sources import load_initial
from kdsearch.spec.concrete import ModelConfig

State = dict[str, Tensor]
FAMILY = "torchvision/mobilenet_v3_small"


def plain(classes: int = 5) -> nn.Module:
    return torchvision.models.mobilenet_v3_small(num_classes=classes)


def saved(content: object, folder: Path) -> Path:
    torch.save(content, folder / "mine.pth")
    return folder / "mine.pth"


def beginning(file: Path) -> ModelConfig:
    return ModelConfig(family=FAMILY, weights=str(file))  # type: ignore[arg-type]


def test_everything_that_does_not_fit_is_counted_and_the_first_is_named(tmp_path: Path) -> None:
    state = dict(plain().state_dict())
    for number in (1, 2, 3):
        del state[f"features.{number}.block.0.0.weight"]
    state["features.0.0.weight"] = torch.zeros(8, 3, 3, 3)
    state["features.12.0.weight"] = torch.zeros(7, 96, 1, 1)
    state |= {f"extra.{number}": torch.zeros(number) for number in range(1, 9)}
    network = build_network(ModelConfig(family=FAMILY), of_images((3, 64, 64)), 5)
    with pytest.raises(CheckpointError) as raised:
        load_weights(network, saved(state, tmp_path), "the teacher")
    said = str(raised.value)
    assert (
        "(2 of another shape: features.0.0.weight is [8, 3, 3, 3] in the file and [16, 3, 3, 3] in "
        "the model, features.12.0.weight is [7, 96, 1, 1] in the file and [576, 96, 1, 1] in the "
        "model; the file lacks 3: features.1.block.0.0.weight, features.2.block.0.0.weight, "
        "features.3.block.0.0.weight; the model has no 8: extra.1 [1], extra.2 [2], extra.3 [3], "
        "extra.4 [4], extra.5 [5], …)"
    ) in said


WRAPPED: dict[str, Callable[[State], object]] = {
    "bare": lambda state: state,
    "model, beside an optimiser": lambda state: {
        "model": state,
        "optimizer": {
            "state": {0: {"momentum_buffer": torch.zeros(3)}},
            "param_groups": [{"lr": 0.1}],
        },
        "epoch": 3,
    },
    "state_dict of DataParallel": lambda state: {
        "state_dict": {f"module.{name}": value for name, value in state.items()}
    },
    "ema of a compiled network": lambda state: {
        "ema": {f"module._orig_mod.{name}": value for name, value in state.items()},
        "epoch": 3,
    },
    "kdsearch's own names": lambda state: {f"model.{name}": value for name, value in state.items()},
}


@pytest.mark.parametrize("form", WRAPPED)
@pytest.mark.parametrize("classes", [5, 1000])
def test_a_training_begins_with_any_form_and_a_head_of_its_own(
    form: str, classes: int, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    model = plain(classes)
    file = saved(WRAPPED[form](dict(model.state_dict())), tmp_path)
    torch.manual_seed(2)
    network = build_network(beginning(file), of_images((3, 64, 64)), 5)
    told = load_initial(network, beginning(file), "the teacher")
    for name, value in network.state_dict().items():
        of_head = classes != 5 and name.startswith("model.classifier.3.")
        expected = model.state_dict()[name.removeprefix("model.")] if not of_head else 0 * value
        assert torch.equal(value, expected), name
    said = f"the head of {file} has 1000 outputs (classifier.3.bias), not 5: a fresh one is trained"
    assert told == ([] if classes == 5 else [f"{said} in its place"])


def test_a_backbone_alone_gets_a_head(tmp_path: Path) -> None:
    state = {k: v for k, v in plain().state_dict().items() if not k.startswith("classifier.3.")}
    file = saved(state, tmp_path)
    network = build_network(beginning(file), of_images((3, 64, 64)), 5)
    assert load_initial(network, beginning(file), "the teacher") == [
        f"{file} has no head (classifier.3.bias); a fresh one is trained"
    ]
    # as long as it is untrained no class is likelier than another
    assert not network.eval()(torch.rand(2, 3, 64, 64)).any()


def test_a_trained_teacher_keeps_its_head_or_is_refused(tmp_path: Path) -> None:
    network = build_network(ModelConfig(family=FAMILY), of_images((3, 64, 64)), 5)
    with pytest.raises(CheckpointError, match=r"made for 9 classes \(classifier.3.bias\)"):
        load_weights(network, saved(plain(9).state_dict(), tmp_path), "the teacher")


def test_weights_of_colours_for_grey_images_need_their_normalisation(tmp_path: Path) -> None:
    file = saved(plain().state_dict(), tmp_path)
    grey = of_images((1, 64, 64))
    network = build_network(ModelConfig(family=FAMILY), grey, 5)
    with pytest.raises(CheckpointError, match=r"of 3 channels: give normalise.*features\.0\.0"):
        load_weights(network, file, "the teacher")
    own = {"mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2)}
    repeated = ModelConfig.model_validate({"family": FAMILY, "normalise": own})
    load_weights(build_network(repeated, grey, 5), file, "the teacher")


def test_a_vision_transformer_of_another_size_is_told_so(tmp_path: Path) -> None:
    model = torchvision.models.vit_b_32(num_classes=5, image_size=64)
    file = saved(model.state_dict(), tmp_path)
    family = "torchvision/vit_b_32"
    with pytest.raises(CheckpointError, match=r"set image_size to that.*pos_embedding follows"):
        load_weights(
            build_network(ModelConfig(family=family), of_images((3, 32, 32)), 5), file, "it"
        )
    sized = ModelConfig(family=family, image_size=64)
    load_weights(build_network(sized, of_images((3, 32, 32)), 5), file, "it")
