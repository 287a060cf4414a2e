"""Measures a run: relevance, diversity and novelty, beside baselines."""

from __future__ import annotations

import argparse
import warnings
from dataclasses import replace
from pathlib import Path

from tfrec_div.cli.arguments import add_data, check_page
from tfrec_div.data.errors import DataError, Problem


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument(
        "--run", dest="run_dir", type=Path, required=True, metavar="RUN", help="folder of a training"
    )
    add_data(
        parser,
        required=False,
        text="dataset folder with held-out interactions (default: what the run held out)",
    )
    parser.add_argument("--k", type=int, default=10, metavar="N", help="length of the lists (default 10)")
    parser.add_argument("--diversity", type=float, metavar="X", help="0 to 1 (default: the run's)")


def run(arguments: argparse.Namespace) -> None:
    """Evaluates on held-out interactions; prints the table and writes metrics.json into the run."""
    import numpy as np

    from tfrec_div.training.run_directory import RunDirectory, read_interactions

    check_page(arguments)
    directory = RunDirectory.open(arguments.run_dir)

    from tfrec_div.cli.quiet import load_tensorflow

    load_tensorflow()
    from tfrec_div.evaluation.evaluator import evaluate
    from tfrec_div.evaluation.latency import BATCH, latency_line, stage_latency
    from tfrec_div.storage import data_of, load_recommender

    recommender = load_recommender(directory.recommender)
    train, test = read_interactions(directory.interactions, recommender.schema)
    if arguments.data is not None:
        from tfrec_div.cli.train import load

        test = _unseen(load(arguments), recommender.schema, train)
    if not len(test):
        where = "the run" if arguments.data is None else arguments.data
        expected = "interactions that were not trained on (give --data, or train with --test)"
        raise DataError([Problem(str(where), None, None, expected, "")])
    recommender.update_histories(train)
    print(f"{len(test)} held-out interactions of {len(np.unique(test.user))} users")
    with warnings.catch_warnings():
        # The evaluation as it is printed ends with them.
        warnings.simplefilter("ignore", UserWarning)
        evaluation = evaluate(
            recommender, data_of(recommender, test), k=arguments.k, diversity=arguments.diversity
        )
    evaluation.save(directory.metrics)
    print(evaluation)
    batch = evaluation.users[:BATCH]
    print(latency_line(stage_latency(recommender, batch, k=arguments.k), len(batch)))
    print(f"metrics: {directory.metrics}")


def _unseen(data, schema, train):
    """Returns the interactions of other data in the run's rows: of users and items it knows, and not trained on."""
    import numpy as np

    from tfrec_div.data.interactions import Interactions

    events = data.interactions
    user, item = (
        schema.user_rows(data.users.ids)[events.user],
        schema.item_rows(data.catalog.ids)[events.item],
    )
    known = (user >= 0) & (item >= 0)
    if not known.all():
        print(
            f"{int((~known).sum())} interactions of users or items that the run does not know are passed over"
        )
    trained = np.isin(
        user * np.int64(schema.num_items) + item, train.user * np.int64(schema.num_items) + train.item
    )
    columns = {name: getattr(events, name)[known & ~trained] for name in events.columns}
    found = Interactions.from_rows(
        user[known & ~trained], item[known & ~trained], schema.user_ids, schema.item_ids, **columns
    )
    return replace(found, rating_scale=train.rating_scale, event_names=train.event_names)
