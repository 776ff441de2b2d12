"""Weights as other programs write them: each form is loaded, or refused with what converts it."""

from __future__ import annotations

import argparse
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path, PosixPath
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from kdsearch.errors import CheckpointError
from kdsearch.models import Network, build_network, of_images
from kdsearch.models.weights import load_weights, save_weights, tensors_of
from kdsearch.space.architectures import Architectures
from kdsearch.spec.concrete import ModelConfig

State = dict[str, Tensor]
MODEL = ModelConfig(family=f"{__name__}:small")


def small(
    image_shape: tuple[int, int, int] = (1, 8, 8), classes: int = 10, width: float = 1
) -> nn.Module:
    """A user's own network, as a function of the spec returns it."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(image_shape[0], 4, 3),
            bn=nn.BatchNorm2d(4),
            relu=nn.ReLU(),
            pool=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(),
            fc=nn.Linear(4, classes),
        )
    )


class Counting(nn.Conv2d):
    """A layer that keeps state which is no tensor."""

    def get_extra_state(self) -> dict[str, Any]:
        return {"seen": 3}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        assert state == {"seen": 3}


def counting(image_shape: tuple[int, int, int], classes: int, width: float = 1) -> nn.Module:
    made = small(image_shape, classes)
    made.conv = Counting(image_shape[0], 4, 3)
    return made


def trained(seed: int = 1, classes: int = 10) -> nn.Module:
    torch.manual_seed(seed)
    made = small(classes=classes)
    made(torch.randn(8, 1, 8, 8))  # moves the batch statistics
    return made


def loaded(path: Path, family: str = MODEL.family) -> State:
    """What the network of the spec has after the file was loaded, by the user's names."""
    network: Network = build_network(ModelConfig(family=family), of_images((1, 8, 8)), 10)
    load_weights(network, path, "the teacher")
    return {name.removeprefix("model."): value for name, value in network.state_dict().items()}


def prefixed(prefix: str, state: State) -> State:
    return {prefix + name: value for name, value in state.items()}


def arguments() -> argparse.Namespace:
    return argparse.Namespace(lr=0.1, model="small", data_path=PosixPath("/data"), amp=False)


def of_torchvision(state: State, other: State) -> dict[str, Any]:
    """As references/classification/train.py of torchvision saves it."""
    optimizer = torch.optim.SGD(small().parameters(), lr=0.1).state_dict()
    average = prefixed("module.", other) | {"n_averaged": torch.tensor(3)}
    return {
        "model": state,
        "optimizer": optimizer,
        "lr_scheduler": {"last_epoch": 3},
        "epoch": 3,
        "args": arguments(),
        "model_ema": average,
    }


def of_timm(state: State, other: State) -> dict[str, Any]:
    """As timm.utils.CheckpointSaver saves it."""
    return {
        "epoch": 3,
        "arch": "small",
        "state_dict": state,
        "optimizer": {},
        "version": 2,
        "args": arguments(),
        "metric": np.float64(71.5),
        "state_dict_ema": other,
    }


FORMS: dict[str, Callable[[State, State], Any]] = {
    "bare": lambda s, _: s,
    "DataParallel": lambda s, _: prefixed("module.", s),
    "compiled": lambda s, _: prefixed("_orig_mod.", s),
    "both": lambda s, _: prefixed("module._orig_mod.", s),
    "net": lambda s, _: prefixed("net.", s),
    "backbone": lambda s, _: prefixed("backbone.", s),
    "wrapped": lambda s, _: prefixed("model.", s),
    "Lightning": lambda s, _: {"state_dict": prefixed("net.", s), "epoch": 3},
    "half": lambda s, _: {k: v.half() if v.is_floating_point() else v for k, v in s.items()},
    "state_dict": lambda s, _: {"state_dict": s, "best": 0.7},
    "model": lambda s, _: {"model": s},
    "model_state_dict": lambda s, _: {"model_state_dict": s, "optimizer_state_dict": {}},
    "nested": lambda s, _: {"model": {"state_dict": s}},
    "model_ema": lambda s, _: {"model_ema": prefixed("module.", s) | {"n_averaged": torch.ones(1)}},
    "ema_state_dict": lambda s, _: {"ema_state_dict": s, "step": 9},
    "state_dict_ema": lambda s, _: {"state_dict_ema": s},
    "torchvision's script": of_torchvision,
    "timm's script": of_timm,
    "extra state": lambda s, _: {**s, "conv._extra_state": {"seen": 3}},
    "without counts": lambda s, _: {k: v for k, v in s.items() if "num_batches" not in k},
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_loads_as_it_is(tmp_path: Path, form: str) -> None:
    state = trained().state_dict()
    torch.save(FORMS[form](state, trained(seed=2).state_dict()), tmp_path / "w.pt")
    for name, value in loaded(tmp_path / "w.pt").items():
        if form != "without counts" or "num_batches" not in name:
            tolerance = 2e-3 if form == "half" else 0
            torch.testing.assert_close(value, state[name], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("prefix", ["", "module.", "model."])
def test_safetensors_of_a_bare_state_dict_load(tmp_path: Path, prefix: str) -> None:
    state = trained().state_dict()
    save_file(prefixed(prefix, state), tmp_path / "w.safetensors")
    assert all(torch.equal(v, state[k]) for k, v in loaded(tmp_path / "w.safetensors").items())


def test_torchvisions_own_weights_load(tmp_path: Path) -> None:
    theirs = torchvision.models.resnet18(weights=None, num_classes=10)
    torch.save(theirs.state_dict(), tmp_path / "resnet18.pth")
    network = build_network(ModelConfig(family="torchvision/resnet18"), of_images((3, 32, 32)), 10)
    load_weights(network, tmp_path / "resnet18.pth", "the teacher")
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(images), theirs.eval()(images))


def test_torchvisions_auxiliary_classifiers_are_left_out(tmp_path: Path) -> None:
    theirs = torchvision.models.googlenet(weights=None, num_classes=10, init_weights=False)
    torch.save(theirs.state_dict(), tmp_path / "googlenet.pth")
    network = build_network(ModelConfig(family="torchvision/googlenet"), of_images((3, 64, 64)), 10)
    load_weights(network, tmp_path / "googlenet.pth", "the teacher")
    weight = network.state_dict()["model.fc.weight"]
    assert torch.equal(weight, theirs.fc.weight)


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        loaded(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_a_head_of_other_classes_is_told_with_both_counts(tmp_path: Path) -> None:
    torch.save(trained(classes=1000).state_dict(), tmp_path / "w.pt")
    said = refused(tmp_path / "w.pt")
    assert "was made for 1000 classes (fc.bias), and the data have 10" in said
    assert "train the network on these data first" in said


def test_another_architecture_is_told_by_the_users_own_names(tmp_path: Path) -> None:
    state = trained().state_dict()
    del state["bn.weight"]
    torch.save(prefixed("module.", state), tmp_path / "w.pt")
    said = refused(tmp_path / "w.pt")
    assert "another architecture than the teacher (the file lacks bn.weight)" in said


class Own:
    """Something of a training script's own."""


def converted(said: str) -> None:
    """Run the lines that a message gives."""
    lines = re.search(r"(import torch; .*?torch\.save\(.*?'\))", said)
    assert lines is not None, said
    exec(lines[1], {})  # what a user who trusts the file does


def test_a_whole_pickled_model_is_told_with_the_lines_that_convert_it(tmp_path: Path) -> None:
    made = trained()
    torch.save(made, tmp_path / "w.pt")
    said = refused(tmp_path / "w.pt")
    assert "a whole pickled model, no state dict (torch.nn.modules." in said
    assert "to unpickle that runs code of the file" in said
    converted(said)
    found = loaded(tmp_path / "w-state-dict.pt")
    assert all(torch.equal(value, found[name]) for name, value in made.state_dict().items())


def test_other_objects_beside_the_tensors_are_told_with_the_lines_too(tmp_path: Path) -> None:
    state = trained().state_dict()
    torch.save({"state_dict": state, "config": Own()}, tmp_path / "w.pt")
    said = refused(tmp_path / "w.pt")
    assert f"holds other objects beside the tensors ({__name__}.Own)" in said
    assert "(or the key that your script gave them); then give" in said
    converted(said)
    assert torch.equal(loaded(tmp_path / "w-state-dict.pt")["fc.bias"], state["fc.bias"])


class Trap:
    """Pickled, it would make a file wherever it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("beside", [True, False])
def test_no_code_of_a_file_runs(tmp_path: Path, beside: bool) -> None:
    trap = Trap(tmp_path / "sprung")
    content = {"state_dict": trained().state_dict(), "args": argparse.Namespace(x=trap)}
    torch.save(content if beside else trap, tmp_path / "w.pt")
    assert "runs code of the file" in refused(tmp_path / "w.pt")
    assert not (tmp_path / "sprung").exists()


def test_state_that_is_no_tensor_stays_as_the_network_has_it(tmp_path: Path) -> None:
    torch.manual_seed(1)
    made = counting((1, 8, 8), 10)
    torch.save(made.state_dict(), tmp_path / "w.pt")
    found = loaded(tmp_path / "w.pt", f"{__name__}:counting")
    assert torch.equal(found["conv.weight"], made.state_dict()["conv.weight"])
    assert found["conv._extra_state"] == {"seen": 3}


class Bare(Network):
    """A network of the user's, with state that is no tensor."""

    def __init__(self) -> None:
        super().__init__(of_images((1, 8, 8)), 10)
        self.inner = counting((1, 8, 8), 10)

    def trace(self, images: Tensor) -> Any:
        raise NotImplementedError


def test_tensors_alone_are_saved(tmp_path: Path) -> None:
    first, second = Bare(), Bare()
    save_weights(first, tmp_path / "w.safetensors")
    load_weights(second, tmp_path / "w.safetensors", "the student")
    assert torch.equal(first.inner.fc.weight, second.inner.fc.weight)


def test_state_that_is_no_tensor_has_no_size_and_no_shape() -> None:
    known, sizes = Architectures(of_images((1, 8, 8)), 10), []
    for name in ("counting", "small"):
        model = ModelConfig(family=f"{__name__}:{name}")
        sizes.append(known.size(model))
        weights = build_network(model, of_images((1, 8, 8)), 10).state_dict()
        tensors = {k: tuple(v.shape) for k, v in weights.items() if "extra_state" not in k}
        assert known.shapes(model).weights == tensors
    assert sizes[0] == sizes[1]


def test_the_tensors_of_a_network_are_told_from_other_state() -> None:
    network = build_network(ModelConfig(family=f"{__name__}:counting"), of_images((1, 8, 8)), 10)
    tensors = tensors_of(network)
    assert "model.conv.weight" in tensors
    assert not any(name.endswith("_extra_state") for name in tensors)
