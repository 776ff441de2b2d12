"""torchvision's own readers on small files in the formats that it reads."""

from __future__ import annotations

import hashlib
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from kdsearch.data import load_dataset
from kdsearch.errors import DataError
from kdsearch.spec.sections import DataSection

RANDOM = np.random.default_rng(0)


def write_pickle(file: Path, content: dict) -> str:
    """Write a CIFAR file and return its MD5, which torchvision checks."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(pickle.dumps(content))
    return hashlib.md5(file.read_bytes()).hexdigest()


def pixels(samples: int) -> np.ndarray:
    """Rows as CIFAR stores them: 1024 red values, then green, then blue."""
    return RANDOM.integers(0, 256, (samples, 3072), dtype=np.uint8)


@pytest.fixture
def cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Five batches of 20 and a test batch of 20, in CIFAR-10's format."""
    folder = tmp_path / "cifar-10-batches-py"
    labels = [label % 10 for label in range(20)]
    content = {name: pixels(20) for name, _ in datasets.CIFAR10.train_list}
    content["test_batch"] = pixels(20)
    sums = {
        name: write_pickle(folder / name, {"data": data, "labels": labels})
        for name, data in content.items()
    }
    meta_sum = write_pickle(
        folder / "batches.meta", {"label_names": [f"kind {label}" for label in range(10)]}
    )
    train_list = [[name, sums[name]] for name, _ in datasets.CIFAR10.train_list]
    monkeypatch.setattr(datasets.CIFAR10, "train_list", train_list)
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(datasets.CIFAR10, "meta", {**datasets.CIFAR10.meta, "md5": meta_sum})
    return content


def test_cifar10(tmp_path: Path, cifar10: dict[str, np.ndarray]) -> None:
    dataset = load_dataset(DataSection(source="cifar10", root=tmp_path, validation=0.2))
    assert [len(dataset.train), len(dataset.validation), len(dataset.test)] == [80, 20, 20]
    assert dataset.classes == tuple(f"kind {label}" for label in range(10))
    expected = cifar10["test_batch"].reshape(20, 3, 32, 32)
    np.testing.assert_array_equal(dataset.test.images.numpy(), expected)
    assert dataset.test.labels.tolist() == [label % 10 for label in range(20)]
    batches = [data for name, data in cifar10.items() if name != "test_batch"]
    stored = sorted(row.tobytes() for row in np.concatenate(batches))
    images = [*dataset.train.images, *dataset.validation.images]
    assert sorted(image.numpy().tobytes() for image in images) == stored


def test_cifar100(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cifar-100-python"
    fine = [label for label in range(100) for _ in range(2)]
    test = pixels(100)
    train_sum = write_pickle(folder / "train", {"data": pixels(200), "fine_labels": fine})
    test_sum = write_pickle(folder / "test", {"data": test, "fine_labels": list(range(100))})
    names = {"fine_label_names": [f"kind {label}" for label in range(100)]}
    meta_sum = write_pickle(folder / "meta", names)
    monkeypatch.setattr(datasets.CIFAR100, "train_list", [["train", train_sum]])
    monkeypatch.setattr(datasets.CIFAR100, "test_list", [["test", test_sum]])
    monkeypatch.setattr(datasets.CIFAR100, "meta", {**datasets.CIFAR100.meta, "md5": meta_sum})
    dataset = load_dataset(DataSection(source="cifar100", root=tmp_path))
    # Two samples a class: one must stay to train on, so half go to the validation.
    assert [len(dataset.train), len(dataset.validation), len(dataset.test)] == [100, 100, 100]
    assert dataset.classes[99] == "kind 99"
    np.testing.assert_array_equal(dataset.test.images.numpy(), test.reshape(-1, 3, 32, 32))


@pytest.mark.usefixtures("cifar10")
def test_a_damaged_cifar_file_is_refused(tmp_path: Path) -> None:
    batch = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    batch.write_bytes(batch.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"cifar10 is not in .*, or is damaged .*batches-py"):
        load_dataset(DataSection(source="cifar10", root=tmp_path))


def write_idx(file: Path, values: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    head = struct.pack(">HBB", 0, 8, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape)
    file.write_bytes(head + values.tobytes())


@pytest.mark.parametrize(
    ("source", "name"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")]
)
def test_idx_files(tmp_path: Path, source: str, name: str) -> None:
    raw = tmp_path / name / "raw"
    images = RANDOM.integers(0, 256, (50, 28, 28), dtype=np.uint8)
    labels = (np.arange(50) % 10).astype(np.uint8)
    for prefix in ("train", "t10k"):
        write_idx(raw / f"{prefix}-images-idx3-ubyte", images)
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", labels)
    dataset = load_dataset(DataSection(source=source, root=tmp_path, validation=0.2))
    assert [len(dataset.train), len(dataset.validation)] == [40, 10]
    np.testing.assert_array_equal(dataset.test.images.numpy(), images[:, None])
    assert dataset.test.labels.tolist() == labels.tolist()


def test_absent_files_name_root_folder_and_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load_dataset(DataSection(source="fashion_mnist", root=tmp_path))
    message = str(caught.value)
    assert str(tmp_path / "FashionMNIST" / "raw") in message
    assert "fix data.root" in message
    assert "data.download: true" in message
    assert not list(tmp_path.iterdir())


def test_a_torn_idx_file_is_refused(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    for prefix in ("train", "t10k"):
        write_idx(raw / f"{prefix}-images-idx3-ubyte", np.zeros((20, 28, 28), np.uint8))
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", np.zeros(20, np.uint8))
    images = raw / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"mnist is not in .*, or is damaged"):
        load_dataset(DataSection(source="mnist", root=tmp_path))


def test_an_empty_idx_file_is_refused(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix in ("train", "t10k"):
        (raw / f"{prefix}-images-idx3-ubyte").touch()
        (raw / f"{prefix}-labels-idx1-ubyte").touch()
    with pytest.raises(DataError, match=r"mnist is not in .*, or is damaged"):
        load_dataset(DataSection(source="mnist", root=tmp_path))


def test_a_fetch_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"file://{tmp_path}/nowhere/"])
    with pytest.raises(DataError, match=r"mnist could not be fetched into .*MNIST/raw"):
        load_dataset(DataSection(source="mnist", root=tmp_path / "new", download=True))
