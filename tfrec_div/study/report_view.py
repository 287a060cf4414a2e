"""Turns a report into what the page's template shows: short texts, tables and charts."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from tfrec_div.study.charts import NOTHING, format_number, line_chart, shorten, trade_off_chart
from tfrec_div.study.glossary import FAMILIES, MetricNote, metric_note
from tfrec_div.study.headline import (
    Evaluation,
    Roles,
    find_roles,
    first_metric,
    headline,
    model_name,
    swaps_of,
)
from tfrec_div.study.reliability import reliability_chart
from tfrec_div.study.thumbnails import thumbnail_uri

if TYPE_CHECKING:
    from tfrec_div.study.report import ItemCard, RunReport, UserExample

_DATA_LABELS = {
    "users": "Users",
    "items": "Items",
    "interactions": "Interactions",
    "density": "Of all user-item pairs",
    "first_time": "First interaction",
    "last_time": "Last interaction",
    "with_text": "Items with text",
    "with_image": "Items with a picture",
    "categories": "Categories",
}
_SHARES = ("density", "with_text", "with_image")
_TIMES = ("first_time", "last_time")
_LEARNING_RATE = ("lr", "learning_rate")
_MOST_EXAMPLES, _MOST_HISTORY, _MOST_ITEMS = 20, 12, 50


def report_view(report: RunReport, folder: Path) -> dict[str, object]:
    """Prepares a report for the template.

    Args:
        report: What to tell.
        folder: The run's folder, for the commands.

    Returns:
        The variables of the template; all texts are cut, none is escaped yet.
    """
    evaluation = {
        shorten(system, 60): {shorten(metric, 60): value for metric, value in metrics.items()}
        for system, metrics in report.evaluation.items()
    }
    roles = find_roles(evaluation, report.system, report.plain_system)
    shown = [_cut(example) for example in report.examples[:_MOST_EXAMPLES]]
    pages = [[_page(example, name) for example in shown] for name in ("plain", "diversified")]
    return {
        "title": shorten(report.title, 120) or "Report",
        "created": _moment(report.created),
        "headline": headline(report.data, evaluation, roles, model_name(report.settings), swaps_of(*pages)),
        "announcements": [shorten(text, 600) for text in report.announcements],
        "warnings": [shorten(text, 600) for text in report.warnings],
        "data": [
            (_DATA_LABELS.get(name, shorten(name, 60)), _data_value(name, value))
            for name, value in report.data.items()
        ],
        "charts": _charts(report.history),
        "epochs": max((len(values) for values in report.history.values()), default=0),
        "trade_off": _trade_off(evaluation, roles),
        "roles": roles,
        "systems": [(name, shorten(name.replace("_", " "), 40)) for name in evaluation],
        "families": _families(evaluation),
        "stages": _stages(report),
        "glossary": _glossary(evaluation, *report.stages.values()),
        "examples": [_example(example) for example in shown],
        "settings": [
            (shorten(name, 60), shorten(_plain_value(v), 200)) for name, v in report.settings.items()
        ],
        "artifacts": [(shorten(name, 60), shorten(value, 300)) for name, value in report.artifacts.items()],
        "commands": _commands(report, folder),
    }


def _moment(written: str) -> str:
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return shorten(written, 40)
    return moment.strftime("%-d %B %Y, %H:%M ") + (moment.tzname() or "")


def _data_value(name: str, value: object) -> str:
    if value is None:
        return "unknown"
    if name in _SHARES and isinstance(value, (int, float)):
        return f"{value:.1%}".replace(".0%", "%")
    if name in _TIMES and isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, timezone.utc).strftime("%-d %b %Y")
    return f"{value:,}" if isinstance(value, int) else shorten(_plain_value(value), 120)


def _plain_value(value: object) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain_value(part) for part in value) or NOTHING
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_plain_value(part)}" for name, part in value.items()) or NOTHING
    return str(value)


def _charts(history: Mapping[str, Sequence[float]]) -> list[dict[str, object]]:
    """One small chart per quantity, with training and validation together."""
    groups: dict[str, dict[str, Sequence[float]]] = {}
    for name, values in history.items():
        base = name.removeprefix("val_")
        if base not in _LEARNING_RATE and len(values):
            groups.setdefault(base, {})["validation" if name.startswith("val_") else "training"] = values
    charts: list[dict[str, object]] = []
    for base in sorted(groups, key=lambda name: name != "loss"):
        note = metric_note(base)
        label = "Loss" if base == "loss" else shorten(note.label, 40)
        curves = {name: [float(value) for value in values] for name, values in sorted(groups[base].items())}
        better = -1 if "loss" in base.lower() else note.better
        hint = {1: "higher is better", -1: "lower is better", 0: ""}[better]
        svg = line_chart(label, curves)
        charts.append({"label": label, "hint": hint, "curves": list(curves), "svg": svg})
    return charts


def _trade_off(evaluation: Evaluation, roles: Roles) -> dict[str, object] | None:
    relevance = first_metric(evaluation, roles.main, "relevance")
    variety = first_metric(evaluation, roles.main, "diversity")
    if relevance is None or variety is None:
        return None
    points = {
        name: (metrics[relevance], metrics[variety])
        for name, metrics in evaluation.items()
        if relevance in metrics
        and variety in metrics
        and math.isfinite(metrics[relevance]["mean"] + metrics[variety]["mean"])
    }
    if len(points) < 2:
        return None
    strong = [name for name in (roles.main, roles.plain) if name]
    x_name, y_name = metric_note(relevance).label, metric_note(variety).label
    return {"svg": trade_off_chart(x_name, y_name, points, strong), "x": x_name, "y": y_name}


def _metric_names(evaluation: Evaluation) -> list[str]:
    return list(dict.fromkeys(name for metrics in evaluation.values() for name in metrics))


def _families(evaluation: Evaluation) -> list[dict[str, object]]:
    families: dict[str, list] = {family: [] for family in FAMILIES}
    for name in _metric_names(evaluation):
        note = metric_note(name)
        means = [metrics[name]["mean"] for metrics in evaluation.values() if name in metrics]
        finite = [mean for mean in means if math.isfinite(mean)]
        best = (
            (max if note.better > 0 else min)(finite) if finite and note.better and len(finite) > 1 else None
        )
        cells = [_cell(metrics.get(name), best) for metrics in evaluation.values()]
        families[note.family].append({"note": note, "cells": cells})
    return [{"name": family, "rows": rows} for family, rows in families.items() if rows]


def _cell(value: Mapping[str, float] | None, best: float | None) -> dict[str, object]:
    if value is None:
        return {"mean": NOTHING, "interval": "", "best": False}
    low, high = value.get("low", math.nan), value.get("high", math.nan)
    known = math.isfinite(low) and math.isfinite(high)
    return {
        "mean": format_number(value["mean"]),
        "interval": f"{format_number(low)} to {format_number(high)}" if known else "",
        "best": value["mean"] == best,
    }


def _stages(report: RunReport) -> dict[str, object]:
    """How right each stage is, a row a metric, and how long each takes."""
    columns = list(dict.fromkeys([*report.stages, *report.latency]))
    rows = []
    for name in dict.fromkeys(metric for found in report.stages.values() for metric in found):
        values = [report.stages.get(stage, {}).get(name, math.nan) for stage in columns]
        rows.append({"note": metric_note(name), "cells": [_finite(value) for value in values]})
    times = [_finite(report.latency.get(stage, math.nan)) for stage in columns]
    return {
        "columns": [shorten(name, 40) for name in columns],
        "rows": rows,
        "times": times if report.latency else [],
        "users": report.latency_users,
        "reliability": report.reliability and reliability_chart("relevance", {"ranker": report.reliability}),
    }


def _finite(value: float) -> str:
    return format_number(value) if math.isfinite(value) else NOTHING


def _glossary(evaluation: Evaluation, *more: Mapping[str, float]) -> list[tuple[str, MetricNote]]:
    notes: dict[str, MetricNote] = {}
    for name in dict.fromkeys([*_metric_names(evaluation), *(name for found in more for name in found)]):
        note = metric_note(name)
        if note.meaning:
            notes.setdefault(note.label.partition(" @")[0], note)
    return sorted(notes.items(), key=lambda entry: FAMILIES.index(entry[1].family))


def _cut(example: UserExample) -> UserExample:
    return replace(
        example,
        history=example.history[:_MOST_HISTORY],
        plain=example.plain[:_MOST_ITEMS],
        diversified=example.diversified[:_MOST_ITEMS],
    )


def _page(example: UserExample, name: str) -> list[tuple[str, Sequence[str]]]:
    return [(card.item_id, card.categories) for card in getattr(example, name)]


def _example(example: UserExample) -> dict[str, object]:
    plain = {card.item_id for card in example.plain}
    diversified = {card.item_id for card in example.diversified}
    return {
        "user": shorten(example.user_id, 40),
        "history": [_card(card) for card in example.history],
        "plain": [_card(card) | {"gone": card.item_id not in diversified} for card in example.plain],
        "diversified": [_card(card) | {"new": card.item_id not in plain} for card in example.diversified],
        "exchanged": len(diversified - plain),
        "categories": {"plain": _count(example.plain), "diversified": _count(example.diversified)},
    }


def _count(cards: Sequence[ItemCard]) -> int:
    return len({name for card in cards for name in card.categories})


def _card(card: ItemCard) -> dict[str, object]:
    title = shorten(card.title, 70) or shorten(card.item_id, 40)
    shown = [shorten(name, 24) for name in card.categories[:3]]
    return {
        "id": shorten(card.item_id, 40),
        "title": title,
        "categories": shown,
        "more": len(card.categories) - len(shown),
        "picture": thumbnail_uri(card.image),
        "initial": title[:1].upper(),
        "gone": False,
        "new": False,
    }


def _commands(report: RunReport, folder: Path) -> list[tuple[str, str]]:
    run = shlex.quote(str(folder))
    commands = [
        ("Recommend to users", f"tfrec-div recommend --run {run} --users users.csv --k 10 --out recs.csv"),
        ("Measure again", f"tfrec-div evaluate --run {run}"),
        ("Use it in Python", f"import tfrec_div as td\nrecommender = td.load({str(folder)!r})"),
    ]
    version = report.artifacts.get("SavedModel")
    if version:
        model = Path(version).parent if Path(version).name.isdigit() else Path(version)
        user = report.examples[0].user_id if report.examples else "USER"
        user = user if len(user) <= 40 and user.isprintable() else "USER"
        body = shlex.quote(json.dumps({"instances": [{"user_id": user}]}))
        address = f"http://localhost:8501/v1/models/{model.name}:predict"
        commands.append(("Serve it for development", f"tfrec-div serve --model {shlex.quote(str(model))}"))
        commands.append(("Ask the server", f"curl -d {body} {shlex.quote(address)}"))
    return commands
