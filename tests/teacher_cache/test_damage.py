"""Files that are torn, foreign or gone are found out and built again, never used."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from kdsearch.data import Dataset
from kdsearch.errors import TeacherError
from kdsearch.files import checksum
from kdsearch.models import Signal
from kdsearch.teacher_cache import parts as parts_module
from kdsearch.teacher_cache.building import CacheBuilder
from kdsearch.teacher_cache.cache_plan import CachePlan
from kdsearch.teacher_cache.parts import facts_file, map_part, mark_used, missing
from kdsearch.training.teacher import Teacher
from tests.teacher_cache.helpers import CPU, SHOWN, Counting, batch_of, build, cached, plan_of

WANTED = {Signal.LOGITS}
Damage = Callable[[Path], None]
MakeTeacher = Callable[[], Teacher]


def change_facts(file: Path, **facts: Any) -> None:
    """Rewrite what is said of a file."""
    path = facts_file(file)
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def truncate(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size - 4)


def truncate_unnoticed(file: Path) -> None:
    truncate(file)
    change_facts(file, bytes=file.stat().st_size)


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1000] ^= 1
    file.write_bytes(content)


def put_other_content(file: Path) -> None:
    save_file({"0": torch.zeros(240, 10)}, file)


def put_no_safetensors(file: Path) -> None:
    file.write_bytes(b"\xff" * file.stat().st_size)
    change_facts(file, sha256=checksum(file))


def put_another_epochs(file: Path) -> None:
    other = file.with_name(file.name.replace("-0000-", "-0001-"))
    shutil.copy(other, file)
    shutil.copy(facts_file(other), facts_file(file))


def spoil_facts(file: Path) -> None:
    facts_file(file).write_bytes(b"\xff\x00{")


def put_a_list_for_facts(file: Path) -> None:
    facts_file(file).write_text("[1, 2]")


DAMAGES: dict[str, Damage] = {
    "truncated": truncate,
    "truncated with its length": truncate_unnoticed,
    "a flipped bit": flip_a_bit,
    "other content": put_other_content,
    "no safetensors": put_no_safetensors,
    "another epoch's": put_another_epochs,
    "another key's facts": lambda file: change_facts(file, key="0123456789abcdef"),
    "another signal's facts": lambda file: change_facts(file, signal="embedding"),
    "other samples' facts": lambda file: change_facts(file, samples=[0, 100]),
    "an older format": lambda file: change_facts(file, format=0),
    "facts without a checksum": lambda file: change_facts(file, sha256=None),
    "facts spoilt": spoil_facts,
    "facts of another kind": put_a_list_for_facts,
    "facts gone": lambda file: facts_file(file).unlink(),
    "file gone": lambda file: file.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_found_out_and_mended(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path, damage: Damage
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path, WANTED)
    build(plan, teacher, digits)
    file = plan.file(Signal.LOGITS, 0, 0)
    damage(file)
    assert map_part(plan, Signal.LOGITS, 0, 0) is None

    reader = cached(plan, counting := Counting(teacher), digits)
    batch = batch_of(plan, digits, torch.arange(240), 0)
    assert_answers(reader.observe(batch, WANTED).logits, teacher, batch)
    assert counting.asked == {(0, place): 1 for place in range(240)}
    assert map_part(plan, Signal.LOGITS, 0, 0) is not None
    assert_answers(cached(plan, teacher, digits).observe(batch, WANTED).logits, teacher, batch)


@pytest.mark.parametrize("damage", [truncate, spoil_facts, lambda file: file.unlink()])
def test_what_is_gone_or_short_is_known_to_be_missing_without_reading_it(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path, damage: Damage
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path, WANTED)
    build(plan, teacher, digits)
    builder = CacheBuilder(plan, counting := Counting(teacher), digits, CPU)
    assert missing(plan, 0, 0) == set()
    damage(plan.file(Signal.LOGITS, 0, 0))
    assert missing(plan, 0, 0) == WANTED
    assert list(builder.build([(0, 0), (1, 0)])) == [(0, 0), (1, 0)]
    assert counting.asked == {(0, place): 1 for place in range(240)}


def assert_answers(found: torch.Tensor | None, teacher: Teacher, batch: Any) -> None:
    live = teacher.observe(batch, WANTED).logits
    assert found is not None
    assert live is not None
    assert torch.equal(found, live)


def test_a_file_that_goes_after_it_was_found_there_is_built_again(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path, WANTED)
    reader = cached(plan, teacher, digits)
    build_epoch = reader._builder.build_epoch  # the moment between finding and mapping it

    def then_remove(epoch: int) -> None:
        build_epoch(epoch)
        shutil.rmtree(plan.place)

    monkeypatch.setattr(reader._builder, "build_epoch", then_remove)
    batch = batch_of(plan, digits, torch.arange(240), 0)
    assert_answers(reader.observe(batch, WANTED).logits, teacher, batch)


def test_the_folder_may_go_while_a_part_is_written(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path, WANTED)
    writes: list[Path] = []

    def remove_then_save(stored: dict[str, torch.Tensor], path: Path) -> None:
        writes.append(path)
        if len(writes) == 1:
            shutil.rmtree(plan.place)
        save_file(stored, path)

    monkeypatch.setattr(parts_module, "save_file", remove_then_save)
    build(plan, teacher, digits)
    assert len(writes) == 3
    for epoch in range(2):
        assert map_part(plan, Signal.LOGITS, epoch, 0) is not None


def test_a_folder_that_cannot_be_written_is_one_sentence(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path, WANTED)

    def full(stored: dict[str, torch.Tensor], path: Path) -> None:
        path.write_bytes(b"begun")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parts_module, "save_file", full)
    with pytest.raises(TeacherError, match=r"cannot be cached in .*No space.*lower cache\.disk"):
        build(plan, teacher, digits)
    assert list(plan.place.glob(".*.partial")) == []


def test_what_a_process_left_half_written_is_cleared_away(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path, WANTED)
    mark_used(plan.place)
    file = plan.file(Signal.LOGITS, 0, 0)
    left = [
        file.with_name(f".{file.name}.123.partial"),
        file.with_name(f".{facts_file(file).name}.9.partial"),
    ]
    for path in left:
        path.write_bytes(b"half")
    build(plan, teacher, digits)
    assert not any(path.exists() for path in left)


def views_of_another_seed(plan: CachePlan, data: Dataset) -> Any:
    batch = batch_of(plan, data, torch.arange(240), 0)
    other = batch_of(plan, data, torch.arange(240), 1)
    return type(batch)(other.inputs, other.targets, 0, batch.index)


def test_a_cache_of_other_views_than_the_students_is_refused(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path
) -> None:
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path)
    reader = cached(plan, teacher, digits)
    batch = views_of_another_seed(plan, digits)
    for signal in SHOWN:
        with pytest.raises(TeacherError, match=r"does not compute .* remove that folder"):
            reader.observe(batch, {signal})


def test_a_cache_of_a_network_whose_code_has_changed_is_refused(
    digits: Dataset, make_teacher: MakeTeacher, tmp_path: Path
) -> None:
    """The weights, and so the key, are the same."""
    teacher = make_teacher()
    plan = plan_of(teacher, digits, tmp_path)
    build(plan, teacher, digits)
    trace = teacher.network.trace
    teacher.network.trace = lambda images: trace(1.2 * images)  # type: ignore[method-assign]
    reader = cached(plan, teacher, digits)
    with pytest.raises(TeacherError, match="remove that folder"):
        reader.observe(batch_of(plan, digits, torch.arange(60), 0), WANTED)
