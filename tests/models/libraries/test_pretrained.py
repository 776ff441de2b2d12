"""Weights of libraries, by name: from their caches, from a folder, or refused in a sentence."""

from __future__ import annotations

import importlib.util
import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import timm
import torch
import torchvision
import transformers
from safetensors.torch import save_file
from torch import nn

from kdsearch.data import Dataset
from kdsearch.errors import CheckpointError, ModelError
from kdsearch.models import Input, Network, build_network
from kdsearch.models.libraries import catalogue, library
from kdsearch.models.libraries.catalogue import LIBRARIES, library_of, with_own_view
from kdsearch.models.weights import sources
from kdsearch.models.weights.sources import known_weights, load_initial, with_known_weights
from kdsearch.spec.concrete import ModelConfig
from kdsearch.training.initial import initial_student
from kdsearch.training.task import Task
from kdsearch.training.teacher_store import StoredTeacher

DATA = {"image": Input("image", (3, 64, 64), (0.2, 0.4, 0.6), (0.3, 0.2, 0.1))}


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    """Pixels in 0 to 1 as the data have them."""
    mean, std = (
        torch.tensor(each)[:, None, None] for each in (DATA["image"].mean, DATA["image"].std)
    )
    return (pixels - mean) / std


def answered(model: ModelConfig, pixels: torch.Tensor, classes: int = 1000) -> torch.Tensor:
    """What the network of a model with its pretrained weights says of pixels in 0 to 1."""
    network = build_network(model, DATA, classes)
    assert load_initial(network, model, "the teacher") == []
    with torch.no_grad():
        return network.eval()(normalised(pixels))


def settled(model: nn.Module) -> nn.Module:
    """A module whose batch statistics are those of some noise."""
    with torch.no_grad():
        for _ in range(2):
            model.train()(torch.randn(4, 3, 96, 96))
    return model.eval()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of PyTorch's hub, and no network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    forget()
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    urllib.request.install_opener(None)  # type: ignore[arg-type] # which keeps its first proxies
    yield folder
    urllib.request.install_opener(None)  # type: ignore[arg-type]


def forget() -> None:
    """No weights in memory: of a tag there are others than in another test."""
    sources._state.cache_clear()
    sources._digest.cache_clear()
    catalogue._trained.cache_clear()


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "densenet121"])
def test_torchvisions_weights_answer_as_its_own_model_on_its_own_transforms(
    name: str, hub: Path
) -> None:
    """GoogLeNet changes its normalisation itself; files of DenseNets have names of their own."""
    torch.manual_seed(0)
    own = {"init_weights": False} if name == "googlenet" else {}
    weights = torchvision.models.get_model_weights(name).DEFAULT
    state = settled(torchvision.models.get_model(name, **own)).state_dict()
    if name == "densenet121":
        state = {key: value for key, value in state.items() if "num_batches" not in key}
        for number in (1, 2):
            state = {
                key.replace(f".norm{number}.", f".norm.{number}.").replace(
                    f".conv{number}.", f".conv.{number}."
                ): value
                for key, value in state.items()
            }
    torch.save(dict(state), hub / weights.url.rsplit("/", 1)[1])
    plain = torchvision.models.get_model(name, weights=weights).eval()

    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    preset = weights.transforms(crop_size=64, resize_size=64)
    with torch.no_grad():
        expected = plain(preset(images))
    model = ModelConfig(family=f"torchvision/{name}", weights="default", image_size=64)  # type: ignore[arg-type]
    found = answered(model, images / 255)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_the_size_of_the_library_is_taken_where_none_is_set(hub: Path) -> None:
    model = ModelConfig(family="torchvision/resnet18", weights="default")  # type: ignore[arg-type]
    network = build_network(model, DATA, 10)
    maps = network.signal_shapes().maps
    assert maps[0][1:] == (56, 56)
    assert build_network(ModelConfig(family="torchvision/resnet18"), DATA, 10).preparation is None


def test_a_tag_is_known_by_its_content(hub: Path) -> None:
    weights = torchvision.models.ResNet18_Weights.IMAGENET1K_V1
    file = hub / weights.url.rsplit("/", 1)[1]
    sums = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        torch.save(torchvision.models.resnet18().state_dict(), file)
        forget()
        for source in ("default", "IMAGENET1K_V1"):
            model = ModelConfig(family="torchvision/resnet18", weights=source)  # type: ignore[arg-type]
            known = with_known_weights(model)
            assert known.weights is not None
            assert known.weights.source == "IMAGENET1K_V1"
            assert known.image_size == 224
            assert known.normalise is not None
            assert known.normalise.mean == (0.485, 0.456, 0.406)
            sums.append(known.weights.sha256)
    assert sums[0] == sums[1] != sums[2] == sums[3]


def test_without_a_network_the_sentence_says_what_to_do(hub: Path) -> None:
    model = ModelConfig(family="torchvision/resnet18", weights="default")  # type: ignore[arg-type]
    with pytest.raises(
        CheckpointError,
        match=r"'IMAGENET1K_V1' of torchvision/resnet18 are not on this machine and cannot be "
        r"downloaded \(URLError.*\); allow the download, copy the library's cache from another "
        r"machine, or give a file",
    ):
        known_weights(model)


def test_timms_weights_from_the_cache_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    forget()
    model = ModelConfig(family="timm/resnet18", weights="a2_in1k", image_size=64)  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match=r"the weights 'a2_in1k' of timm/resnet18 are not on"):
        known_weights(model)

    torch.manual_seed(0)
    plain = settled(timm.create_model("resnet18.a2_in1k"))
    kept = tmp_path / "models--timm--resnet18.a2_in1k"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("0" * 40)
    (kept / "snapshots" / ("0" * 40)).mkdir(parents=True)
    save_file(plain.state_dict(), kept / "snapshots" / ("0" * 40) / "model.safetensors")

    pixels = torch.rand(2, 3, 64, 64)
    told = timm.data.resolve_data_config(pretrained_cfg=plain.pretrained_cfg)
    mean, std = (torch.tensor(told[name])[:, None, None] for name in ("mean", "std"))
    with torch.no_grad():
        expected = plain((pixels - mean) / std)
    torch.testing.assert_close(answered(model, pixels), expected, rtol=1e-4, atol=1e-3)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder of save_pretrained: a small ViT of five classes, with its image processor."""
    config = transformers.ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=32,
        patch_size=8,
        num_labels=5,
    )
    torch.manual_seed(0)
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path / "vit")
    transformers.ViTImageProcessor(
        size={"height": 32, "width": 32}, image_mean=[0.1, 0.2, 0.3], image_std=[0.5, 0.6, 0.7]
    ).save_pretrained(tmp_path / "vit")
    return tmp_path / "vit"


def test_a_folder_of_transformers(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved.parent)
    forget()
    model = ModelConfig(family="hf/./vit", weights="default")  # type: ignore[arg-type]
    assert model.family == f"hf/{saved}"
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    processor = transformers.AutoImageProcessor.from_pretrained(saved)
    plain = transformers.AutoModelForImageClassification.from_pretrained(saved).eval()
    with torch.no_grad():
        expected = plain(**processor(images=list(pixels), return_tensors="pt")).logits
    small = {"image": Input("image", (3, 32, 32), (0.2, 0.4, 0.6), (0.3, 0.2, 0.1))}
    network = build_network(model, small, 5)
    assert load_initial(network, model, "the teacher") == []
    with torch.no_grad():
        found = network.eval()(normalised(pixels / 255))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)

    other = build_network(model, DATA, 3)
    assert load_initial(other, model, "the teacher") == [
        f"the head of 'main' of hf/{saved} has 5 outputs (classifier.bias), not 3: a fresh one is "
        "trained in its place"
    ]


PROCESSORS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("ViTImageProcessor", {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.6, 0.7]}),
    "not normalised": ("ViTImageProcessor", {"do_normalize": False}),
    "of 0 to 255": ("ViTImageProcessor", {"do_rescale": False}),
    "own factor": ("ViTImageProcessor", {"rescale_factor": 1 / 127.5}),
    "one that normalises twice": ("EfficientNetImageProcessor", {}),
    "with an offset": (
        "EfficientNetImageProcessor",
        {"include_top": False, "rescale_offset": True, "rescale_factor": 1 / 127.5},
    ),
    "that keeps the order": ("MobileViTImageProcessor", {"do_flip_channel_order": False}),
}


@pytest.mark.parametrize("name", PROCESSORS)
def test_the_preparation_is_that_of_the_image_processor(name: str, tmp_path: Path) -> None:
    """Of a folder that holds only what differs from the processor's own defaults."""
    kind, settings = PROCESSORS[name]
    sized = {"size": {"height": 48, "width": 48}, "do_center_crop": False}
    told = {"image_processor_type": kind, **sized, **settings}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(told))
    found = view_of(tmp_path)
    assert found.image_size == 48
    assert found.normalise is not None
    pixels = torch.randint(0, 256, (2, 3, 48, 48), dtype=torch.uint8)
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    expected = processor(images=list(pixels), return_tensors="pt")["pixel_values"]
    normalise = found.normalise
    mean, std = (torch.tensor(each)[:, None, None] for each in (normalise.mean, normalise.std))
    torch.testing.assert_close((pixels / 255 - mean) / std, expected.float(), rtol=1e-4, atol=1e-4)


def test_the_size_is_that_of_the_crop(tmp_path: Path) -> None:
    told = {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 40}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(told))
    assert view_of(tmp_path).image_size == 40
    told = {"image_processor_type": "BitImageProcessor", "crop_size": {"height": 24, "width": 24}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(told))
    forget()
    assert view_of(tmp_path).image_size == 24


def view_of(folder: Path) -> ModelConfig:
    return with_own_view(ModelConfig(family=f"hf/{folder}", weights="default"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"image_processor_type": "MobileViTImageProcessor"}, "swaps or mixes the channels"),
        (
            {
                "image_processor_type": "ViTImageProcessor",
                "do_resize": True,
                "size": {"height": 32, "width": 16},
            },
            "makes images of 32×16 pixels",
        ),
        ({"image_processor_type": "Siglip2ImageProcessor"}, "its processor makes"),
        (None, "OSError"),
    ],
)
def test_other_preparations_are_to_be_given(
    told: dict[str, Any] | None, reason: str, tmp_path: Path
) -> None:
    if told is not None:
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(told))
    with pytest.raises(ModelError, match=rf"{reason}.*; give normalise and image_size"):
        view_of(tmp_path)


def test_a_training_keeps_no_copy_of_weights_and_refuses_changed_ones(
    hub: Path, digits: Dataset, make_task: Callable[..., Task]
) -> None:
    weights = torchvision.models.ResNet18_Weights.IMAGENET1K_V1
    file = hub / weights.url.rsplit("/", 1)[1]
    given = {"family": "torchvision/resnet18", "weights": "default", "image_size": 32}
    torch.manual_seed(0)
    state = torchvision.models.resnet18().state_dict()
    torch.save(state, file)
    task = make_task(model=given)
    task = task.model_copy(update={"model": with_known_weights(task.model)})
    student = initial_student(task, digits)
    own = student.state_dict()
    assert torch.equal(own["model.layer4.0.conv1.weight"], state["layer4.0.conv1.weight"])
    assert sources._state.cache_info().currsize == 0

    general = ModelConfig.model_validate({**given, "outputs": 1000})
    taken = StoredTeacher("", general, None, {}).build(digits).state_dict()
    assert all(torch.equal(taken[f"model.{name}"], each) for name, each in state.items())
    assert sources._state.cache_info().currsize == 0

    torch.save(torchvision.models.resnet18().state_dict(), file)
    forget()
    told = "'IMAGENET1K_V1' of torchvision/resnet18 are not those that the study began with"
    with pytest.raises(CheckpointError, match=told):
        initial_student(task, digits)


def test_architectures_of_transformers_have_no_weights_of_their_own() -> None:
    model = ModelConfig(family="hf/resnet", weights="default")  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="hf/resnet has no weights 'default' to download"):
        known_weights(model)


@pytest.mark.parametrize(
    ("family", "told"),
    [
        ("torchvision/resnet19", "unknown model 'torchvision/resnet19'; did you mean.*resnet18"),
        ("timm/resnet19", "unknown model 'timm/resnet19'; did you mean.*timm/resnet1"),
        ("hf/resnett", "unknown model 'hf/resnett'; did you mean 'hf/resnet'"),
        ("timm/resnet18.a1_in1k", "give family: timm/resnet18 and.*weights: a1_in1k"),
        ("hf/./nowhere", "there is no config.json in /.*/nowhere; give a folder"),
        ("mobilenetv4_conv_small", "did you mean 'timm/mobilenetv4_conv_small'"),
    ],
)
def test_names_that_a_library_does_not_have(family: str, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        build_network(ModelConfig(family=family), DATA, 10)


@pytest.mark.parametrize(
    ("family", "told"),
    [
        ("torchvision/resnet50", r"no weights 'V3'.*IMAGENET1K_V1.*IMAGENET1K_V2.*default"),
        ("timm/resnet18", r"no weights 'V3'.*a1_in1k.*default.*tv_in1k"),
    ],
)
def test_a_wrong_tag_is_answered_with_those_there_are(family: str, told: str) -> None:
    with pytest.raises(CheckpointError, match=told):
        known_weights(ModelConfig(family=family, weights="V3"))  # type: ignore[arg-type]


@pytest.mark.parametrize("family", ["timm/resnet18", "hf/resnet"])
def test_a_library_that_is_not_installed(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named '{name}'")

    monkeypatch.setattr(library, "import_module", missing)
    extra = {"timm": "timm", "hf": "transformers"}[family.partition("/")[0]]
    with pytest.raises(ModelError, match=rf"run: pip install 'kdsearch\[{extra}\]'"):
        build_network(ModelConfig(family=family), DATA, 10)


@pytest.mark.parametrize("family", ["timm/resnet18", "hf/./folder"])
def test_weights_of_a_library_that_is_not_installed(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named '{name}'")

    monkeypatch.setattr(library, "import_module", missing)
    of = library_of(family)
    assert of is not None
    with pytest.raises(ModelError, match=r"cannot be imported .*; run: pip install 'kdsearch"):
        of.state(family, "main")


@pytest.mark.parametrize("of", LIBRARIES, ids=lambda each: each.package)
def test_what_is_stated_of_a_library(of: library.Library) -> None:
    assert importlib.util.find_spec(of.package) is not None
    assert all(name.startswith(of.prefix) for name in of.names())
    assert len(of.names()) > 20


def test_a_library_network_takes_a_width(hub: Path) -> None:
    sizes = [
        sum(p.numel() for p in network.parameters())
        for width in (0.5, 1.0)
        if isinstance(
            network := build_network(ModelConfig(family="timm/resnet18", width=width), DATA, 10),
            Network,
        )
    ]
    assert sizes[0] < sizes[1] / 3
