"""What a person reads: every fact is there, and nothing is cut where a line ends."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pandas as pd
import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from kdsearch import cli, plugins
from kdsearch.methods import METHODS, UNDISTILLED, Method
from kdsearch.methods.base import KINDS
from kdsearch.methods.hyperparameter import SCHEDULE
from kdsearch.models import FAMILIES, Signal
from kdsearch.render.caches import cache_lines, error_lines
from kdsearch.render.catalogue import method_view, methods_view, models_view
from kdsearch.render.study import (
    front_note,
    front_view,
    ranking_note,
    ranking_view,
    samples_view,
)
from kdsearch.render.units import duration
from kdsearch.search.directory import StudyDirectory
from kdsearch.search.finalists import Finalist
from kdsearch.search.kept import Caches, TeacherCache
from kdsearch.search.ranking import method_ranking
from kdsearch.search.record import TrialRecord
from kdsearch.search.study import Study
from kdsearch.search.tables import front_table
from kdsearch.spec import MethodConfig, TermConfig, parse_spec
from kdsearch.spec.sections import Augmentation, CacheSection
from kdsearch.spec.teaching import TEACHER
from kdsearch.training.cache import CachePlan, Layout, Subject
from tests.search.conftest import TEXT
from tests.search.records import trial

OWN = '''
import torch
from kdsearch.methods import Hyperparameter, Method
from kdsearch.models import Signal
from kdsearch.spec.ranges import Choices, Range

class Own(Method):
    """mean_B |z_s − z_t| [B, K]; a formula of
    two lines.

    See :class:`~kdsearch.methods.kd.KD` and ``z``.

    Attributes:
        nothing: Left out.
    """

    name = "own"
    kind = "relation"
    paper = "Doe, Roe & Poe 2031, A Title [with brackets]"
    signals = frozenset({Signal.EMBEDDING, Signal.LOGITS})
    batchwise = True
    by_sample = True
    adopts_classifier = True
    hyperparameters = {
        "weight": Hyperparameter(16384, Range(low=0.00005, high=20000, log=True), "its weight"),
        "bins": Hyperparameter(4, Choices(choices=(2, 4, 8)), "number of bins"),
        "decay": Hyperparameter(0.25, None, "how it fades"),
    }
    def forward(self, student, teacher, targets, progress):
        return {"own": (student.logits - teacher.logits).abs().mean()}

class Copy(Own):
    name = "copy"
    kind = "parameter"
    signals = frozenset()
    batchwise = by_sample = adopts_classifier = False
    ce_weight = 0.3
    hyperparameters = {"depth": Hyperparameter(1, None, "layers to copy", whole=True)}

def network(image_shape, classes, width):
    raise AssertionError("a list of models builds none")
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Method]:
    """A method in a module beside the spec, also installed with a method that breaks."""
    (tmp_path / "own_methods.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_methods", raising=False)
    points = [
        EntryPoint("plugged", "own_methods:Own", "kdsearch.methods"),
        EntryPoint("copied", "own_methods:Copy", "kdsearch.methods"),
        EntryPoint("broken", "module_that_is_absent:Own", "kdsearch.methods"),
        EntryPoint("my_network", "own_methods:network", "kdsearch.models"),
    ]
    monkeypatch.setattr(
        plugins, "entry_points", lambda group: [p for p in points if p.group == group]
    )
    import own_methods

    return own_methods.Own


def shown(view: RenderableType, width: int = 100) -> str:
    file = io.StringIO()
    Console(file=file, width=width).print(view, markup=False)
    lines = file.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= width
    return "\n".join(line.rstrip() for line in lines)


def words(text: str) -> str:
    """The text as if a line never ended."""
    return " ".join(text.split())


def is_row(line: str, name: str) -> bool:
    return line.split()[:1] == [name] and not line.endswith(" methods")


def block(text: str, name: str) -> str:
    """The lines of a row, from the one that begins with its name to the next row."""
    lines = text.splitlines()
    start = next(n for n, line in enumerate(lines) if is_row(line, name))
    end = start + 1
    while end < len(lines) and lines[end].startswith("   "):
        end += 1
    return "\n".join(lines[start:end])


@pytest.mark.parametrize("width", [100, 160])
def test_the_list_has_every_method_with_its_defaults_and_ranges(width: int) -> None:
    text = shown(methods_view(), width)
    assert text.splitlines()[1].startswith(UNDISTILLED)
    for name, method in METHODS.items():
        told = words(block(text, name))
        assert all(signal in told for signal in method.signals), name
        for value, declared in method.hyperparameters.items():
            if value not in SCHEDULE:
                assert f"{value} {declared.default:g}; " in told, name
        year = next(part for part in method.paper.replace(",", " ").split() if part.isdigit())
        assert year in told
        assert method.paper.split(",")[0].split()[0] in told
    assert "0.1 to 20, log" in block(text, "kd")
    assert "Hinton et al. 2015" in block(text, "kd")
    assert "Zagoruyko & Komodakis 2017" in words(block(text, "at"))


def test_the_list_is_grouped_by_kind() -> None:
    lines = shown(methods_view()).splitlines()
    heads = [line for line in lines if line.endswith(" methods")]
    kinds = {method.kind for method in METHODS.values()}
    assert heads == [f"{kind} methods" for kind in KINDS if kind in kinds]
    places = {head: lines.index(head) for head in heads}
    for name, method in METHODS.items():
        at = next(n for n, line in enumerate(lines) if is_row(line, name))
        above = max((place, head) for head, place in places.items() if place < at)[1]
        assert above == f"{method.kind} methods"


def test_the_schedule_is_told_once_and_where_a_method_has_another() -> None:
    text = shown(methods_view())
    rows, note = text.split("\n\n")
    for name, declared in SCHEDULE.items():
        assert words(note).count(f"{name} (") == 1
        assert declared.about in words(note)
    assert "ramp 0.08333; fixed" in block(text, "dkd")
    assert sum(line.split()[0] in SCHEDULE for line in rows.splitlines()) == sum(
        method.hyperparameters[name] != common
        for method in METHODS.values()
        for name, common in SCHEDULE.items()
        if name in method.hyperparameters
    )


@pytest.mark.usefixtures("own")
def test_plug_ins_are_listed_and_one_that_breaks_says_why() -> None:
    text = shown(methods_view(), 120)
    told = words(block(text, "plugged"))
    assert "weight 16384; 5e-05 to 20000, log" in told
    assert "bins 4; one of 2, 4, 8" in told
    assert "decay 0.25; fixed" in told
    assert "Doe et al. 2031" in told
    assert "depth 1; fixed" in words(block(text, "copied"))
    (reason,) = [line for line in text.split("\n") if line.startswith("broken: ")]
    assert "the installed plug-in 'broken' (module_that_is_absent:Own) cannot be loaded" in reason
    assert "mend or uninstall it" in words(text)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_method_in_full_tells_all_that_it_states(method: type[Method]) -> None:
    text = words(shown(method_view(method)))
    assert text.startswith(f"{method.name} ")
    assert method.paper in text
    assert f"kind {method.kind}" in text
    reads = f"{', '.join(sorted(method.signals))} of student and teacher"
    assert (reads if method.signals else "nothing of the networks' outputs") in text
    for name, declared in method.hyperparameters.items():
        assert f" {name} " in text
        assert declared.about.split()[0] in text
    assert f"ce_weight {method.ce_weight:g} fixed weight of the cross-entropy" in text
    assert method.__doc__ is not None
    assert words(method.__doc__).split(".")[0].replace("``", "`") in text


def test_what_a_method_does_is_told_in_words(own: type[Method]) -> None:
    text = shown(method_view(own, "own_methods:Own"))
    assert text.startswith("own_methods:Own\n")
    assert "mean_B |z_s − z_t| [B, K]; a formula of two lines." in text
    assert "See `KD` and `z`." in text
    assert "Attributes" not in text
    assert "Left out" not in text
    assert "A Title [with brackets]" in text
    assert "compares samples   those of a batch" in text
    assert "remembers samples  yes" in text
    assert "ships              with a projector and the teacher's classifier" in text
    assert "decay" in block(text, "decay")
    assert "how it fades" in block(text, "decay")
    plain = shown(method_view(METHODS["kd"]))
    assert "compares samples   no" in plain
    assert "remembers samples  no" in plain
    assert "as the plain student" in plain


def test_a_parameter_method_has_no_weight(own: type[Method]) -> None:
    copy = sys.modules[own.__module__].Copy
    text = shown(method_view(copy))
    assert "nothing of the networks' outputs" in text
    assert "weight             none, and no schedule" in text
    assert "ce_weight 0.3 fixed" in words(text)
    assert not any(line.startswith(("start", "weight ", "ramp ")) for line in values_of(text))


def values_of(text: str) -> list[str]:
    lines = text.splitlines()
    return lines[next(n for n, line in enumerate(lines) if line.startswith("hyperparameter")) :]


@pytest.fixture
def kdsearch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """``kdsearch("methods")``: what the command prints."""

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["kdsearch", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert left.value.code == 0
        return capsys.readouterr().out

    return run


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("name", ["own_methods:Own", "plugged"])
def test_the_command_shows_a_method_of_ones_own(kdsearch: Callable[..., str], name: str) -> None:
    text = kdsearch("methods", name)
    assert text.startswith(f"{name}\n")
    assert "Doe, Roe & Poe 2031, A Title [with brackets]" in text


def test_the_command_shows_each_term_of_a_sum(kdsearch: Callable[..., str]) -> None:
    text = kdsearch("methods", "kd+at")
    assert METHODS["kd"].paper in text
    assert METHODS["at"].paper in text
    assert text.index("kd\n") < text.index("at\n")


@pytest.mark.usefixtures("own")
def test_the_commands_list_methods_and_models(kdsearch: Callable[..., str]) -> None:
    listed = kdsearch("methods")
    assert all(f"  {name} " in listed for name in METHODS)
    assert "broken: " in listed
    assert "my_network" in kdsearch("models")


@pytest.mark.usefixtures("own")
def test_the_models_are_families_torchvision_plug_ins_and_ones_own() -> None:
    text = shown(models_view())
    names = [*FAMILIES, "torchvision/NAME", "my_network", "module:function"]
    assert [name for name in names if f"\n{name} " not in text] == []
    assert "own_methods:network" in words(block(text, "my_network"))


def judged(number: int, label: str, teacher: str | None, scores: dict[str, float]) -> Finalist:
    terms = () if label == "none" else (TermConfig(name=label, hyperparameters={"weight": 2.5}),)
    made = trial(number, 0.5, 1000 * (number + 1))
    task = made.task.model_copy(
        update={"method": MethodConfig(label=label, terms=terms), "teacher": teacher}
    )
    record = made.model_copy(update={"task": task})
    runs = [
        record.model_copy(
            update={
                "task": task.model_copy(update={"seed": seed}),
                "test": {name: score + 0.01 * seed for name, score in scores.items()},
            }
        )
        for seed in (1, 2, 3)
    ]
    return Finalist(record, tuple(runs), tuple(runs))


SCORES = {"accuracy": 0.9, "nll": 0.4, "ece": 0.03, "agreement": 0.85, "kl": 0.2}


def test_the_front_shows_each_score_with_its_interval() -> None:
    finalists = [judged(0, "none", None, SCORES), judged(1, "kd", "teacher", SCORES)]
    front = front_table(finalists)
    text = shown(front_view(front, "front of x", 160), 160)
    # the t quantile of 2 degrees of freedom, 4.3027, times 1 point / √3
    line = block(text, "1")
    for told in ("92.00 ± 2.48", "5.00 ± 2.48", "87.00 ± 2.48", "+0.00 ± 0.00", "kd 2.5", "2,000"):
        assert told in line
    assert "baseline" in block(text, "0")
    head = text.splitlines()[1]
    assert all(name in head for name in ("test accuracy", "ECE", "agreement", "gain"))
    assert "taught by" not in head
    assert "expected calibration error (ECE)" in front_note(front, 160)
    assert "over 3 seeds" in front_note(front, 160)


def test_a_narrow_front_says_what_has_no_room() -> None:
    front = front_table([judged(0, "kd", "teacher", SCORES)])
    text = shown(front_view(front, "front of x", 100), 100)
    assert "ECE" not in text
    assert "92.00 ± 2.48" in text
    assert front_note(front, 100).endswith("ECE, agreement: in a wider terminal")


def test_a_front_of_old_records_leaves_out_what_they_lack() -> None:
    front = front_table([judged(0, "kd", "teacher", {"accuracy": 0.9, "nll": 0.4})])
    text = shown(front_view(front, "front of x", 160), 160)
    assert "ECE" not in text + front_note(front, 160)
    assert "nan" not in text
    assert "agreement" not in front_note(front, 100)


def test_the_front_names_the_teachers_where_there_are_several() -> None:
    front = front_table([judged(0, "kd", "small", SCORES), judged(1, "kd", "large", SCORES)])
    text = shown(front_view(front, "front of x", 160), 160)
    assert "taught by" in text
    assert "small" in block(text, "0")
    assert "large" in block(text, "1")


def test_samples_name_their_values_and_sizes() -> None:
    records = [judged(n, "kd", name, SCORES).trial for n, name in enumerate(("small", "large"))]
    text = shown(samples_view(records))
    assert all(word in text for word in ("taught by", "small", "large", "weight 2.5", "2,000"))
    plain = judged(2, "kd", "teacher", SCORES).trial
    assert "taught by" not in shown(samples_view([plain]))


def ranked(label: str, pairs: list[tuple[float, int]]) -> list[TrialRecord]:
    method = MethodConfig(label=label)
    made = [trial(number, *pair) for number, pair in enumerate(pairs)]
    return [
        record.model_copy(update={"task": record.task.model_copy(update={"method": method})})
        for record in made
    ]


def ranking() -> pd.DataFrame:
    records = [
        *ranked("none", [(0.5, 20), (0.6, 30), (0.55, 25)]),
        *ranked("dist+reviewkd", [(0.94, 11), (0.95, 12), (0.95, 12), (0.96, 13)]),
        *ranked("kd", [(0.5, 20), (0.5, 30)]),
    ]
    return method_ranking(records, "parameters", 100, 0)


def test_the_ranking_shows_scores_intervals_and_what_is_clear() -> None:
    table = ranking()
    text = shown(ranking_view(table, "methods of x"))
    first = table.iloc[0]
    line = block(text, "dist+reviewkd")
    for told in (
        f"{100 * first['hypervolume']:.2f} [{100 * first['hypervolume_low']:.2f}, ",
        f"{100 * first['best_accuracy']:.1f} [",
        f"+{100 * first['gain']:.2f} [+{100 * first['gain_low']:.2f}, ",
    ):
        assert told in line
    assert line.endswith("yes")
    assert "baseline" in block(text, "none")
    assert block(text, "kd").split() == ["kd", "2", "too", "few", "trials"]
    assert "what 3 trials of a method reach" in ranking_note(table)
    assert "not over training seeds" in ranking_note(table)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The folder of a study with trials of two methods and nothing else."""
    spec = parse_spec(TEXT.format(directory=tmp_path))
    directory = StudyDirectory.of(spec)
    directory.create(spec)
    size = {"parameters": 100, "macs": 200, "bytes": 400}
    directory.update(state="running", teachers={TEACHER: {"size": size}})
    pairs = [(0.5, 20), (0.6, 30), (0.55, 25), (0.94, 11), (0.95, 12), (0.95, 12)]
    records = [*ranked("none", pairs[:3]), *ranked("kd", pairs[3:])]
    for number, record in enumerate(records):
        directory.trials.append(record.model_copy(update={"number": number}))
    return directory.path


def test_the_command_ranks_a_study(kdsearch: Callable[..., str], study: Path) -> None:
    text = kdsearch("ranking", str(study))
    assert text.startswith("methods of tiny at one budget")
    assert block(text, "kd").split()[-1] == "yes"
    found = json.loads(kdsearch("ranking", str(study), "--json"))
    assert [row["method"] for row in found] == ["kd", "none"]
    opened = Study.open(study)
    expected = method_ranking(opened.records(), "parameters", 100, opened.spec.study.seed)
    assert found[0]["gain_low"] == expected["gain_low"][0]
    assert found[1]["gain"] is None


def test_a_study_without_trials_has_nothing_to_rank(
    kdsearch: Callable[..., str], study: Path
) -> None:
    (study / "trials.jsonl").unlink()
    assert "nothing to rank" in kdsearch("ranking", str(study))
    assert json.loads(kdsearch("ranking", str(study), "--json")) == []


def kept(
    sizes: dict[Signal, int],
    epochs: dict[Signal, int],
    read: frozenset[Signal] | None = None,
    of: int = 10,
    plain: bool = False,
    seconds: float | None = 18.5,
    folder: Path = Path("/nowhere"),
) -> TeacherCache:
    """What is kept of 50,000 training views of ``of`` epochs: bytes a sample, and epochs."""
    augment = None if plain else Augmentation(crop=4)
    layout = Layout(folder, "0123456789abcdef", 50_000, plain=plain)
    plan = CachePlan(layout, Subject("train", augment, 1, of), sizes, epochs)
    return TeacherCache(plan, frozenset(sizes) if read is None else read, seconds)


def caches(folder: Path = Path("/nowhere"), *, disk_gb: float = 20.0, **of: TeacherCache) -> Caches:
    return Caches(of, {}, folder, CacheSection(disk_gb=disk_gb))


LOGITS, FEATURES = Signal.LOGITS, Signal.FEATURES


def test_what_is_kept_is_told_with_its_size_and_time() -> None:
    both = kept({LOGITS: 400, FEATURES: 1600}, {LOGITS: 10, FEATURES: 10})
    assert cache_lines(caches(teacher=both)) == [
        "teacher: its answers (logits and features) to the views of 10 epochs are kept in /nowhere "
        "(1.0 GB), asked for once for all trials, about 3 min 05 s"
    ]


def test_pictures_that_never_change_are_counted_once() -> None:
    one = kept({LOGITS: 400}, {LOGITS: 10}, plain=True)
    assert cache_lines(caches(teacher=one)) == [
        "teacher: its answers (logits) to the pictures are kept in /nowhere (20.0 MB), asked for "
        "once for all trials, about 18 s"
    ]


def test_a_time_that_is_not_known_is_left_out() -> None:
    (line,) = cache_lines(caches(teacher=kept({LOGITS: 4}, {LOGITS: 1}, of=1, seconds=None)))
    assert line.endswith(
        "of 1 epoch are kept in /nowhere (200.0 kB), asked for once for all trials"
    )


def test_what_does_not_fit_is_told_with_what_it_would_take() -> None:
    some = kept({LOGITS: 400, FEATURES: 65_536}, {LOGITS: 10, FEATURES: 3})
    lines = cache_lines(caches(wide=some))
    assert len(lines) == 2
    # 10 · 50,000 · (400 + 65,536) bytes are 32.97 GB
    assert lines[1] == (
        "teacher wide: its answers (features) to the views of the first 3 of 10 epochs are kept "
        "(9.8 GB) and then asked for at every step; cache.disk_gb 33 would keep all, or half of "
        "that with cache.dtype float16"
    )
    none = kept({FEATURES: 65_536}, {FEATURES: 0})
    half = CacheSection(dtype="float16")
    (line,) = cache_lines(Caches({"teacher": none}, {}, Path("/nowhere"), half))
    assert line == (
        "teacher: its answers (features) are asked for at every step; cache.disk_gb 32.8 would "
        "keep all"
    )


def test_what_is_not_to_be_kept_is_told_with_the_setting() -> None:
    read = frozenset({LOGITS, FEATURES})
    lines = cache_lines(caches(teacher=kept({LOGITS: 400}, {LOGITS: 10}, read)))
    assert lines[1] == (
        "teacher: its answers (features) are asked for at every step, as cache.signals leaves them "
        "out"
    )
    nothing = kept({LOGITS: 400}, {LOGITS: 0})
    assert cache_lines(caches(disk_gb=0, teacher=nothing, wide=nothing)) == [
        "the teachers are asked at every step, as cache.disk_gb is 0"
    ]
    assert cache_lines(caches(disk_gb=0)) == []  # nothing is read of any teacher


def test_a_folder_below_the_users_own_is_told_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path.cwd() / "studies" / ".cache"
    (line,) = cache_lines(caches(folder, teacher=kept({LOGITS: 4}, {LOGITS: 10}, folder=folder)))
    assert " are kept in studies/.cache (" in line


def test_what_storing_has_changed_is_told_by_teacher_and_signal() -> None:
    error = {"worst": 0.0123, "relative": 0.00021}
    errors = {"teacher": {"logits": error | {"kl": 1.5e-7}}, "wide": {"features": error}}
    assert error_lines(errors) == [
        "teacher: its answers (logits) as stored differ by 2.1e-04 of their size, at most by "
        "1.2e-02, and by 1.5e-07 nats in their probabilities",
        "teacher wide: its answers (features) as stored differ by 2.1e-04 of their size, at most "
        "by 1.2e-02",
    ]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-1, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7800, "2 h 10 min"),
    ],
)
def test_a_length_of_time_in_words(seconds: float, told: str) -> None:
    assert duration(seconds) == told
