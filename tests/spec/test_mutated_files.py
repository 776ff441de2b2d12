"""A thousand mutated search-space files: each a spec, or refused in one short sentence."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kdsearch.errors import UserError
from kdsearch.spec import StudySpec, load_spec, parse_spec
from kdsearch.spec.load import dump_spec
from kdsearch.spec.masking import masked_text

FILES = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))
TEXTS = [file.read_text(encoding="utf-8") for file in FILES]
LONGEST = 600
SECONDS = 100.0

SCALARS = [
    *("9" * 400, "-" + "9" * 5000, "0x" + "f" * 5000, "0b" + "1" * 2000, "1_0" * 300, "1e999"),
    *("1:59:59", "9:" * 400 + "9", "0777", "0o777", "08", "+12", "1.5.5", "1e", "-0.0", "1e-400"),
    *(".inf", "-.inf", ".nan", "inf", "nan", "~", "null", "", "yes", "off", "True", "=", "<<"),
    *("2024-01-01", "2024-13-77", "2001-12-14t21:59:43.10-05:00", "12:30"),
    *("é λ 漢字 🎓", "\u2028", "\u202e", "\x85", "\ufeff", "\ufffe", "\x07", "\x00", "a" * 20_000),
    *("'" + "b c " * 9_000 + "'", '"\\ud800"', '"\\x00"', '"\\q"', '"\\U00110000"', "'", '"', "`"),
    *("|\n  text", ">-", "%TAG", "@x", "*a", "&a", "&a 1", "*", "!", "!!int x", "!!binary eHg="),
    *("!!set {a}", "!!omap [a: 1]", "!!pairs [a: 1]", "!!timestamp 2024-01-01", "!!float x"),
    *("!!python/object/apply:os.system [ls]", "!x y", "!" + "t" * 3000, "!!str 3", "!!null x"),
    *("{}", "[]", "[[]]", "{a: }", "{a: {b: {c: 1}}}", "[1, [2, [3]]]", "? x", "- x", "a: b: c"),
    *("{low: 1, high: 1e300, step: 1e-300}", "{low: -1e308, high: 1e308}", "{choices: [.nan]}"),
    *("{choices: [" + ", ".join(map(str, range(3000))) + "]}", "[" * 10_000, "{a: " * 3_000),
    *("[" * 60 + "]" * 60, "{a: " * 60 + "1" + "}" * 60, "---", "...", "--- x", "#", "\t", " \tx"),
]
"""What may stand in place of a value."""

BOMB = "\n".join(
    f"b{n}: &b{n} [" + ", ".join([f"*b{n - 1}" if n else "x"] * 10) + "]" for n in range(12)
)
MERGES = "m0: &m0 {x: 1}\n" + "\n".join(
    f"m{n}: &m{n} {{<<: [" + ", ".join([f"*m{n - 1}"] * 9) + "]}" for n in range(1, 12)
)
LINES = [
    *(BOMB, MERGES, "a: &a {b: *a}", "a: &a [*a]", "x: &x\n  <<: *x", "search:\n  <<: {trials: 3}"),
    *("students: [*s, *s]", "methods:\n  <<: 3", "<<: {study: {name: x}}", "? [a, b]\n: 1"),
    *(
        "3: 4",
        "~: 1",
        "on: 1",
        "k" * 5000 + ": 1",
        "study: 1",
        "- x",
        "x",
        "...",
        "---",
        "%YAML 9.9",
    ),
    *("data:\n  options: {a: !!binary eHg=}", "methods: {" + "m" * 4000 + ": {}}", "a.b: 1"),
    *("# " + "c" * 5000, "\ufeff", "\t", "  ", "   - y", "\x0b", "teachers: {'': {}, 'a.b': {}}"),
    "methods: [" + ", ".join(f"m{n}" for n in range(3000)) + "]",
    "data: {source: digits, options: {deep: " + "[" * 300 + "]" * 300 + "}}",
]
"""What may stand as lines of their own."""


def another_value(random: Random, lines: list[str]) -> None:
    number = random.randrange(len(lines))
    key, colon, _ = lines[number].partition(":")
    lines[number] = f"{key}{colon} {random.choice(SCALARS)}"


def another_word(random: Random, lines: list[str]) -> None:
    """Within flow style, too."""
    number = random.randrange(len(lines))
    words = lines[number].split(" ")
    words[random.randrange(len(words))] = random.choice(SCALARS)
    lines[number] = " ".join(words)


def another_indent(random: Random, lines: list[str]) -> None:
    number = random.randrange(len(lines))
    space = random.choice(["", " ", "   ", "\t", "        "])
    lines[number] = space + lines[number].lstrip()


def line_gone(random: Random, lines: list[str]) -> None:
    del lines[random.randrange(len(lines))]


def line_twice(random: Random, lines: list[str]) -> None:
    lines.insert(random.randrange(len(lines)), random.choice(lines))


def lines_swapped(random: Random, lines: list[str]) -> None:
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]


def odd_line(random: Random, lines: list[str]) -> None:
    lines.insert(random.randrange(len(lines) + 1), random.choice(LINES))


def odd_character(random: Random, lines: list[str]) -> None:
    number = random.randrange(len(lines))
    place = random.randrange(len(lines[number]) + 1)
    odd = random.choice("\x00\x07\t\r\"'{}[]:#&*!|>%@`-?,=~\ufeff\u2028é0" + chr(0x10FFFF))
    lines[number] = lines[number][:place] + odd + lines[number][place:]


def half_gone(random: Random, lines: list[str]) -> None:
    del lines[random.randrange(1, len(lines) + 1) :]


MUTATIONS: list[Callable[[Random, list[str]], None]] = [
    *(another_value, another_value, another_word, another_word, another_indent),
    *(line_gone, line_twice, lines_swapped, odd_line, odd_character, half_gone),
]
FORMS: list[Callable[[str], bytes]] = [
    *[lambda text: text.encode("utf-8")] * 9,
    lambda text: text.replace("\n", "\r\n").encode("utf-8"),
    lambda text: text.replace("\n", "\r").encode("utf-8"),
    lambda text: text.encode("utf-8-sig"),
    lambda text: text.encode("utf-16"),
    lambda text: text.encode("utf-8")[:-1] + b"\xff",
]


def mutated(number: int) -> bytes:
    """A search-space file with one to four mutations, the same for a number."""
    random = Random(number)
    lines = random.choice(TEXTS).split("\n")
    for _ in range(random.randint(1, 4)):
        random.choice(MUTATIONS)(random, lines)
        lines = lines or [""]
    return random.choice(FORMS)("\n".join(lines))


def check(read: Callable[[], StudySpec]) -> bool:
    """Whether a file is taken; if so, it can be kept and shown, and else it is told why."""
    start = time.process_time()
    try:
        spec = read()
    except UserError as error:
        told = str(error)
        assert len(told) <= LONGEST, told
        assert "\n" not in told
        assert told.isprintable()
        assert "Error" not in told
        told.encode()
        taken = False
    else:
        assert parse_spec(dump_spec(spec)).model_dump() == spec.model_dump()
        masked_text(spec.text).encode()
        taken = True
    assert time.process_time() - start < SECONDS
    return taken


@settings(
    max_examples=1000,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.integers(0, 2**32 - 1))
def test_each_is_a_spec_or_one_sentence(tmp_path: Path, number: int) -> None:
    file = tmp_path / "mutated.yaml"
    file.write_bytes(mutated(number))
    check(lambda: load_spec(file))


@pytest.mark.parametrize("odd", [*SCALARS, *LINES], ids=lambda odd: odd[:20])
def test_each_odd_value_and_line_by_itself(odd: str) -> None:
    text = TEXTS[2]
    for changed in (f"{text}\n{odd}\n", text.replace("trials: 80", f"trials: {odd}")):
        check(lambda changed=changed: parse_spec(changed, file="space.yaml"))
    check(lambda: parse_spec(text, [f"data.options={{a: {odd}}}"], file="space.yaml"))


@pytest.mark.parametrize("text", [BOMB, MERGES, "a: " + "x" * 10**7])
def test_what_would_fill_the_memory_is_refused_before(tmp_path: Path, text: str) -> None:
    file = tmp_path / "large.yaml"
    file.write_text(text, encoding="utf-8")
    tracemalloc.start()
    taken = check(lambda: load_spec(file))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not taken
    assert most < 50 * 2**20
