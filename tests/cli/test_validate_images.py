"""What ``kdsearch validate`` prints of a folder of images with many kinds of trouble."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.command_line import CallCommand
from tests.odd_folder import break_some, odd_folder, write

from .command import SPEC

IMAGES = SPEC.replace(
    "source: digits\n  limit: 200", "source: image_folder\n  root: images\n  image_size: 8"
)


@pytest.fixture
def images(folder: Path) -> Path:
    (folder / "spec.yaml").write_text(IMAGES, encoding="utf-8")
    return odd_folder(folder / "images")


def test_the_page(images: Path, call_command: CallCommand) -> None:
    code, out, err = call_command("validate", "spec.yaml")
    assert (code, err) == (0, "")
    page = out[out.index("\n\n") :]
    assert max(map(len, page.splitlines())) <= 80
    rows = {line.split()[0]: line.split()[1:4] for line in page.splitlines() if line.strip()}
    assert rows["ant"] == ["918", "20", "20"]
    assert rows["bee"] == ["600", "20", "20"]
    assert rows["cow"] == ["300", "20", "20"]
    assert rows["d\\xf6g"] == ["80", "20", "20"]
    assert rows["all"] == ["1,898", "80", "80"]
    text = " ".join(page.split())
    for told in (
        "30 in @eaDir/: made by a system",
        "2 .heic, 1 .svg: cannot be read: convert to .jpg or .png",
        "1 .csv, 1 .txt: no image",
        "1 without a suffix: add .jpg",
        "1 gone.png: a link that leads nowhere",
        "1 round/: a link to a folder that is read already",
        "1 .png: in no class folder: move it into one",
        "45 files skipped",
        "train: Train/ validation: val/ test: Testing/",
    ):
        assert told in text


def test_all_broken_files_are_told_at_once(images: Path, call_command: CallCommand) -> None:
    break_some(images, 13)
    code, _, err = call_command("validate", "spec.yaml")
    assert code == 2
    assert "13 of 2058 images cannot be used; replace or remove them:" in err
    lines = err.splitlines()
    assert len(lines) == 12
    assert "images/Train/cow/0000.bmp cannot be decoded (" in lines[1]
    assert lines[-1] == "  - and 3 more"


def test_a_colour_that_is_none_is_refused(images: Path, call_command: CallCommand) -> None:
    code, _, err = call_command("validate", "spec.yaml", "--set", "data.background=whit")
    assert code == 2
    assert "'whit' is no colour; write a name such as white" in err


def test_the_page_of_a_table(folder: Path, call_command: CallCommand) -> None:
    (folder / "spec.yaml").write_text(IMAGES, encoding="utf-8")
    lines = ["image,label,split"]
    for split, count in (("train", 40), ("val", 10), ("test", 8)):
        for number in range(2 * count):
            name = f"{split}-{number}.png"
            write(folder / "images" / name, np.full((8, 8, 3), number, np.uint8))
            lines.append(f"{name},{'ab'[number % 2]},{split}")
    table = folder / "images" / "table.csv"
    table.write_text("\n".join(lines))
    use = ["--set", "data.source=table", "--set", "data.root=null"]
    use += ["--set", "data.table.file=images/table.csv"]
    code, out, err = call_command("validate", "spec.yaml", *use)
    assert (code, err) == (0, "")
    text = " ".join(out.split())
    for told in (
        "class train validation test skipped, and why",
        "a 40 10 8",
        "all 80 20 16 none skipped",
        "train: the rows of train in 'split'",
    ):
        assert told in text
    table.write_text("\n".join([*lines, "x.png,a,train"]))
    code, _, err = call_command("validate", "spec.yaml", *use)
    assert (code, err.count("\n")) == (2, 1)
    assert "images/table.csv, line 118: there is no image images/x.png; correct the path" in err


def test_one_class_with_nearly_all_images(folder: Path, call_command: CallCommand) -> None:

    (folder / "spec.yaml").write_text(IMAGES, encoding="utf-8")
    for name, count in (("good", 190), ("bad", 10)):
        for number in range(count):
            write(folder / "images" / name / f"{number}.png", np.zeros((8, 8, 3), np.uint8))
    code, out, _ = call_command("validate", "spec.yaml")
    assert code == 0
    assert "warning: 'good' has 94% of the validation samples" in " ".join(out.split())
