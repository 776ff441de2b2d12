"""What of a space can be proposed: methods on pairs of teacher and student, ways on students."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from kdsearch.space.compatibility import Pairs, corners, keyed_students, who_teaches
from kdsearch.space.starts import beginning, easiest
from kdsearch.spec.concrete import MethodConfig, ModelConfig, WayConfig
from kdsearch.spec.sections import StudentSection
from kdsearch.spec.study import StudySpec
from kdsearch.ways import wider_ways

Triple = tuple[str, str, str]
"""Label, who teaches, and the student's key in the space."""

OfStudent = tuple[str, str]
"""Label of a way, and the student's key in the space."""

Ways = tuple[WayConfig, ...]


@dataclass(frozen=True)
class Fitting:
    """What cannot be proposed, with the reason of each."""

    unfit: Mapping[Triple, str] = field(default_factory=dict)
    unfit_ways: Mapping[OfStudent, str] = field(default_factory=dict)

    def students(self, label: str, teacher: str, keys: Sequence[str]) -> list[str]:
        """Those of the students on whom a method works under a teacher."""
        return [key for key in keys if (label, teacher, key) not in self.unfit]

    def teachers(self, label: str, names: Sequence[str], keys: Sequence[str]) -> list[str]:
        """Those who can teach at least one of the students by a method.

        Of a method that needs no teacher, :data:`NOBODY` is to be asked about.
        """
        return [name for name in names if self.students(label, name, keys)]

    def ways(self, key: str, labels: Sequence[str]) -> list[str]:
        """Those of the ways that make something of a student."""
        return [label for label in labels if (label, key) not in self.unfit_ways]


def find_fitting(
    spec: StudySpec,
    probes: Mapping[str, Sequence[MethodConfig]],
    way_probes: Mapping[str, Sequence[Ways]],
    pairs: Pairs,
) -> Fitting:
    """Try every method on every pair, at the corners of every family, without training.

    A pair is unfit if no corner of the family can take any of the ``probes``, the configurations
    of each method that are tried. What lies between, such as one width of several, is found out
    when it is proposed. Likewise each way is tried on every family, by ``way_probes``.
    """
    unfit: dict[Triple, str] = {}
    always = _in_every_way(way_probes)
    for key, section in keyed_students(spec.students).items():
        pairs_of = ((each, name) for each in probes for name in who_teaches(spec, each))
        for label, name in pairs_of:
            reasons = []
            for corner, method, ways in product(corners(section), probes[label], always):
                start = easiest(section)
                model = corner.model_copy(update={"ways": ways})
                model = beginning(model, start, section, spec, name, pairs.inputs)
                reasons.append(pairs.reason(method, name, model))
                if not reasons[-1]:
                    break
            else:
                unfit[label, name, key] = reasons[0]
    return Fitting(unfit, _unfit_ways(spec, way_probes, pairs))


def _in_every_way(probes: Mapping[str, Sequence[Ways]]) -> list[Ways]:
    """What may cut students from wider ones, if all ways do so: not every method goes with it."""
    found = [wider_ways(ways) for each in probes.values() for ways in each]
    return list(dict.fromkeys(found)) if all(found) else [()]


def _unfit_ways(
    spec: StudySpec, probes: Mapping[str, Sequence[Ways]], pairs: Pairs
) -> dict[OfStudent, str]:
    """The ways that make nothing of any corner of a family, with the reason of the first."""
    unfit: dict[OfStudent, str] = {}
    for (key, section), label in product(keyed_students(spec.students).items(), probes):
        for tried in _ends(section, spec, probes[label], pairs):
            reasons = []
            for model in tried:
                reasons.append(pairs.unfit_start(model) or pairs.uncut(model))
                if not reasons[-1]:
                    break
            else:
                unfit.setdefault((label, key), reasons[0])
    return unfit


def _ends(
    section: StudentSection, spec: StudySpec, probes: Sequence[Ways], pairs: Pairs
) -> Iterator[list[ModelConfig]]:
    """The corners of a family with each of a way's configurations; by each importance where
    they are cut from wider networks, which must have that many channels."""
    found = [
        corner.model_copy(update={"ways": ways})
        for corner, ways in product(corners(section), probes)
    ]
    if not wider_ways(probes[0]):
        yield found
        return
    start = easiest(section)
    for importance in section.importance:
        yield [
            beginning(model, start, section, spec, None, pairs.inputs, importance)
            for model in found
        ]
