"""What every Keras metric must satisfy, whatever it measures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec_div import metrics
from tfrec_div._keras import keras, tf
from tfrec_div.metrics import streaming

ITEMS = 30
RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(ITEMS, 5)) * (RNG.random((ITEMS, 1)) < 0.8)
GENRES = (RNG.random((ITEMS, 4)) < 0.3).astype(np.float32)
COUNTS = RNG.integers(0, 50, ITEMS) * (RNG.random(ITEMS) < 0.8)  # a few were used by nobody
TAIL = metrics.long_tail(COUNTS)

# How to make each metric, and the same in NumPy.
EVERY = {
    "ild": (
        lambda: streaming.IntraListDistance(VECTORS),
        lambda rows: metrics.intra_list_distance(rows, VECTORS).mean(),
    ),
    "ild, hamming": (
        lambda: streaming.IntraListDistance(GENRES, distance="hamming"),
        lambda rows: metrics.intra_list_distance(rows, GENRES, "hamming").mean(),
    ),
    "category entropy": (
        lambda: streaming.CategoryEntropy(GENRES),
        lambda rows: metrics.category_entropy(rows, GENRES).mean(),
    ),
    **{
        f"novelty, {definition}": (
            lambda d=definition: streaming.Novelty(COUNTS, num_users=60, definition=d),
            lambda rows, d=definition: metrics.novelty(rows, COUNTS, 60, d).mean(),
        )
        for definition in ("smoothed", "rectools", "recommenders")
    },
    "popularity": (
        lambda: streaming.AverageRecommendationPopularity(COUNTS),
        lambda rows: metrics.popularity(rows, COUNTS).mean(),
    ),
    "long tail": (lambda: streaming.LongTailShare(TAIL), lambda rows: metrics.aplt(rows, TAIL).mean()),
    "coverage": (
        lambda: streaming.CatalogCoverage(ITEMS),
        lambda rows: metrics.catalog_coverage(rows, ITEMS),
    ),
    **{
        f"gini, {definition}": (
            lambda d=definition: streaming.GiniIndex(ITEMS, d),
            lambda rows, d=definition: metrics.gini(rows, ITEMS, d),
        )
        for definition in ("recbole", "elliot")
    },
    "exposure": (
        lambda: streaming.ExposureGini(ITEMS),
        lambda rows: metrics.exposure_gini(rows, ITEMS),
    ),
    "exposure, own": (
        lambda: streaming.ExposureGini(ITEMS, "elliot", discount=[1.0, 0.5, 0.5, 0.0, 0.1]),
        lambda rows: metrics.exposure_gini(rows, ITEMS, "elliot", np.array([1.0, 0.5, 0.5, 0.0, 0.1])),
    ),
    **{
        f"entropy, {definition}": (
            lambda d=definition: streaming.ShannonEntropy(ITEMS, d),
            lambda rows, d=definition: metrics.shannon_entropy(rows, ITEMS, d),
        )
        for definition in ("recbole", "lenskit")
    },
    "personalization": (
        lambda: streaming.Personalization(ITEMS),
        lambda rows: metrics.personalization(rows, ITEMS),
    ),
}
MAKERS = {name: maker for name, (maker, _) in EVERY.items()}
NUMPY = {name: function for name, (_, function) in EVERY.items()}
every_metric = pytest.mark.parametrize("name", sorted(EVERY))


def some_rows(seed: int = 0, users: int = 20, k: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = np.argsort(rng.random((users, ITEMS)), axis=1)[:, :k]
    rows = np.where(rng.random(rows.shape) < 0.2, -1, rows)
    rows[0] = -1  # an empty list
    rows[1] = [rng.integers(ITEMS), *[-1] * (k - 1)]  # one of a single item
    return rows.astype(np.int32)


def value_of(metric, *batches, **options) -> float:
    for batch in batches:
        metric.update_state(batch, **options)
    return float(metric.result())


def test_every_public_metric_is_tried():
    bases = {"ListMetric", "ListMeanMetric", "ItemMeanMetric", "ItemCountMetric"}
    assert {type(maker()).__name__ for maker in MAKERS.values()} == set(streaming.__all__) - bases


@every_metric
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(0, 20))
def test_batches_give_the_value_of_the_numpy_function_on_all_lists(name, seed, cut):
    rows = some_rows(seed)
    expected = NUMPY[name](rows)
    assert value_of(MAKERS[name](), rows) == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert value_of(MAKERS[name](), rows[:cut], rows[cut:]) == pytest.approx(expected, rel=1e-5, abs=1e-6)


@every_metric
def test_the_value_is_of_what_is_recommended(name):
    """Two sets of lists have two values: a metric that is always the same would pass much else."""
    assert value_of(MAKERS[name](), some_rows(1)) != pytest.approx(value_of(MAKERS[name](), some_rows(2)[:6]))


@every_metric
def test_neither_padding_nor_the_type_of_integers_changes_the_value(name):
    rows = some_rows(3)
    expected = value_of(MAKERS[name](), rows)
    if name != "exposure, own":  # five places have an exposure
        wide = np.pad(rows, [(0, 0), (0, 4)], constant_values=-1)
        assert value_of(MAKERS[name](), wide) == pytest.approx(expected, rel=1e-6)
    assert value_of(MAKERS[name](), rows.astype(np.int64)) == pytest.approx(expected, rel=1e-6)
    assert value_of(MAKERS[name](), rows.tolist()) == pytest.approx(expected, rel=1e-6)


@every_metric
@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "XLA"])
def test_a_graph_with_an_unknown_batch_gives_the_same(name, compiled):
    rows, metric = some_rows(4), MAKERS[name]()
    expected = value_of(MAKERS[name](), rows)

    @tf.function(input_signature=[tf.TensorSpec([None, 5], tf.int32)], jit_compile=compiled)
    def update(lists):
        metric.update_state(lists)
        return metric.result()

    update(rows[:7])
    assert float(update(rows[7:])) == pytest.approx(expected, rel=1e-6)
    assert float(update(rows[:0])) == pytest.approx(expected, rel=1e-6)


@every_metric
def test_weights_leave_lists_out_and_weigh_those_that_are_in(name):
    rows = some_rows(5)
    kept = np.random.default_rng(0).random(len(rows)) < 0.5
    expected = value_of(MAKERS[name](), rows[kept])
    for weights in (kept.astype(np.float32), kept[:, np.newaxis], 3.0 * kept):
        value = value_of(MAKERS[name](), rows, sample_weight=weights)
        if name == "entropy, lenskit" and weights.max() > 1:
            continue  # it adds a constant to the counts, so that their scale matters
        assert value == pytest.approx(expected, rel=1e-5, abs=1e-6)


@every_metric
def test_targets_are_passed_over_when_keras_calls(name):
    rows = some_rows(6)
    metric = MAKERS[name]()
    metric.update_state(np.zeros(len(rows)), rows)
    assert float(metric.result()) == pytest.approx(value_of(MAKERS[name](), rows))


@every_metric
def test_reset_and_merge(name):
    rows, metric = some_rows(7), MAKERS[name]()
    empty = float(metric.result())
    assert np.isfinite(empty)
    metric.update_state(some_rows(8))
    metric.reset_state()
    assert float(metric.result()) == empty
    expected = value_of(MAKERS[name](), rows)
    assert value_of(metric, rows) == pytest.approx(expected)
    parts = [MAKERS[name](), MAKERS[name]()]
    parts[0].update_state(rows[:8])
    parts[1].update_state(rows[8:])
    parts[0].merge_state([parts[1]])
    assert float(parts[0].result()) == pytest.approx(expected)


@every_metric
def test_nothing_was_recommended(name):
    """As the function says of empty lists."""
    nothing = np.full((3, 5), -1, np.int32)
    assert float(MAKERS[name]().result()) == pytest.approx(NUMPY[name](nothing), abs=1e-9)
    assert value_of(MAKERS[name](), nothing) == pytest.approx(NUMPY[name](nothing), abs=1e-9)


@every_metric
def test_config_round_trip(name):
    metric, rows = MAKERS[name](), some_rows(9)
    config = metric.get_config()
    again = type(metric).from_config(json.loads(json.dumps(config)))
    assert again.get_config() == config
    assert (again.name, again.dtype) == (metric.name, "float64")
    assert value_of(again, rows) == value_of(metric, rows)
    serialized = keras.utils.serialize_keras_object(MAKERS[name]())
    restored = keras.utils.deserialize_keras_object(json.loads(json.dumps(serialized)))
    assert type(restored) is type(metric)
    assert value_of(restored, rows) == float(metric.result())
    renamed = type(metric).from_config({**config, "name": "other", "dtype": "float32"})
    assert (renamed.name, renamed.dtype) == ("other", "float32")
    assert value_of(renamed, rows) == pytest.approx(float(metric.result()), rel=1e-5)


class Page(keras.layers.Layer):
    """The positions of the highest scores."""

    def call(self, scores):
        return tf.math.top_k(scores, 5).indices


@every_metric
def test_in_a_compiled_model_that_is_saved_and_loaded(name, tmp_path):
    inputs = keras.Input([ITEMS])
    model = keras.Model(inputs, Page()(inputs))
    model.compile(metrics=[MAKERS[name]()])
    scores = np.random.default_rng(10).random((18, ITEMS)).astype(np.float32)
    rows = np.argsort(-scores, axis=1)[:, :5]
    expected = pytest.approx(NUMPY[name](rows), rel=1e-5, abs=1e-6)
    metric = MAKERS[name]().name
    assert model.evaluate(scores, rows[:, 0], batch_size=7, verbose=0, return_dict=True)[metric] == expected
    # Evaluated again, it starts again.
    assert model.evaluate(scores, rows[:, 0], batch_size=7, verbose=0, return_dict=True)[metric] == expected
    model.save(tmp_path / "model.keras")
    with keras.utils.custom_object_scope({"Page": Page}):
        loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.evaluate(scores, rows[:, 0], batch_size=7, verbose=0, return_dict=True)[metric] == expected


@every_metric
def test_added_to_a_model_by_add_metric(name):
    class Recommends(keras.Model):
        def __init__(self):
            super().__init__()
            self.page, self.metric = Page(), MAKERS[name]()

        def call(self, scores):
            rows = self.page(scores)
            self.add_metric(self.metric(rows))
            return rows

    model = Recommends()
    model.compile()
    scores = np.random.default_rng(11).random((18, ITEMS)).astype(np.float32)
    rows = np.argsort(-scores, axis=1)[:, :5]
    found = model.evaluate(scores, batch_size=7, verbose=0, return_dict=True)[MAKERS[name]().name]
    assert found == pytest.approx(NUMPY[name](rows), rel=1e-5, abs=1e-6)


@every_metric
def test_the_state_is_small_and_the_tables_are_not_in_it(name):
    """What is saved and merged is at most a number per item, whatever the metric looks up."""
    sizes = [int(np.prod(weight.shape)) for weight in MAKERS[name]().weights]
    assert sizes
    assert max(sizes) <= ITEMS


@every_metric
@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        (np.zeros((2, 3), np.float32), ValueError, "rows: expected integers, got float32"),
        (np.zeros(3, np.int32), ValueError, r"rows: expected the shape \[batch, k\], got \[3\]"),
        (np.array([[0, ITEMS]]), tf.errors.InvalidArgumentError, f"row of the catalogue of {ITEMS} items"),
        (np.array([[0, -2]]), tf.errors.InvalidArgumentError, "rows: expected -1 or a row"),
    ],
)
def test_wrong_rows_are_named(name, rows, error, message):
    with pytest.raises(error, match=message):
        MAKERS[name]().update_state(rows)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: streaming.IntraListDistance(VECTORS, distance="l1"),
            "one of cosine, hamming, got 'l1'",
        ),
        (
            lambda: streaming.IntraListDistance(COUNTS),
            r"vectors: expected numbers \[items, dim\], got int64 \[30\]",
        ),
        (
            lambda: streaming.CategoryEntropy([["x"]]),
            r"category_matrix: expected numbers \[items, dim\], got <U1",
        ),
        (lambda: streaming.Novelty(COUNTS, 60, "merlin"), "received 'merlin'"),
        (lambda: streaming.LongTailShare(COUNTS), "long_tail: expected 0 and 1, got"),
        (
            lambda: streaming.GiniIndex(ITEMS, "lenskit"),
            "definition: expected one of recbole, elliot, got 'lenskit'",
        ),
        (
            lambda: streaming.ShannonEntropy(ITEMS, "elliot"),
            "one of recbole, lenskit, got 'elliot'",
        ),
        (lambda: streaming.ExposureGini(ITEMS, discount="linear"), "received 'linear'"),
        (lambda: streaming.CatalogCoverage(0), "num_items: expected a whole number of at least 1, got 0"),
        (lambda: streaming.Personalization(2.5), "num_items: expected a whole number of at least 1, got 2.5"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_pair_of_lists_has_the_product_of_their_weights():
    # The first two lists are the same, the third has nothing in common with them: 2 * .5 of all pairs
    # (2 * .5 + 2 * 1 + .5 * 1) * 2 overlap.
    rows, weights = np.array([[0, 1], [1, 0], [2, 3]]), np.array([2.0, 0.5, 1.0])
    found = value_of(streaming.Personalization(ITEMS), rows, sample_weight=weights)
    assert found == pytest.approx(1 - 1.0 / 3.5)


def test_two_devices_count_as_one():
    """In a process of its own, since devices are divided only once."""
    script = Path(__file__).with_name("metric_strategy_script.py")
    found = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-2000:]
    one, two = json.loads(found.stdout.splitlines()[-1])
    assert len(one) == len(MAKERS)
    assert two == pytest.approx(one, rel=1e-6)
