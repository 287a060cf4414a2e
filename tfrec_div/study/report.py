"""One page that explains a run to a person."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tfrec_div.metrics import ReliabilityCurve
from tfrec_div.study.report_view import report_view


@dataclass(frozen=True)
class ItemCard:
    """An item as a reader sees it.

    Args:
        item_id: Its id.
        title: What to call it.
        categories: Its categories.
        image: Its encoded picture, if it has one.
    """

    item_id: str
    title: str
    categories: Sequence[str] = ()
    image: bytes | None = None


@dataclass(frozen=True)
class UserExample:
    """What one user chose and was recommended.

    Args:
        user_id: The user.
        history: What the user chose, latest first.
        plain: Recommended by relevance alone, best first.
        diversified: Recommended after diversifying, best first.
    """

    user_id: str
    history: Sequence[ItemCard] = ()
    plain: Sequence[ItemCard] = ()
    diversified: Sequence[ItemCard] = ()


@dataclass(frozen=True)
class RunReport:
    """All that a report tells.

    Args:
        title: The heading.
        created: When, as an ISO string.
        announcements: What a reader must know first, such as a stand-in for missing weights.
        data: `Dataset.summary()`.
        history: Values by epoch: `loss`, `val_loss` and other metrics.
        evaluation: By system and metric, `mean`, `low` and `high` (the 95 % interval). The first system that
            is no baseline is the run's, if `system` does not say another.
        examples: A few users.
        settings: The configuration of the run.
        artifacts: What was written and where.
        warnings: What was odd.
        system: Name of the system that the run is about.
        plain_system: Name of the same system without diversifying.
        stages: How right each stage is about its candidates, by stage and metric.
        reliability: What the ranker foresaw of the candidates and what came of it.
        latency: Median milliseconds of each stage for a batch of users.
        latency_users: Users in that batch.
    """

    title: str
    created: str
    announcements: Sequence[str] = ()
    data: Mapping[str, object] = field(default_factory=dict)
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    evaluation: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    examples: Sequence[UserExample] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    system: str | None = None
    plain_system: str | None = None
    stages: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    reliability: ReliabilityCurve | None = None
    latency: Mapping[str, float] = field(default_factory=dict)
    latency_users: int = 0


def write_report(path: str | os.PathLike, report: RunReport) -> Path:
    """Writes one HTML page that needs no other file and no network.

    Texts from the data are escaped and cut, pictures become thumbnails inside the page. The file appears
    whole or not at all.

    Args:
        path: Where to write; the folder is made. Commands in the page take this folder for the run's.
        report: What to tell.

    Returns:
        The path.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = write_report(folder + "/report.html", RunReport("A shop", "2026-01-31T12:00:00"))
        ...     page.read_text(encoding="utf-8").splitlines()[0]
        '<!doctype html>'
    """
    path = Path(path)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(report_view(report, path.parent))
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # Half of a surrogate pair, as broken input has it, cannot be written as UTF-8.
        unfinished.write_bytes(page.encode("utf-8", errors="replace"))
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path
