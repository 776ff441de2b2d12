"""Files of weights: round trips, and one clear sentence for each file that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kdsearch.errors import CheckpointError
from kdsearch.models import Network, build_network, of_images
from kdsearch.models.weights import check_weights, load_weights, save_weights
from kdsearch.spec.concrete import ModelConfig
from tests.full_disk import no_room_for


def network(seed: int, width: float = 0.5, depth: int = 2) -> Network:
    torch.manual_seed(seed)
    return build_network(
        ModelConfig(family="convnet", width=width, depth=depth), of_images((1, 8, 8)), 10
    )


def same(one: Network, other: Network) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(first, second) for first, second in pairs)


def refusal(path: Path) -> str:
    """What is said of a file, which must be one sentence that leaves the network alone."""
    target, untouched = network(1), network(1)
    with pytest.raises(CheckpointError) as caught:
        load_weights(target, path, "the teacher")
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    assert same(target, untouched)
    return message


def test_weights_and_buffers_come_back(tmp_path: Path) -> None:
    first, second = network(1), network(2)
    first.train()(torch.randn(8, 1, 8, 8))  # moves the batch statistics
    save_weights(first, tmp_path / "new" / "folder" / "w.safetensors")
    assert not same(first, second)
    load_weights(second, tmp_path / "new" / "folder" / "w.safetensors", "the student")
    assert same(first, second)
    assert {file.name for file in (tmp_path / "new" / "folder").iterdir()} == {
        "w.safetensors",
        "w.safetensors.sha256",
    }


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
def test_a_pytorch_state_dict_is_read(tmp_path: Path, wrapper: str | None) -> None:
    first, second = network(1), network(2)
    state = first.state_dict()
    torch.save({wrapper: state, "epoch": 3} if wrapper else state, tmp_path / "w.pt")
    load_weights(second, tmp_path / "w.pt", "the teacher")
    assert same(first, second)


def test_weights_that_are_not_contiguous_are_saved(tmp_path: Path) -> None:
    first, second = network(1), network(2)
    with torch.no_grad():
        first.classifier.weight = torch.nn.Parameter(torch.randn(16, 10).T)
    save_weights(first, tmp_path / "w.safetensors")
    load_weights(second, tmp_path / "w.safetensors", "the student")
    assert same(first, second)


def test_a_missing_file(tmp_path: Path) -> None:
    assert "no file of weights for the teacher" in refusal(tmp_path / "absent.safetensors")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert "no file of weights for the teacher" in refusal(tmp_path)


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_torn_file(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"w{suffix}"
    if suffix == ".pt":
        torch.save(network(1).state_dict(), path)
    else:
        save_weights(network(1), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    assert "is not a whole file of weights" in refusal(path)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.txt"])
def test_a_file_of_something_else(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("a letter\nof two lines\n")
    assert "is not a whole file of weights" in refusal(tmp_path / name)


@pytest.mark.parametrize("first", range(0, 256, 5))
def test_any_bytes_are_refused_in_one_sentence(tmp_path: Path, first: int) -> None:
    (tmp_path / "w.pt").write_bytes(bytes([first]) + b"Xabc\x00\x01")
    assert "is not a whole file of weights" in refusal(tmp_path / "w.pt")


def test_a_whole_pickled_module_is_not_run(tmp_path: Path) -> None:
    torch.save(network(1), tmp_path / "w.pt")
    assert "state dict" in refusal(tmp_path / "w.pt")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, torch.zeros(2), {"model": {"a": 1}}])
def test_a_checkpoint_without_a_state_dict(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "w.pt")
    assert "holds no state dict" in refusal(tmp_path / "w.pt")


def test_another_width_is_told_with_both_shapes(tmp_path: Path) -> None:
    save_weights(network(1, width=1.0), tmp_path / "w.safetensors")
    message = refusal(tmp_path / "w.safetensors")
    assert "another architecture than the teacher" in message
    assert "in the file and" in message


@pytest.mark.parametrize(("depth", "words"), [(3, "the model has no"), (1, "the file lacks")])
def test_another_depth_is_told_with_a_name(tmp_path: Path, depth: int, words: str) -> None:
    save_weights(network(1, depth=depth), tmp_path / "w.safetensors")
    assert words in refusal(tmp_path / "w.safetensors")


def test_a_full_disk_leaves_the_old_file_and_is_told_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    first = network(1)
    save_weights(first, path)
    no_room_for(path)
    with pytest.raises(OSError, match="No space left") as caught:
        save_weights(network(2), path)
    assert caught.value.filename == str(path)
    found = network(3)
    load_weights(found, path, "the student")
    assert same(found, first)
    assert check_weights(path) is None


@pytest.mark.parametrize("place", [9, 200, -1])
def test_a_flipped_bit_is_found(tmp_path: Path, place: int) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(network(1), path)
    assert check_weights(path) is None
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert check_weights(path) == f"{path} is not as it was saved: its checksum differs"


@pytest.mark.parametrize("lost", ["w.safetensors", "w.safetensors.sha256"])
def test_lost_weights_are_told(tmp_path: Path, lost: str) -> None:
    save_weights(network(1), tmp_path / "w.safetensors")
    (tmp_path / lost).unlink()
    fault = check_weights(tmp_path / "w.safetensors")
    assert fault == f"{tmp_path / lost} cannot be read (No such file or directory)"
