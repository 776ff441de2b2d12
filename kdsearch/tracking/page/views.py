"""Saved views of a study's runs in MLflow's UI: the front, the trials, the trials as charts.

MLflow keeps a view as a tag of the experiment whose value is the UI's own state. That format is not
promised, so views are made for the version of MLflow alone that a test has opened them with.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mlflow

from kdsearch.results.study import Study
from kdsearch.spec.domains import SOURCE
from kdsearch.tracking.described import described
from kdsearch.tracking.lineage import Lineage
from kdsearch.tracking.lookup import KIND, STUDY
from kdsearch.tracking.store import Store

TESTED = "3.17"
"""The version of MLflow whose UI opens these views."""

VIEW = "mlflow.sharedViewState."
"""What the tag of a view begins with."""

_CHARTED = 300
"""Runs of a chart at most."""


@dataclass(frozen=True)
class View:
    """A view of runs.

    Attributes:
        key: Its name among those of the study.
        name: What it shows.
        state: The state of MLflow's page.
        charts: Whether it opens on charts.
    """

    key: str
    name: str
    state: dict[str, Any]
    charts: bool = False


def write_views(store: Store, study: Study) -> dict[str, str]:
    """Save the views of a study.

    Returns:
        Each view's name with its address; none with an MLflow of another version.
    """
    if not mlflow.__version__.startswith(f"{TESTED}."):
        return {}
    found, identity = {}, study.directory.inputs().id
    created = int(1000 * study.state.get("created", 0))
    for view in _views(study):
        key = f"{identity}-{view.key}"
        content = {"name": f"{study.spec.study.name}: {view.name}", "createdAt": created}
        content |= {"updatedAt": created, "state": _packed(view.state)}
        store.client.set_experiment_tag(store.experiment_id, VIEW + key, json.dumps(content))
        address = f"#/experiments/{store.experiment_id}/runs?workflowType=machine_learning"
        address += f"&viewStateShareKey={key}"
        found[view.name] = address + ("&compareRunsMode=CHART" if view.charts else "")
    return found


def _packed(state: dict[str, Any]) -> str:
    packed = zlib.compress(json.dumps(state).encode())
    return f"deflate;{base64.b64encode(packed).decode()}"


def _views(study: Study) -> Iterator[View]:
    score, sizes = study.objectives.score, study.objectives.sizes
    size, searched = f"size/{sizes[0]}", f"search/{score}"
    own = f"tags.{STUDY} = '{study.directory.inputs().id}'"
    trials = f"{own} and tags.{KIND} = 'trial'"
    shared = _shared(study)
    tested = [f"test/{score}", f"test/{score}_ci", f"test/baseline_{score}"]
    tested += [f"test/{SOURCE}{score}"] if study.spec.target else []
    tested += ["test/gain", "test/gain_ci", "test/retained"]
    metrics = [*(f"size/{name}" for name in sizes), searched]
    yield View(
        "front",
        "the front",
        _table(
            trials + " and tags.front = 'true'",
            size,
            True,
            (*metrics, *tested),
            ("method", "width", "depth", "lr"),
        ),
    )
    ascending = study.objectives.metric.better == "lower"
    parameters = (*shared, "temperature")
    yield View("trials", "all trials", _table(trials, searched, ascending, metrics, parameters))
    log = f"size/log10_{sizes[0]}"
    yield View(
        "charts", "trials as charts", _charts(trials, searched, ascending, log, shared), True
    )


def _shared(study: Study) -> list[str]:
    """The parameters that all trials have and that differ between them."""
    lineage = Lineage(study)
    found = [
        described(record, study.spec, lineage).parameters
        for record in study.records()
        if record.complete
    ]
    names = [name for name in (found[0] if found else {}) if all(name in each for each in found)]
    return [name for name in names if len({each[name] for each in found}) > 1]


def _table(
    condition: str, order: str, ascending: bool, metrics: Sequence[str], parameters: Sequence[str]
) -> dict[str, Any]:
    """The state of a page with a table of runs, in an order that keeps the list flat."""
    columns = [*(f"metrics.`{name}`" for name in metrics)]
    columns += [f"params.`{name}`" for name in parameters]
    return {
        "searchFilter": condition,
        "orderByKey": f"metrics.`{order}`",
        "orderByAsc": ascending,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsVisibilityMap": {},
        "runsHiddenMode": "SHOWALL",
        "viewMaximized": False,
        "runListHidden": False,
        "groupBy": None,
    }


def _charts(
    condition: str, score: str, ascending: bool, size: str, parameters: Sequence[str]
) -> dict[str, Any]:
    """The state of a page with charts: score against size, parallel coordinates, curves."""
    section = "trials"
    common = {"metricSectionId": section, "deleted": False, "isGenerated": False}
    charts: list[dict[str, Any]] = [
        {
            "uuid": "scatter",
            "type": "SCATTER",
            "runsCountToCompare": _CHARTED,
            "displayName": f"{score} against {size}",
            "xaxis": {"key": size, "type": "METRIC"},
            "yaxis": {"key": score, "type": "METRIC"},
        },
        {
            "uuid": "parallel",
            "type": "PARALLEL",
            "runsCountToCompare": _CHARTED,
            "displayName": "parameters of all trials",
            "selectedParams": [*parameters],
            "selectedMetrics": [size, score],
            "showAllRuns": True,
        },
        {
            "uuid": "curves",
            "type": "LINE",
            "runsCountToCompare": _CHARTED,
            "displayName": f"{score} by epoch",
            "metricKey": score,
            "selectedMetricKeys": [score],
            "lineSmoothness": 0,
            "xAxisKey": "step",
            "yAxisKey": "metric",
            "yAxisExpressions": [],
            "xAxisScaleType": "linear",
            "scaleType": "linear",
            "range": {},
            "selectedXAxisMetricKey": "",
            "ignoreOutliers": False,
            "useGlobalXaxisKey": True,
            "useGlobalLineSmoothing": True,
        },
    ]
    return _table(condition, score, ascending, [score, size], parameters) | {
        "compareRunCharts": [each | common for each in charts],
        "compareRunSections": [
            {
                "uuid": section,
                "name": "Trials",
                "display": True,
                "isReordered": True,
                "deleted": False,
                "isGenerated": False,
            }
        ],
        "isAccordionReordered": True,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupsExpanded": {},
        "autoRefreshEnabled": True,
        "globalLineChartConfig": {
            "xAxisKey": "step",
            "lineSmoothness": 0,
            "selectedXAxisMetricKey": "",
        },
    }
