"""The main job: from a data set to a trained, evaluated, exported recommender with a report."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from tfrec_div.data.dataset import Dataset
from tfrec_div.data.errors import DataError, Problem
from tfrec_div.evaluation.evaluator import Evaluation, evaluate
from tfrec_div.evaluation.latency import BATCH, latency_line, stage_latency
from tfrec_div.recommender import Recommender
from tfrec_div.serving.export import export
from tfrec_div.study.report import ItemCard, RunReport, UserExample, write_report
from tfrec_div.training.config import TrainConfig
from tfrec_div.training.train import TrainedRun, train

EXAMPLES = 4
SHOWN = 6


def run_main_job(
    data: Dataset,
    config: TrainConfig,
    out: str | Path,
    say: Callable[[str], None] = print,
    strategy: str = "auto",
) -> Path | None:
    """Trains, evaluates, exports and reports.

    Args:
        data: All interactions; `config.test` says what of them is held out.
        config: The settings.
        out: Folder of the run.
        say: Called with each line for the user.
        strategy: Devices to train on, as for `resolve_strategy`.

    Returns:
        The report's file; None in a process that writes nothing, see `train`.

    Raises:
        DataError: If nothing is held out to evaluate on, or the folder holds another run.
    """
    if config.test == "none":
        raise DataError([Problem("test", None, None, "a split, since the main job evaluates", "none")])
    trained = train(data, config, out, say=say, strategy=strategy)
    if not trained.written:
        return None
    assert trained.test is not None
    say("evaluating ...")
    with warnings.catch_warnings():
        # The evaluation as it is printed ends with them.
        warnings.simplefilter("ignore", UserWarning)
        evaluation = evaluate(trained.recommender, trained.test, k=config.k)
    evaluation.save(trained.run.metrics)
    say(str(evaluation))
    batch = evaluation.users[:BATCH]
    latency = stage_latency(trained.recommender, batch, k=config.k)
    say(latency_line(latency, len(batch)))
    examples = _examples(trained)
    # From here on users have seen what was held out, as those of the served model have.
    trained.recommender.update_histories(data.interactions)
    say("writing the SavedModel and checking it in a fresh process ...")
    version = export(trained.recommender, trained.run.path / "saved_model")
    report = _report(trained, data, config, evaluation, examples, version)
    report = replace(report, latency=latency, latency_users=len(batch))
    return write_report(trained.run.report, report)


def _report(
    trained: TrainedRun,
    data: Dataset,
    config: TrainConfig,
    evaluation: Evaluation,
    examples: list[UserExample],
    version: Path,
) -> RunReport:
    run = trained.run
    return RunReport(
        title=f"Recommendations for {data.name or 'the data set'}",
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        announcements=trained.announcements,
        data=data.summary(),
        history=trained.history,
        evaluation=evaluation.summary,
        stages=evaluation.stages,
        reliability=evaluation.reliability,
        examples=examples,
        settings=config.to_json(),
        artifacts={
            "Recommender": str(run.recommender),
            "SavedModel": str(version),
            "Metrics": str(run.metrics),
            "TensorBoard": f"tensorboard --logdir {run.logs}",
        },
        warnings=list(evaluation.warnings),
    )


def _examples(trained: TrainedRun) -> list[UserExample]:
    """Shows pages before and after diversifying, for users whose pages change."""
    recommender, events = trained.recommender, trained.train.interactions
    counts = np.bincount(events.user, minlength=events.num_users)
    users = np.argsort(-counts, kind="stable")
    # Users with a history of a middling length show the most to a reader.
    users = users[len(users) // 4 :][:: max(1, len(users) // (2 * EXAMPLES))][:EXAMPLES]
    plain = recommender.recommend_rows(users, diversity=0.0)[0]
    diverse = recommender.recommend_rows(users)[0]
    items, starts = events.histories()
    return [
        UserExample(
            user_id=recommender.schema.user_ids[user],
            history=_cards(recommender, items[starts[user] : starts[user + 1]][::-1][:SHOWN]),
            plain=_cards(recommender, plain[place]),
            diversified=_cards(recommender, diverse[place]),
        )
        for place, user in enumerate(users)
    ]


def _cards(recommender: Recommender, rows: np.ndarray) -> list[ItemCard]:
    catalog = recommender.catalog
    name = catalog.category_feature
    names = recommender.schema.vocabularies[f"item/{name}"] if name else ()
    matrix, titles = catalog.category_matrix(), catalog.titles()
    return [
        ItemCard(
            item_id=catalog.ids[row],
            title=titles[row],
            categories=[names[code] for code in np.flatnonzero(matrix[row])],
            image=catalog.image_bytes(row) or None,
        )
        for row in rows
        if row >= 0
    ]
