"""Claims about the ranker."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.data.synthetic import make_synthetic
from tfrec_div.models.ease import EASE
from tfrec_div.models.ensemble import Ensemble
from tfrec_div.models.most_popular import MostPopular
from tfrec_div.models.ranker import Ranker
from tfrec_div.models.ranking_lists import ranking_lists
from tfrec_div.models.rated_lists import rated_lists
from tfrec_div.models.rating_model import RatingModel
from tfrec_div.tasks.ranking import ListSoftmax
from tfrec_div.towers.fusion import GatedFusion
from tfrec_div.towers.interactions import DLRM

TASKS = ("relevance", "rating", "purchase")


@pytest.fixture(scope="module")
def split():
    data = make_synthetic(
        num_users=40, num_items=30, interactions_per_user=12, seed=2, ratings=True, images=False
    )
    return data.split("temporal", test=0.25)


@pytest.fixture(scope="module")
def retriever(split):
    ease, popular = EASE(split[0].schema, l2=5.0), MostPopular(split[0].schema)
    for model in (ease, popular):
        model.compile()
        model.fit(split[0].batches(64), verbose=0)
    return Ensemble({"ease": ease, "popular": popular}, [[0, 1], [1, 1], [1, 1]])


@pytest.fixture(scope="module")
def rater(split):
    model = RatingModel(split[0].schema, sweeps=10, burn_in=5)
    model.fit(split[0], verbose=0)
    return model


@pytest.fixture(scope="module")
def lists(retriever, split):
    made = ranking_lists(retriever, *split, num_candidates=12, batch_size=16)
    return replace(made, more={"purchase": (made.label > 0).astype(np.float32)})


@pytest.fixture(scope="module")
def vectors(split):
    rng = np.random.default_rng(0)
    return {"text": rng.normal(size=(30, 6)), "image": rng.normal(size=(30, 9)) * (rng.random((30, 1)) > 0.2)}


def make(split, lists, vectors=None, seed=0, **options) -> Ranker:
    keras.utils.set_random_seed(seed)
    options = {"embedding_dim": 4, "hidden_units": (8,), "max_history": 6, **options}
    if vectors:
        options["content"] = {name: part.shape[1] for name, part in vectors.items()}
    ranker = Ranker(split[0].schema, lists.signal_names, **options)
    if vectors:
        ranker.set_content(vectors)
    return ranker


def trained(split, lists, vectors=None, epochs=3, **options) -> Ranker:
    ranker = make(split, lists, vectors, **options)
    ranker.compile(0.01)
    ranker.fit(lists, epochs=epochs, verbose=0)
    return ranker


def awake(split, lists, vectors=None, **options) -> Ranker:
    """A ranker with weights at random, which no longer does what the retriever does."""
    ranker = make(split, lists, vectors, **options)
    ranker.adapt(lists)
    rng = np.random.default_rng(0)
    for weight in ranker.trainable_weights:
        weight.assign_add(rng.normal(0.0, 0.1, weight.shape))
    return ranker


# Where neither is what a test is about.
PLAIN = {"interaction": "wide_deep", "history": None}


@pytest.fixture(scope="module")
def full(split, lists, vectors, rater) -> Ranker:
    """A ranker that has everything; not to be changed."""
    return awake(split, lists, vectors, rater=rater, tasks=TASKS, history="cross_modal")


def copy_of(ranker: Ranker) -> Ranker:
    copy = Ranker.from_config(ranker.get_config())
    copy.set_weights(ranker.get_weights())
    return copy


def batch_of(lists) -> dict[str, tf.Tensor]:
    return next(iter(replace(lists, shuffle=False, batch_size=len(lists.user))))


def ranked(ranker, batch) -> np.ndarray:
    return ranker.rank(batch, batch["candidates"], batch["signals"]).numpy()


@pytest.mark.parametrize("interaction", ["dcn", "deepfm", "dlrm", "wide_deep"])
def test_an_untrained_ranker_keeps_the_retrievers_order(split, lists, vectors, interaction):
    ranker = make(split, lists, vectors, interaction=interaction)
    ranker.adapt(lists)
    scores = ranked(ranker, batch_of(lists))
    there = lists.candidates >= 0
    assert (np.diff(scores, axis=1)[there[:, 1:]] < 0).all()
    assert (scores[~there] == -np.inf).all()
    np.testing.assert_allclose(scores[there], 1 / (1 + np.exp(-lists.signals[:, :, 0][there])), rtol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"interaction": "dcn", "history": "attention", "fusion": "gated"},
        {"interaction": "deepfm", "history": "cross_modal", "fusion": "cross_modal"},
        {"interaction": "dlrm", "history": "mean", "fusion": "bilinear", "tasks": TASKS},
        {"interaction": "wide_deep", "history": None, "tasks": ("relevance", "rating"), "with_rater": True},
    ],
)
def test_training_changes_every_weight_and_lowers_the_loss(split, lists, vectors, rater, options):
    options = dict(options)
    options["rater"] = rater if options.pop("with_rater", False) else None
    ranker = make(split, lists, vectors, **options)
    ranker.adapt(lists)
    before = [weight.numpy().copy() for weight in ranker.trainable_weights]
    ranker.compile(0.01)
    losses = ranker.fit(lists, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    still = [
        weight.name
        for weight, old in zip(ranker.trainable_weights, before, strict=True)
        if np.array_equal(weight.numpy(), old)
    ]
    assert still == []
    found = ranker.predictions(*(lambda b: (b, b["candidates"], b["signals"]))(batch_of(lists)))
    assert set(found) == set(ranker.tasks)
    for task, values in found.items():
        low, high = (1, 5) if task == "rating" else (0, 1)
        assert values.dtype == tf.float32
        assert values.shape == lists.candidates.shape
        assert low <= values.numpy().min() <= values.numpy().max() <= high


def test_it_learns_what_the_retriever_does_not_know(split, retriever):
    """Users 0, 2, ... want items of even rows: neither signal tells."""
    rng = np.random.default_rng(0)
    lists = ranking_lists(retriever, *split, num_candidates=20)
    label = ((lists.candidates + lists.user[:, None]) % 2 == 0) & (rng.random(lists.label.shape) < 0.5)
    lists = replace(
        lists, label=label.astype(np.float32), signals=rng.normal(size=lists.signals.shape).astype("f")
    )
    ranker = make(split, lists)
    ranker.compile(0.02)
    ranker.adapt(lists)
    start = ranker.evaluate(lists, return_dict=True, verbose=0)["ndcg_10"]
    ranker.fit(lists, epochs=40, verbose=0)
    assert start < 0.6
    assert ranker.evaluate(lists, return_dict=True, verbose=0)["ndcg_10"] > start + 0.25


def test_the_order_of_the_candidates_and_padding_do_not_matter(full, lists):
    ranker, batch = full, batch_of(lists)
    scores = ranked(ranker, batch)
    order = np.random.default_rng(1).permutation(12)
    moved = {name: tf.gather(batch[name], order, axis=1) for name in ("candidates", "signals")}
    np.testing.assert_allclose(ranked(ranker, {**batch, **moved}), scores[:, order], rtol=1e-4, atol=1e-6)
    padded = {
        "candidates": tf.pad(batch["candidates"], [[0, 0], [0, 3]], constant_values=-1),
        "signals": tf.pad(batch["signals"], [[0, 0], [0, 3], [0, 0]]),
        "history": tf.pad(batch["history"], [[0, 0], [0, 9]], constant_values=-1),
        "history_weight": tf.pad(batch["history_weight"], [[0, 0], [0, 9]]),
    }
    longer = ranked(ranker, {**batch, **padded})
    np.testing.assert_allclose(longer[:, :12], scores, rtol=1e-4, atol=1e-6)
    assert (longer[:, 12:] == -np.inf).all()


def test_an_unknown_user_without_a_history_is_ranked(full):
    query = {
        "user_id": tf.constant([-1]),
        "history": tf.zeros([1, 0], tf.int32),
        "history_weight": tf.zeros([1, 0]),
    }
    scores = full.rank(query, tf.constant([[3, 5, -1]]), tf.zeros([1, 3, 3])).numpy()
    assert np.isfinite(scores[0, :2]).all()
    assert scores[0, 2] == -np.inf


@pytest.mark.parametrize("history", ["attention", "cross_modal", "mean"])
def test_a_candidate_is_not_told_by_its_own_place_in_the_history(split, lists, vectors, history):
    """The strength of an interaction tells its rating: a rating must not be foretold from it."""
    ranker = awake(split, lists, vectors, history=history, features=("item_id", "categories"))
    history_rows = tf.constant([[4, 7, 2, 9, -1, -1]])
    candidates = tf.constant([[7, 2]])

    def foreseen(second, third):
        query = {
            "user_id": tf.constant([1]),
            "history": history_rows,
            "history_weight": tf.constant([[1.0, second, third, 0.5, 0.0, 0.0]]),
        }
        return ranker.rank(query, candidates, tf.ones([1, 2, 3])).numpy()[0]

    weak, strong = foreseen(0.1, 0.4), foreseen(1.0, 0.4)
    assert weak[0] == pytest.approx(strong[0], rel=1e-4)
    # The other candidate is told by it.
    assert weak[1] != pytest.approx(strong[1], rel=1e-4)


def test_ratings_at_random_are_not_foretold(split):
    """Leave-one-out lists of shuffled ratings: what is learned holds for no other rating."""
    log = split[0].interactions
    shuffled = replace(log, rating=np.random.default_rng(0).permutation(log.rating))
    data = split[0].subset(shuffled)
    lists = rated_lists(data, num_candidates=12)
    kept, held = lists.split(0.3, seed=1)
    ranker = trained(
        (data,), kept, epochs=30, history="mean", tasks=("relevance", "rating"), features=("item_id",)
    )
    error = ranker.evaluate(held, return_dict=True, verbose=0)["squared_error"]
    known = held.rating[np.isfinite(held.rating)]
    assert error > 0.97 * known.var()


def test_a_users_id_is_refused_where_it_would_tell_the_rating(split):
    lists = rated_lists(split[0])
    with pytest.raises(ValueError, match="features: expected none of 'user_id' with lists whose candidates"):
        make(split, lists, tasks=("relevance", "rating")).adapt(lists)


def test_the_rating_starts_as_the_raters(split, lists, rater):
    ranker = make(split, lists, rater=rater, tasks=("relevance", "rating"))
    ranker.adapt(lists)
    batch = batch_of(lists)
    found = ranker.predictions(batch, batch["candidates"], batch["signals"])["rating"].numpy()
    there = lists.candidates >= 0
    users = np.broadcast_to(lists.user[:, None], there.shape)[there]
    np.testing.assert_allclose(found[there], rater.ratings(users, lists.candidates[there]), rtol=1e-5)


def test_it_is_saved_and_read_with_its_rater_content_and_calibration(full, lists, tmp_path):
    ranker = copy_of(full).calibrate(lists)
    batch = batch_of(lists)
    expected = ranker.predictions(batch, batch["candidates"], batch["signals"])
    raw = full.predictions(batch, batch["candidates"], batch["signals"])["relevance"]
    assert not np.allclose(raw, expected["relevance"], atol=0.01)
    ranker.save(tmp_path / "ranker.keras")
    read = keras.models.load_model(tmp_path / "ranker.keras")
    assert read.get_config() == ranker.get_config()
    for other in (read, copy_of(ranker)):
        found = other.predictions(batch, batch["candidates"], batch["signals"])
        for task, values in expected.items():
            np.testing.assert_allclose(found[task].numpy(), values.numpy(), rtol=1e-5, atol=1e-6)


def test_the_optimizers_state_is_saved_with_a_ranker_in_training(split, lists, tmp_path):
    ranker = trained(split, lists, epochs=2, **PLAIN)
    ranker.save(tmp_path / "ranker.keras")
    read = keras.models.load_model(tmp_path / "ranker.keras")
    assert int(read.optimizer.iterations) == 2 * len(lists)
    np.testing.assert_allclose(read.optimizer.get_weights()[1], ranker.optimizer.get_weights()[1], rtol=1e-6)


def test_losses_and_layers_may_be_given_as_objects(split, lists):
    loss, layer, fusion = ListSoftmax(temperature=2.0), DLRM((4,)), GatedFusion(4)
    ranker = make(
        split,
        lists,
        {"text": np.eye(30, 3), "image": np.eye(30, 2)},
        loss=loss,
        interaction=layer,
        fusion=fusion,
    )
    again = Ranker.from_config(ranker.get_config())
    assert again.get_config() == ranker.get_config()
    assert again.outputs_of.loss_of["relevance"].temperature == 2.0
    assert isinstance(again.features.fusion, GatedFusion)


def test_it_works_in_a_graph_with_unknown_lengths(full, lists):
    names = ("user_id", "history", "history_weight", "candidates", "signals")
    batch = {name: batch_of(lists)[name] for name in names}
    spec = {name: tf.TensorSpec([None] * value.shape.rank, value.dtype) for name, value in batch.items()}
    spec["signals"] = tf.TensorSpec([None, None, 3])
    graph = tf.function(lambda b: full.rank(b, b["candidates"], b["signals"]), input_signature=[spec])
    np.testing.assert_allclose(graph(batch).numpy(), ranked(full, batch), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_gives_scores_in_full(split, lists, vectors, precision):
    ranker = awake(split, lists, vectors, precision=precision, tasks=TASKS)
    exact = Ranker.from_config({**ranker.get_config(), "precision": "float32"})
    exact.set_weights(ranker.get_weights())
    batch = batch_of(lists)
    scores = ranked(ranker, batch)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, ranked(exact, batch), atol=0.02)


def test_calibration_gives_shares_that_hold_and_keeps_the_order(split, lists):
    ranker = trained(split, lists, **PLAIN)
    batch = batch_of(lists)
    raw = ranked(ranker, batch)
    there = lists.candidates >= 0
    share = lists.label[there].mean()
    assert abs(raw[there].mean() - share) > 0.1
    for method in ("platt", "isotonic"):
        scores = ranked(ranker.calibrate(lists, method), batch)
        assert scores[there].mean() == pytest.approx(share, abs=0.03)
        order = np.argsort(raw[there])
        assert (np.diff(scores[there][order]) > -1e-6).all()
    # What was learned before is forgotten: one factor alone leaves even odds where they are.
    ranker.calibrate(lists, "temperature")
    assert float(ranker.calibrated_logits(tf.constant(0.0))) == 0.0
    with pytest.raises(ValueError, match="method: expected one of temperature, platt, isotonic, got 'none'"):
        ranker.calibrate(lists, "none")


def test_behind_a_retriever_that_knows_more_popularity_and_ratings_follow(split, lists, rater):
    ranker = awake(split, lists, rater=rater)
    both = split[0].subset(split[0].interactions.take(np.arange(len(split[0].interactions)) % 2 == 0))
    other = RatingModel(split[0].schema, sweeps=10, burn_in=5, seed=1)
    other.fit(both, verbose=0)
    batch = batch_of(lists)
    before = ranked(ranker, batch)
    fresh = ranker.refreshed(both, other)
    counts = np.log1p(both.interactions.item_counts())
    np.testing.assert_allclose(fresh.cross.popularity.numpy()[1:], counts / counts.max(), rtol=1e-5)
    assert fresh.rater.get_weights()[0] == pytest.approx(other.get_weights()[0])
    np.testing.assert_array_equal(ranked(ranker, batch), before)
    assert not np.allclose(ranked(fresh, batch), before)
    with pytest.raises(ValueError, match="rater: expected None, since the ranker was made without one"):
        make(split, lists).refreshed(both, other)


def test_inverse_propensities_weigh_what_is_relevant(split, lists):
    ranker = make(split, lists)
    ranker.adapt(lists)
    batch = batch_of(lists)
    plain = float(ranker.compute_loss(batch))
    half = {**batch, "propensity": tf.fill(lists.candidates.shape, 0.5)}
    assert float(ranker.compute_loss(half)) == pytest.approx(2 * plain, rel=1e-5)


@pytest.mark.slow
def test_two_replicas_take_the_step_of_one():
    script = Path(__file__).with_name("ranker_strategy_script.py")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = json.loads(done.stdout.splitlines()[-1])
    assert two == pytest.approx(one, rel=1e-4)


def test_wrong_arguments_are_named(split, lists, retriever):
    schema = split[0].schema
    with pytest.raises(ValueError, match=r"history: expected None or one of .*'attention'.* got 'gru'"):
        Ranker(schema, history="gru")
    with pytest.raises(ValueError, match="tasks: expected a list with 'relevance', got"):
        Ranker(schema, tasks=("rating",))
    with pytest.raises(ValueError, match="history: 'cross_modal' needs the content"):
        Ranker(schema, history="cross_modal")
    with pytest.raises(ValueError, match=r"lists: expected the signals \['score'\], got \['score', 'ease'"):
        Ranker(schema).adapt(lists)
    with pytest.raises(ValueError, match="content: Ensemble has no model that has encoded"):
        Ranker(schema, content=retriever)
    unknown = make(split, lists, tasks=("relevance", "cart"))
    with pytest.raises(ValueError, match="tasks: the lists say nothing of 'cart'"):
        unknown.compute_loss(batch_of(lists))
    ranker = Ranker(schema)
    ranker.compile()
    with pytest.raises(ValueError, match="x: expected RankingLists"):
        ranker.fit(lists.as_dataset(epochs=1))


def test_a_learning_rate_that_was_given_is_given_again(split, lists, tmp_path):
    ranker = Ranker(split[0].schema, lists.signal_names, embedding_dim=4, hidden_units=(4,))
    ranker.compile(0.03)
    ranker.fit(lists, epochs=1, verbose=0)
    ranker.save(tmp_path / "ranker.keras")
    again = keras.models.load_model(tmp_path / "ranker.keras")
    assert again.get_compile_config() == {"optimizer": 0.03}
    assert float(again.optimizer.learning_rate(0)) == pytest.approx(0.03)


def test_lists_of_another_kind_are_refused_later_too(split, lists):
    """What is refused before the first training is refused afterwards, when the ranker has been adapted."""
    ranker = make(split, lists, **PLAIN)
    ranker.fit(lists, epochs=1, verbose=0)
    other = replace(lists, signal_names=("a", "b", "c"))
    for ask in (ranker.fit, ranker.evaluate, ranker.calibrate):
        with pytest.raises(ValueError, match=r"lists: expected the signals .* got \['a', 'b', 'c'\]"):
            ask(other)
    with pytest.raises(ValueError, match="lists: expected the signals"):
        ranker.fit(lists, validation_data=other, verbose=0)
    rating = Ranker(split[0].schema, tasks=("relevance", "rating"), embedding_dim=4, hidden_units=(8,))
    rating.fit(rated_lists(*split), verbose=0)
    with pytest.raises(ValueError, match="features: expected none of 'user_id'"):
        rating.fit(rated_lists(split[0]), verbose=0)


def test_no_list_at_all_is_refused(split, lists):
    none = lists.take(np.zeros(len(lists.user), bool))
    for ask in (make(split, lists).fit, make(split, lists).calibrate, make(split, lists).evaluate):
        with pytest.raises(ValueError, match="lists: expected at least one, got none"):
            ask(none)


def test_parts_of_another_catalogue_are_refused(split, lists):
    small = make_synthetic(num_users=9, num_items=8, ratings=True, images=False)
    with pytest.raises(ValueError, match="rater: expected one of the ranker's schema, got another"):
        Ranker(split[0].schema, rater=RatingModel(small.schema))
    with pytest.raises(ValueError, match="data: expected the schema that the ranker was made with"):
        make(split, lists).refreshed(small)
    with pytest.raises(ValueError, match="max_history: expected at least 0, got -1"):
        Ranker(split[0].schema, max_history=-1)
    ranker = Ranker(split[0].schema, content={"text": 6, "image": 3})
    with pytest.raises(
        ValueError, match=r"vectors: expected the shapes .*'image': \[30, 3\].* got .*\[20, 6\]"
    ):
        ranker.set_content({"text": np.ones((20, 6))})


def test_propensities_weigh_no_miss_under_cross_entropy(split, lists):
    """A click where every other one looks is two clicks less one miss; a miss is one miss anywhere."""
    ranker = make(split, lists, loss="binary_cross_entropy", residual=False, **PLAIN)
    ranker.adapt(lists)
    batch = batch_of(lists)
    batch["propensity"] = tf.fill(lists.candidates.shape, 0.5)
    for label in (0.0, 1.0):
        given = {**batch, "label": tf.fill(lists.candidates.shape, label)}
        # The loss of a score of 0 is ln 2, whatever the label weighs; its slope is 1/2 - 2 label.
        with tf.GradientTape() as tape:
            loss = ranker.compute_loss(given)
        slope = tape.gradient(loss, ranker.outputs_of.heads["relevance"].bias)
        assert float(loss) == pytest.approx(np.log(2), rel=1e-5)
        assert float(slope[0]) == pytest.approx(0.5 - 2 * label, rel=1e-4)


def test_a_batch_without_anything_relevant_says_nothing_of_that_tasks_variance(split, lists):
    ranker = make(split, lists, tasks=("relevance", "rating"), **PLAIN)
    ranker.adapt(lists)
    batch = batch_of(lists)
    variances = ranker.outputs_of.uncertainty.log_variances
    with tf.GradientTape() as tape:
        loss = ranker.compute_loss({**batch, "label": tf.zeros_like(batch["label"])})
    slopes = tape.gradient(loss, variances)
    assert float(slopes["relevance"]) == 0.0
    assert float(slopes["rating"]) != 0.0
