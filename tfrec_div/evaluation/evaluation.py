"""The result of an evaluation: per-user values, intervals, paired tests, a table."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfrec_div.evaluation.stats import PairedTest, bootstrap_interval, holm, paired_test
from tfrec_div.evaluation.system import SYSTEM_METRICS, bootstrap_counts, possible
from tfrec_div.metrics import ReliabilityCurve, average_overlap, catalog_coverage

COMPARED = ("ndcg", "recall", "ild_vectors", "novelty")
# More equal than this, and the lists are no longer personal.
_COLLAPSED_OVERLAP = 0.9


@dataclass(eq=False)
class Evaluation:
    """Systems measured on the same users. Printing it gives the table.

    Attributes:
        k: length of the lists.
        users: `[users]` rows of the users evaluated.
        lists: recommended item rows `[users, k]` by system.
        systems: per-user values `[users]` by system and metric (`"ndcg@10"`).
        num_items: size of the catalogue.
        settings: what was asked for, for the record.
        level: confidence of the intervals.
        seed: of the bootstrap.
        stages: how right each stage is about its candidates, by stage and metric; see `CandidatePool.measures`. Empty
            without a ranker.
        reliability: what the ranker foresaw of the candidates and what came, see `metrics.reliability_curve`; None
            without a ranker.
    """

    k: int
    users: np.ndarray
    lists: dict[str, np.ndarray]
    systems: dict[str, dict[str, np.ndarray]]
    num_items: int
    settings: dict[str, Any] = field(default_factory=dict)
    level: float = 0.95
    seed: int = 0
    stages: dict[str, dict[str, float]] = field(default_factory=dict)
    reliability: ReliabilityCurve | None = None

    @cached_property
    def summary(self) -> dict[str, dict[str, dict[str, float]]]:
        """`{"mean", "low", "high"}` by system and metric, the metrics of all lists together included.

        A mean is over users; its interval is a bootstrap over users.
        """
        return {name: {**self._list_metrics(name), **self._system_metrics(name)} for name in self.systems}

    @cached_property
    def warnings(self) -> list[str]:
        """What looks wrong with the recommender: nearly the same list for everybody."""
        found = []
        for name in self.systems:
            if not name.startswith("recommender") or len(self.users) < 2:
                continue
            rows = self.lists[name]
            coverage, overlap = catalog_coverage(rows, self.num_items), average_overlap(rows, self.num_items)
            few = 2 * self.k / self.num_items
            # A baseline for everybody covers k items; two such pages say little where the catalogue is small.
            few_items = coverage < few < 0.5 and len(self.users) >= 10
            if overlap > _COLLAPSED_OVERLAP or few_items:
                found.append(
                    f"{name}: the lists are nearly the same for all users (overlap of two users' lists "
                    f"{overlap:.2f}, {coverage:.1%} of the catalogue recommended). The model may have "
                    "collapsed: try a lower temperature, the logQ correction, more epochs, or another "
                    "learning rate."
                )
        return found

    def compare(self, a: str, b: str, metric: str) -> PairedTest:
        """Paired test of two systems on one list metric.

        Args:
            a: name of a system.
            b: name of another.
            metric: with or without `@k`.

        Raises:
            KeyError: no such system or metric; the message lists those there are.
        """
        return paired_test(self._values(a, metric), self._values(b, metric), self.level, seed=self.seed)

    def comparisons(self, metrics: tuple[str, ...] = COMPARED) -> pd.DataFrame:
        """The first system against every other: paired tests, with the Holm correction over all of them.

        Args:
            metrics: names of list metrics.

        Returns:
            Columns `a`, `b`, `metric`, `difference`, `low`, `high`, `p_value`, `p_holm`, `users`.
        """
        first, *others = self.systems
        table = []
        for other in others:
            for metric in metrics:
                test = self.compare(first, other, metric)
                table.append([first, other, self._metric_name(metric), *test])
        columns = ["a", "b", "metric", "difference", "low", "high", "p_value", "users"]
        frame = pd.DataFrame(table, columns=columns)
        frame.insert(7, "p_holm", holm(frame["p_value"].to_numpy(float)))
        return frame

    def frame(self) -> pd.DataFrame:
        """The summary as a table: a row per system and metric, columns `mean`, `low`, `high`."""
        cells = {
            (name, metric): values for name, row in self.summary.items() for metric, values in row.items()
        }
        frame = pd.DataFrame.from_dict(cells, orient="index", columns=["mean", "low", "high"])
        frame.index = pd.MultiIndex.from_tuples(cells, names=["system", "metric"])
        return frame

    def table(self) -> str:
        """The summary to read: metrics down, systems across."""
        cells = {
            name: {metric: f"{v['mean']:.4f} [{v['low']:.4f}, {v['high']:.4f}]" for metric, v in row.items()}
            for name, row in self.summary.items()
        }
        head = f"{len(self.users)} users, mean and {self.level:.0%} bootstrap interval"
        notes = "".join(f"\nwarning: {message}" for message in self.warnings)
        return f"{head}\n{pd.DataFrame(cells).to_string()}{self._stages_table()}{notes}"

    def _stages_table(self) -> str:
        if not self.stages:
            return ""
        # One column after the other, so that the metrics stay in their order.
        names = dict.fromkeys(metric for found in self.stages.values() for metric in found)
        table = pd.DataFrame(
            {
                stage: [f"{found[metric]:.4f}" if metric in found else "" for metric in names]
                for stage, found in self.stages.items()
            },
            index=list(names),
        )
        return f"\nthe candidates, by stage\n{table.to_string()}"

    def __str__(self) -> str:
        return self.table()

    def to_json(self) -> dict[str, Any]:
        """Plain numbers: settings, summary, paired tests and warnings; NaN becomes None."""
        return {
            "k": self.k,
            "users": len(self.users),
            "items": self.num_items,
            "level": self.level,
            "settings": self.settings,
            "systems": {
                name: {
                    metric: {key: _plain(v) for key, v in values.items()} for metric, values in row.items()
                }
                for name, row in self.summary.items()
            },
            "comparisons": [
                {key: _plain(value) for key, value in row.items()}
                for row in self.comparisons().to_dict(orient="records")
            ],
            "stages": {
                stage: {metric: _plain(value) for metric, value in found.items()}
                for stage, found in self.stages.items()
            },
            "reliability": self.reliability
            and {name: [_plain(v) for v in values] for name, values in self.reliability._asdict().items()},
            "warnings": self.warnings,
        }

    def save(self, path: str | os.PathLike) -> Path:
        """Write `to_json()`; the file is either the old one or the whole new one.

        Args:
            path: a file name that ends in `.json`, or a folder, where it becomes `metrics.json`.

        Returns:
            The file.
        """
        file = Path(path) if Path(path).suffix == ".json" else Path(path) / "metrics.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(self.to_json(), stream, indent=1, ensure_ascii=False, allow_nan=False)
                stream.write("\n")
            os.chmod(part, 0o644)  # mkstemp's file is the owner's alone
            os.replace(part, file)
        except BaseException:
            os.unlink(part)
            raise
        return file

    def _list_metrics(self, name: str) -> dict[str, dict[str, float]]:
        return {
            metric: bootstrap_interval(values, self.level, seed=self.seed)._asdict()
            for metric, values in self.systems[name].items()
        }

    def _system_metrics(self, name: str) -> dict[str, dict[str, float]]:
        found = bootstrap_counts(SYSTEM_METRICS, self.lists[name], self.num_items, self.level, seed=self.seed)
        return {
            f"{metric}@{self.k}": dict(
                zip(("mean", "low", "high"), possible(metric, ends).tolist(), strict=True)
            )
            for metric, ends in found.items()
        }

    def _metric_name(self, metric: str) -> str:
        return metric if "@" in metric else f"{metric}@{self.k}"

    def _values(self, system: str, metric: str) -> np.ndarray:
        if system not in self.systems:
            raise KeyError(f"no system {system!r}; there are {', '.join(map(repr, self.systems))}")
        values = self.systems[system]
        if self._metric_name(metric) not in values:
            raise KeyError(f"no metric {metric!r} per user; there are {', '.join(values)}")
        return values[self._metric_name(metric)]


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    return float(value) if np.isfinite(value) else None
