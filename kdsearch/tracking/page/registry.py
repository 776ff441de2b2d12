"""The finalists in MLflow's model registry: versions under the study's name, found by aliases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlflow.entities import LoggedModel
from mlflow.exceptions import MlflowException

from kdsearch.render.pick import gain_told
from kdsearch.results.domains import worth
from kdsearch.results.limits import told_size
from kdsearch.results.naming import small_student_told
from kdsearch.results.pick import pick
from kdsearch.results.size_classes import size_classes
from kdsearch.results.study import Study
from kdsearch.tracking.page.note import Places
from kdsearch.tracking.store import Store

MODEL = "model"
"""Tag of a version with the id of its model: a search of versions does not tell it."""

SHIP, SMALLEST, LARGEST = "ship", "smallest", "largest"
"""Aliases beside those of the classes of size."""

CLASS = "up-to-"
"""What the aliases of the classes of size begin with."""


def register_models(
    store: Store,
    study: Study,
    content: Mapping[str, Any],
    models: Mapping[int, LoggedModel],
    places: Places,
) -> None:
    """Register the finalists' models under the study's name, and point the aliases at versions.

    What is there already is not made again.

    Args:
        store: The reachable store.
        study: The finished study.
        content: That of ``front.json``.
        models: The finalists' models, by trial.
        places: Where its runs are.
    """
    if not models:
        return
    versions = _register(store, study, content, models, places)
    wanted = {
        alias: versions[trial] for alias, trial in aliases(content).items() if trial in versions
    }
    _point(store, study.spec.study.name, wanted)


def aliases(content: Mapping[str, Any]) -> dict[str, int]:
    """The trial that each alias means."""
    size = content["sizes"][0]
    judged = sorted((row for row in content["front"] if row["seeds"]), key=lambda row: row[size])
    found = {each.alias: each.pick.row["trial"] for each in size_classes(content)}
    found |= {SMALLEST: judged[0]["trial"], LARGEST: judged[-1]["trial"]}
    return found | {SHIP: pick(content).row["trial"]}


def _register(
    store: Store,
    study: Study,
    content: Mapping[str, Any],
    models: Mapping[int, LoggedModel],
    places: Places,
) -> dict[int, str]:
    """The version of each finalist's model under the study's name, by trial."""
    client, name = store.client, study.spec.study.name
    try:
        client.get_registered_model(name)
    except MlflowException:
        about = f"The students of the study {name}: one version for each, aliases by size."
        client.create_registered_model(name, description=about)
    there = client.search_model_versions(f"name = '{name}'")
    known = {each.tags.get(MODEL): each for each in there}
    found = {}
    for row in content["front"]:
        if (model := models.get(row["trial"])) is None:
            continue
        made = known.get(model.model_id) or client.create_model_version(
            name,
            # not models:/ID, which MLflow would look up in the store of the environment
            model.artifact_location,
            places.trials[row["trial"]],
            tags={"trial": str(row["trial"]), "method": row["method"], MODEL: model.model_id},
            description=(
                f"trial {row['trial']}: {row['method']} {small_student_told(row)}, "
                f"{told_size(content['sizes'][0], row[content['sizes'][0]])}; {worth(content)}: "
                f"{gain_told(content, row)}"
            ),
            model_id=model.model_id,
        )
        found[row["trial"]] = str(made.version)
    return found


def _point(store: Store, name: str, wanted: Mapping[str, str]) -> None:
    """Set the aliases, and remove those of ours that no longer mean a model; a user's own stay."""
    client = store.client
    known: dict[str, str] = client.get_registered_model(name).aliases
    for alias, number in wanted.items():
        if str(known.get(alias)) != number:
            client.set_registered_model_alias(name, alias, number)
    for alias in known.keys() - wanted.keys():
        if alias.startswith(CLASS) or alias in (SHIP, SMALLEST, LARGEST):
            client.delete_registered_model_alias(name, alias)
