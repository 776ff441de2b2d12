"""Random search-space files, as the plain values that YAML holds."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st


def _numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False) | st.integers(int(low) + 1, int(high))


@st.composite
def _ranges(draw: st.DrawFn, low: float, high: float) -> dict[str, Any]:
    ends = sorted((draw(_numbers(low, high)), draw(_numbers(low, high))))
    return {"low": ends[0], "high": ends[1], "log": draw(st.booleans()) and ends[0] > 0}


def _dimensions(low: float, high: float) -> st.SearchStrategy[Any]:
    listed = st.lists(_numbers(low, high), min_size=1, max_size=4, unique=True)
    return _numbers(low, high) | _ranges(low, high) | listed.map(lambda found: {"choices": found})


# Words that YAML could take for a number, a date, nothing, a truth, or for its own signs.
WORDS = st.sampled_from(
    ["1e5", "1e-3", "007", "2024-01-01", "null", "~", "yes", "no", "a: b", "- x", "#", "{", "é λ"]
) | st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
_names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
_optional = st.none() | st.integers(1, 10**12)
_augment = st.fixed_dictionaries(
    {},
    optional={
        "flip": st.booleans(),
        "mixup": st.floats(0, 2),
        "random_resized_crop": st.none()
        | st.fixed_dictionaries(
            {}, optional={"scale": st.lists(st.floats(0.01, 1), min_size=2, max_size=2).map(sorted)}
        ),
        "rand_augment": st.none()
        | st.fixed_dictionaries({}, optional={"magnitude": st.integers(0, 30)}),
        "color_jitter": st.fixed_dictionaries({}, optional={"hue": st.floats(0, 0.5)}),
    },
)


def documents(words: st.SearchStrategy[str] = WORDS) -> st.SearchStrategy[dict[str, Any]]:
    """The plain values of sound search-space files, with ``words`` wherever text may stand."""
    values = st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | words
    rate = _dimensions(1e-6, 10.0)
    return st.fixed_dictionaries(
        {
            "study": st.fixed_dictionaries(
                {"name": _names}, optional={"seed": st.integers(0, 2**63 - 1)}
            ),
            "data": st.fixed_dictionaries(
                {"source": words},
                optional={
                    "root": st.sampled_from(["data", "/data", "./a b"]) | st.none(),
                    "validation": st.floats(0.01, 0.99),
                    "table": st.none()
                    | st.fixed_dictionaries(
                        {"file": st.sampled_from(["a.csv", "/a b.parquet"])},
                        optional={"target": words, "split": words, "weight": st.none() | words},
                    ),
                    "limit": st.none() | st.integers(2, 1000),
                    "augment": _augment,
                    "options": st.dictionaries(words, values, max_size=3),
                },
            ),
            "teacher": st.fixed_dictionaries(
                {"model": st.fixed_dictionaries({"family": words, "width": _numbers(1e-6, 10.0)})}
            ),
            "students": st.lists(
                st.fixed_dictionaries(
                    {"family": words, "width": rate},
                    optional={"depth": st.integers(1, 100) | st.none()},
                ),
                min_size=1,
                max_size=3,
            ),
            "methods": st.dictionaries(
                words, st.dictionaries(words, _dimensions(-5, 50), max_size=2), min_size=1
            )
            | st.lists(words, min_size=1, max_size=3, unique=True),
        },
        optional={
            "training": st.fixed_dictionaries(
                {},
                optional={
                    "lr": rate,
                    "weight_decay": rate,
                    "label_smoothing": st.floats(0, 0.9),
                    "class_weights": st.sampled_from(["none", "balanced"])
                    | st.dictionaries(words, st.floats(0, 10), min_size=1, max_size=3),
                },
            ),
            "search": st.fixed_dictionaries({}, optional={"max_macs": _optional}),
            "tracking": st.fixed_dictionaries({}, optional={"experiment": words}),
        },
    )
