"""The table of a folder of images."""

from __future__ import annotations

from rich.console import Console

from kdsearch.data.sources.inventory import CONVERT, NO_IMAGE, ClassFiles, Inventory, Skipped
from kdsearch.render.inventory import inventory_view


def page(inventory: Inventory) -> list[str]:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(inventory_view(inventory))
    return capture.get().splitlines()


def test_of_many_classes_those_with_something_to_tell_are_shown() -> None:
    classes = tuple(
        ClassFiles(
            f"class {number:03}",
            {"train": 100 + number, "val": 10},
            (Skipped(".heic", CONVERT, 2),) if number == 500 else (),
        )
        for number in range(1000)
    )
    lines = page(Inventory(("train", "val"), classes, (), {}))
    assert len(lines) < 25
    text = " ".join(" ".join(lines).split())
    for told in ("class 000", "class 004", "class 500 600 10 2 .heic", "class 999", "none"):
        assert (told in text) is (told != "none")
    assert "989 more classes of 115 to 1,104 images" in text
    assert "all 599,500 10,000 2 files skipped" in text


def test_long_names_and_many_reasons_fit() -> None:
    skipped = tuple(Skipped(f".{number}", NO_IMAGE, 9 - number) for number in range(7))
    classes = (ClassFiles("a" * 200, {"": 5}, skipped), ClassFiles("[b]", {"": 6}))
    lines = page(Inventory(("",), classes, (), {}))
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    assert "9 .0, 8 .1, 7 .2, 6 .3 and 3 more: no image" in text
    assert "[b]" in text


def test_the_splits_of_a_table_are_no_folders() -> None:
    classes = tuple(ClassFiles(name, {"train": 5, "test": 1}) for name in ("a", "b"))
    head, *lines = page(Inventory(("train", "test"), classes, (), {}, of_folders=False))
    assert head.split()[:3] == ["class", "train", "test"]
    assert lines[-1].split() == ["all", "10", "2", "none", "skipped"]
