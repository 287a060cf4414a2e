"""The metrics of each epoch are those that an evaluation of the same model gives."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec_div._keras import keras
from tfrec_div.evaluation.evaluator import evaluate
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.recommender import Recommender
from tfrec_div.rerank.mmr import MMR
from tfrec_div.training.callbacks import BeyondAccuracy, EmbeddingProjector
from tfrec_div.training.callbacks.training_logs import MOST_VALUES, TrainingLogs, learning_rate


def small(parts):
    keras.utils.set_random_seed(0)
    model = TwoTower(parts[0].schema, embedding_dim=8)
    model.compile()
    return model


def fit(model, parts, *callbacks, epochs=1):
    batches = parts[0].batches(64, max_history=model.max_history)
    return model.fit(batches, epochs=epochs, verbose=0, callbacks=list(callbacks)).history


def after_an_epoch(model, callback):
    """What the callback logs of a model as it is."""
    callback.set_model(model)
    callback.set_params({"epochs": 1})
    callback.on_train_begin()
    logs = {}
    callback.on_epoch_end(0, logs)
    return logs


@pytest.mark.parametrize("level", [None, 0.6])
def test_the_values_are_those_of_an_evaluation(model, parts, level):
    reranker = None if level is None else MMR(k=5, diversity=level)
    names = ("ndcg", "recall", "ild_vectors", "novelty", "coverage", "gini")
    logs = after_an_epoch(
        model, BeyondAccuracy(*parts, k=5, reranker=reranker, metrics=names, num_candidates=20)
    )
    recommender = Recommender(model, parts[0], reranker=reranker, k=5, num_candidates=20)
    expected = evaluate(recommender, parts[1], k=5, baselines=()).summary["recommender"]
    assert list(logs) == [f"val_{name}@5" for name in names]
    for name in names:
        assert logs[f"val_{name}@5"] == pytest.approx(expected[f"{name}@5"]["mean"], rel=1e-6)


def both_ndcg(model, train, held_out):
    """The model's own measure, of targets, and that of pages."""
    batches = held_out.batches(64, context=train, shuffle=False, max_history=model.max_history)
    own = model.evaluate(batches, verbose=0, return_dict=True)
    return own["ndcg_at_10"], after_an_epoch(model, BeyondAccuracy(train, held_out))["val_ndcg@10"]


def test_the_models_own_measure_is_of_targets_and_that_of_pages_is_of_users(model, shop):
    # One relevant target of each user: a mean over targets is one over users.
    train, last = shop.split("leave_one_out")
    log, seen = last.interactions, train.interactions
    known = set(zip(seen.user.tolist(), seen.item.tolist(), strict=True))
    new = [pair not in known for pair in zip(log.user.tolist(), log.item.tolist(), strict=True)]
    single = last.subset(log.take(np.array(new) & log.relevant()))
    of_targets, of_pages = both_ndcg(model, train, single)
    assert of_targets == pytest.approx(of_pages, rel=1e-5)
    # Several of each, relevant or not: two measures.
    of_targets, of_pages = both_ndcg(model, *shop.split("temporal", test=0.4))
    assert abs(of_targets - of_pages) > 0.01


def test_diversifying_shows(model, parts):
    values = [
        after_an_epoch(model, BeyondAccuracy(*parts, k=5, reranker=reranker))["val_ild_vectors@5"]
        for reranker in (None, MMR(k=5, diversity=1.0))
    ]
    assert values[1] > values[0] + 0.02


def test_the_history_has_the_vectors_of_each_epoch(parts):
    model = small(parts)
    history = fit(model, parts, BeyondAccuracy(*parts, k=5), epochs=2)
    recommender = Recommender(model, parts[0], k=5)
    expected = evaluate(recommender, parts[1], k=5, baselines=()).summary["recommender"]
    assert len(history["val_ndcg@5"]) == 2
    assert history["val_ndcg@5"][-1] == pytest.approx(expected["ndcg@5"]["mean"], rel=1e-6)
    assert history["val_ild_vectors@5"][0] != history["val_ild_vectors@5"][1]
    # The steps of the training are the same without it.
    assert fit(small(parts), parts, epochs=2)["loss"] == history["loss"]


def test_a_callback_after_it_may_watch_what_it_logs(parts):
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append("val_ild_vectors@10" in logs)
    )
    stop = keras.callbacks.EarlyStopping("val_novelty@10", patience=0, mode="max", min_delta=1e9)
    fit(small(parts), parts, BeyondAccuracy(*parts), watch, stop, epochs=4)
    assert seen == [True, True]


def test_it_is_measured_every_few_epochs_and_at_the_end(parts):
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append("val_ndcg@10" in logs)
    )
    fit(small(parts), parts, BeyondAccuracy(*parts, every=2), watch, epochs=5)
    assert seen == [False, True, False, True, True]


def test_a_sample_of_users_is_measured_on_their_own_items(model, parts):
    few = BeyondAccuracy(*parts, k=5, max_users=10)
    logs = after_an_epoch(model, few)
    rows = Recommender(model, parts[0], k=5).recommend_rows(few._users)[0]
    log = parts[1].interactions
    wanted = set(zip(log.user[log.relevant()].tolist(), log.item[log.relevant()].tolist(), strict=True))
    seen = set(zip(parts[0].interactions.user.tolist(), parts[0].interactions.item.tolist(), strict=True))
    recalls = []
    for user, page in zip(few._users.tolist(), rows.tolist(), strict=True):
        mine = {item for owner, item in wanted - seen if owner == user}
        recalls.append(len(mine & set(page)) / len(mine))
    assert len(recalls) == 10
    assert logs["val_recall@5"] == pytest.approx(np.mean(recalls))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k: expected at least 1, got 0"),
        ({"every": 0}, "every: expected at least 1, got 0"),
        ({"metrics": ("ndgc",)}, "metrics: expected some of recall, .*, got 'ndgc'"),
    ],
)
def test_options_that_do_not_fit_are_refused(parts, options, message):
    with pytest.raises(ValueError, match=message):
        BeyondAccuracy(*parts, **options)


def test_nobody_to_measure_on_is_refused(parts):
    with pytest.raises(ValueError, match="no user has a relevant interaction"):
        BeyondAccuracy(parts[0], parts[0])


def test_learning_rates_are_those_of_the_last_step():
    from tfrec_div._keras import tf

    assert learning_rate(keras.optimizers.Adam(0.5)) == 0.5
    falling = keras.optimizers.schedules.PiecewiseConstantDecay([2], [1.0, 0.25])
    for optimizer in (keras.optimizers.SGD(falling), keras.optimizers.legacy.SGD(falling)):
        variable, rates = tf.Variable(8.0), []
        for _ in range(5):
            optimizer.apply_gradients([(tf.constant(1.0), variable)])
            rates.append(learning_rate(optimizer))
        # Steps 0, 1 and 2 at the first rate.
        assert rates == [1.0, 1.0, 1.0, 0.25, 0.25]
        assert float(variable) == 8.0 - sum(rates)


def test_a_large_table_costs_a_histogram_no_more_than_a_small_one(parts, tmp_path, monkeypatch):
    from tfrec_div._keras import tf

    sizes = []
    monkeypatch.setattr(
        tf.summary, "histogram", lambda name, values, step: sizes.append(int(tf.size(values)))
    )
    large = tf.Variable(tf.random.normal([1000, 1000]))
    model = small(parts)
    monkeypatch.setattr(type(model), "trainable_variables", [large])
    logs = TrainingLogs(tmp_path)
    logs.set_model(model)
    logs._log_weights(0)
    assert sizes == [MOST_VALUES]


def test_titles_of_any_kind_keep_to_their_line(tmp_path):
    import pandas as pd

    from tfrec_div.data.frames import from_frames

    log = pd.DataFrame({"user_id": ["u", "v"], "item_id": ["a", "b"]})
    items = pd.DataFrame({"item_id": ["a", "b", "c"], "title": ["Tea\tfor\ntwo\r\u2028", "", "Tee für 2"]})
    catalog = from_frames(log, items).catalog
    EmbeddingProjector(catalog, tmp_path).write(np.eye(3))
    text = (tmp_path / "projector" / "metadata.tsv").read_bytes().decode()
    assert text == "title\titem_id\nTea for two\ta\nb\tb\nTee für 2\tc\n"
    assert (tmp_path / "projector" / "items.tsv").read_text() == "1\t0\t0\n0\t1\t0\n0\t0\t1\n"
    # No item has a picture.
    assert not (tmp_path / "projector" / "sprite.png").exists()


def test_more_items_than_a_browser_takes_are_a_sample(parts, tmp_path):
    catalog = parts[0].catalog
    projector = EmbeddingProjector(catalog, tmp_path, max_items=12, thumbnail=16)
    projector.write(np.arange(50.0)[:, None])
    rows = np.loadtxt(tmp_path / "projector" / "items.tsv").astype(int)
    lines = (tmp_path / "projector" / "metadata.tsv").read_text("utf-8").splitlines()[1:]
    assert [line.split("\t")[1] for line in lines] == catalog.ids[rows].tolist()
    assert len(rows) == len(set(rows)) == 12
    with pytest.raises(ValueError, match=r"max_items, thumbnail: expected a square of .* 8192 pixels"):
        EmbeddingProjector(catalog, tmp_path, max_items=100_000)
