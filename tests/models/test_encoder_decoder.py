"""Claims about the encoder-decoder: what it reads, what p(y | x) is, and that no target is in its own input."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from tests.models.rings import RING, SMALL, made, walks
from tfrec_div._keras import keras, tf
from tfrec_div.data.errors import DataError
from tfrec_div.data.frames import from_frames
from tfrec_div.models import behavior_examples
from tfrec_div.models.behavior_examples import draw_masked
from tfrec_div.models.ease import EASE
from tfrec_div.models.encoder_decoder import EncoderDecoder
from tfrec_div.models.ensemble import Ensemble
from tfrec_div.models.user_histories import UserHistories
from tfrec_div.tasks.binary import BinaryOverItems
from tfrec_div.tasks.retrieval import FullSoftmax, InBatchSoftmax
from tfrec_div.towers.text import TextEncoder


@pytest.fixture(scope="module")
def ring():
    return walks()


def fit_a_little(model, batches, epochs: int = 1) -> list[float]:
    """Trains step by step, which spares what takes longer than a few small steps: to trace them."""
    model.compile(run_eagerly=True)
    return model.fit(batches, epochs=epochs, verbose=0).history["loss"]


@pytest.fixture(scope="module")
def model(ring):
    model = made(ring)
    fit_a_little(model, ring.batches(1000))
    return model


# ---------------------------------------------------------------------- what it reads


def test_bert_is_asked_for_masked_tokens_unless_told_otherwise(ring):
    assert EncoderDecoder(ring.schema, embedding_dim=8).mode == "masked"
    assert EncoderDecoder(ring.schema, encoder="mlp", embedding_dim=8).mode == "next"


def test_positions_tell_what_was_last_where_there_are_times(ring):
    asked = {"history": tf.constant([[7, 6, 5], [5, 6, 7]]), "history_weight": tf.ones([2, 3])}
    assert np.abs(np.diff(made(ring).scores(asked), axis=0)).max() > 1e-4
    frame = pd.DataFrame({"user_id": list("aab"), "item_id": list("xyz")})
    for mode in ("next", "masked"):
        model = made(from_frames(frame), mode=mode)
        asked = {"history": tf.constant([[0, 1], [1, 0]]), "history_weight": tf.ones([2, 2])}
        np.testing.assert_allclose(*model.scores(asked).numpy(), atol=1e-5)
        alone = {"history": tf.constant([[0], [1]]), "history_weight": tf.ones([2, 1])}
        assert np.abs(np.diff(model.scores(alone), axis=0)).max() > 1e-4


@pytest.mark.parametrize("encoder", ["bert", "mlp"])
def test_holes_in_a_history_change_nothing(encoder, ring):
    model = made(ring, encoder=encoder)
    whole = {"history": tf.constant([[3, 9, -1, -1]]), "history_weight": tf.constant([[1.0, 0.2, 0.0, 0.0]])}
    for rows, strength in (([3, -1, 9, -1], [1, 1, 0.2, 1]), ([3, 4, 9, 4], [1, 0, 0.2, 0])):
        holes = {"history": tf.constant([rows]), "history_weight": tf.constant([strength], tf.float32)}
        if encoder == "bert":
            np.testing.assert_allclose(model.scores(holes), model.scores(whole), atol=1e-5)
        else:
            # Pools forget by steps, holes included; what stands in a hole is not read all the same.
            other = {**holes, "history": tf.where(tf.constant([rows]) == 4, 5, tf.constant([rows]))}
            np.testing.assert_array_equal(model.scores(holes), model.scores(other))


# ---------------------------------------------------------------------- p(y | x)


def test_probabilities_add_up_to_one_over_what_is_allowed(model, ring):
    query = model.query_of(ring, [0, 1])
    p = model.probabilities(query).numpy()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    scores = model.scores(query).numpy().astype(np.float64)
    np.testing.assert_allclose(p, np.exp(scores) / np.exp(scores).sum(1, keepdims=True), rtol=1e-3)
    rest = model.probabilities(query, exclude=query["history"]).numpy()
    np.testing.assert_allclose(rest.sum(axis=1), 1, rtol=1e-5)
    assert (np.take_along_axis(rest, query["history"].numpy(), axis=1) == 0).all()
    binary = made(ring, loss="binary")
    p = binary.probabilities(query, exclude=tf.constant([[3], [4]])).numpy()
    assert p[0, 3] == p[1, 4] == 0
    # At first each item is as likely as it is in the log: 1 of 20, and 1 of 2021 for the one never met.
    assert p[0, 4] == pytest.approx(0.05, abs=0.02)
    assert p[0, 20] == pytest.approx(1 / 2021, rel=0.01)


def test_the_index_holds_the_tokens_and_the_bias(model):
    vectors = model.index.vectors.numpy()
    np.testing.assert_array_equal(vectors[:RING, :-1], model.encoder.tokens.numpy()[:RING])
    np.testing.assert_array_equal(vectors[:, -1], model.item_bias)
    # The item that training has not met has its bias alone, which is the lowest.
    assert (vectors[RING, :-1] == 0).all()
    assert vectors[:, -1].argmin() == RING


# ---------------------------------------------------------------------- losses by hand


@pytest.fixture(scope="module")
def four():
    """Three items that training has met and one that it has not."""
    log = pd.DataFrame({"user_id": list("aab"), "item_id": list("xyz"), "timestamp": [1, 2, 3]})
    return from_frames(log, items=pd.DataFrame({"item_id": list("xyzn")}))


def by_bias(data, odds, **options):
    """A model whose scores are the logs of `odds`, whatever it reads."""
    model = made(data, dropout=0.0, **options)
    for weight in model.decoder.weights:
        weight.assign(tf.zeros_like(weight))
    model.item_bias.assign(np.log(odds))
    model.refresh_index()
    return model


ASKED = {
    "history": tf.constant([[0], [0]]),
    "history_weight": tf.ones([2, 1]),
    "item_id": tf.constant([[1, 2], [1, -1]]),
    "weight": tf.constant([[1.0, 0.5], [0.5, 1.0]]),
}


def test_the_softmax_is_over_what_is_new_and_users_with_many_targets_count_less_for_each(four):
    model = by_bias(four, [1.0, 2.0, 5.0, 8.0])
    assert isinstance(model.task, FullSoftmax)
    # In training what was never met is no rival: 2 and 5 of 7. Weights 1/√2, .5/√2 and .5.
    weights = np.array([1, 0.5, 0.5 * math.sqrt(2)])
    expected = np.average([math.log(7 / 2), math.log(7 / 5), math.log(7 / 2)], weights=weights)
    assert float(model.compute_loss(ASKED, training=True)) == pytest.approx(expected, rel=1e-5)
    # Else it is one, and weights are what they are: a mean over examples.
    single = {**ASKED, "item_id": tf.constant([1, 3]), "weight": tf.constant([1.0, 0.5])}
    expected = (math.log(15 / 2) + 0.5 * math.log(15 / 8)) / 2
    assert float(model.compute_loss(single)) == pytest.approx(expected, rel=1e-5)


def test_the_binary_loss_is_a_yes_or_no_for_each_new_item(four):
    model = by_bias(four, [1.0, 1.0, 3.0, 8.0], loss="binary")
    assert isinstance(model.task, BinaryOverItems)
    asked = {**ASKED, "item_id": tf.constant([1, 2]), "weight": tf.ones([2])}
    # Odds of 1 and 3 are probabilities of 1/2 and 3/4.
    expected = -(math.log(1 / 2 * 1 / 4) + math.log(3 / 4 * 1 / 2)) / 2
    assert float(model.compute_loss(asked, training=True)) == pytest.approx(expected, rel=1e-5)
    # With the one that training has not met: 8 to 1 is a no of 1/9.
    assert float(model.compute_loss(asked)) == pytest.approx(expected + math.log(9), rel=1e-5)


def test_sampled_items_are_corrected_for_how_often_they_are_drawn(four, monkeypatch):
    model = by_bias(four, [1.0, 2.0, 5.0, 8.0], sampling="sampled", negatives=3)
    assert isinstance(model.task, InBatchSoftmax)
    monkeypatch.setattr(model.sampling.negatives[0], "rows", lambda: tf.constant([2, 3, 2]))
    one = {name: value[:1] for name, value in ASKED.items()}
    # Shares (1 + 1) / (3 + 4) of the log for x, y and z; of five candidates two are of the batch, three random.
    drawn = (2 * 2 / 7 + 3 / 4) / 5
    y, z = 2 / drawn, 5 / drawn
    # The rivals of y: z is in the batch once and drawn twice; those of z: y. What was never met is none.
    losses = [math.log((y + 3 * z) / y), math.log((y + z) / z)]
    expected = np.average(losses, weights=[1, 0.5])
    assert float(model.compute_loss(one, training=True)) == pytest.approx(expected, rel=1e-4)


# ---------------------------------------------------------------------- no target in its own input


def masked_model(ring, **options):
    return made(ring, mode="masked", dropout=0.0, **options)


SEQUENCE = {
    "history": tf.constant([[2, 3, 4, 5], [9, 8, -1, -1]]),
    "history_weight": tf.constant([[1.0, 0.2, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]]),
    "item_id": tf.constant([[0, 1], [7, -1]]),
    "weight": tf.constant([[1.0, 1.0], [1.0, 0.0]]),
}
# What comes after the cut is a part of the sequence, the latest first; padding has moved to the end.
LATEST_FIRST = [[1, 0, 2, 3, 4, 5], [7, 9, 8, -1, -1, -1]]


def masking(monkeypatch, where):
    def drawn(there, share, seed):
        assert there.numpy().tolist() == (np.array(LATEST_FIRST) >= 0).tolist()
        return tf.constant(where)

    monkeypatch.setattr(behavior_examples, "draw_masked", drawn)


def test_masked_tokens_are_asked_for_and_not_read(ring, monkeypatch):
    model = masked_model(ring)
    where = np.zeros([2, 6], bool)
    where[[0, 0, 1], [1, 3, 2]] = True
    masking(monkeypatch, where)
    asked = model.examples(SEQUENCE, training=True)
    assert asked.targets.numpy().tolist() == [0, 3, 8]
    assert asked.known.numpy().tolist() == [[1, -1, 2, -1, 4, 5]] * 2 + [[7, 9, -1, -1, -1, -1]]
    # Strengths 1 and .2 over the root of two, and 1.
    np.testing.assert_allclose(asked.weights, [1 / math.sqrt(2), 0.2 / math.sqrt(2), 1.0], rtol=1e-6)
    # Other items and strengths in these places: the same is decoded, to the last digit.
    other = {
        **SEQUENCE,
        "item_id": tf.constant([[6, 1], [7, -1]]),
        "history": tf.constant([[2, 11, 4, 5], [9, 12, -1, -1]]),
        "history_weight": tf.constant([[1.0, 0.9, 1.0, 1.0], [1.0, 0.3, 0.0, 0.0]]),
    }
    found = model.examples(other, training=True)
    assert found.targets.numpy().tolist() == [6, 11, 12]
    np.testing.assert_array_equal(found.vectors, asked.vectors)
    # A token that is not masked is read, on either side.
    for changed in (
        {"item_id": tf.constant([[0, 6], [6, -1]])},
        {"history": tf.constant([[2, 3, 4, 6], [6, 8, -1, -1]])},
    ):
        found = model.examples({**SEQUENCE, **changed}, training=True)
        assert (np.abs(found.vectors - asked.vectors).max(axis=1) > 1e-6).all()


def test_without_training_what_comes_after_is_asked_for_and_the_history_is_read(ring):
    asked = masked_model(ring).examples(SEQUENCE)
    assert asked.targets.numpy().tolist() == [0, 1, 7]
    assert asked.known.numpy().tolist() == [[2, 3, 4, 5]] * 2 + [[9, 8, -1, -1]]
    nexts = made(ring, dropout=0.0).examples(SEQUENCE, training=True)
    assert nexts.targets.numpy().tolist() == [0, 1, 7]
    other = made(ring, dropout=0.0).examples({**SEQUENCE, "item_id": tf.constant([[6, 6], [6, -1]])}, True)
    np.testing.assert_array_equal(other.vectors, nexts.vectors)


def test_some_tokens_are_masked_and_at_least_one():
    lengths = np.arange(4000) % 11
    there = tf.constant(np.arange(10) < lengths[:, None])
    masked = draw_masked(there, 0.3, tf.constant([1, 2])).numpy()
    assert not (masked & ~there.numpy()).any()
    assert (masked.any(axis=1) == (lengths > 0)).all()
    full = masked[lengths == 10]
    # A fifth of them masks the latest alone; of the others .3, and one where it would be none (.7 ** 10).
    alone = (full[:, 0] & (full.sum(axis=1) == 1)).mean()
    assert alone == pytest.approx(0.2 + 0.8 * 0.3 * 0.7**9, abs=0.06)
    assert full[:, 1:].mean() == pytest.approx(0.8 * (0.3 + 0.1 * 0.7**10), abs=0.025)


NOISE_ITEMS, NOISE_STEPS = 30, 6


@pytest.fixture(scope="module")
def noise():
    """Users who each met six items of thirty in turn, all of them by chance."""
    random = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item:02d}", time)
        for user in range(2000)
        for time, item in enumerate(random.permutation(NOISE_ITEMS)[:NOISE_STEPS])
    ]
    return from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["next", "masked"])
def test_training_on_noise_stays_at_the_entropy_unless_targets_leak(mode, noise, monkeypatch):
    model = made(noise, mode=mode, batch_users=128)
    model.compile(keras.optimizers.legacy.Adam(0.01))
    # Of at most five items the model knows that they are not it.
    entropy = math.log(NOISE_ITEMS - 5)
    # A step meets users that it has hardly met before: 60 steps of 128 out of 2000 are a few rounds.
    honest = model.fit(noise.batches(200), verbose=0).history["loss"][0]
    assert honest > entropy - 0.02
    if mode == "next":
        queries = EncoderDecoder.query_vectors

        def leaky(self, query, training=None):
            rows = tf.concat([query["item_id"][:, :1], query["history"]], axis=1)
            strength = tf.concat([tf.ones_like(query["weight"][:, :1]), query["history_weight"]], axis=1)
            return queries(self, {"history": rows, "history_weight": strength}, training)

        monkeypatch.setattr(EncoderDecoder, "query_vectors", leaky)
    else:
        states = EncoderDecoder.states

        def unmasked(self, steps, masked, training):
            return states(self, steps, tf.zeros_like(masked), training)

        monkeypatch.setattr(EncoderDecoder, "states", unmasked)
    model.train_function = None
    leaked = model.fit(noise.batches(200), epochs=3, verbose=0).history["loss"][-1]
    assert leaked < entropy - 0.5


# ---------------------------------------------------------------------- texts, files, arguments


def titled():
    """Walks on the ring whose items have titles; the item never met has that of the sixth one."""
    names = [
        f"{colour} {thing}"
        for colour in ("red", "old", "big", "hot")
        for thing in ("sea", "war", "day", "toy", "girl")
    ]
    data = walks(60)
    items = pd.DataFrame({"item_id": data.schema.item_ids, "title": [*names, names[5]]})
    log = data.interactions
    ids = np.array(data.schema.item_ids, object)
    frame = pd.DataFrame(
        {"user_id": log.user.astype(str), "item_id": ids[log.item], "timestamp": log.timestamp}
    )
    return from_frames(frame, items=items)


def test_with_texts_an_item_that_was_never_met_is_known_by_its_own(cache_dir, tmp_path):
    data = titled()
    model = EncoderDecoder(data.schema, text="tiny", **SMALL)
    model.adapt(data, cache_dir=cache_dir, progress=False)
    fit_a_little(model, data.batches(100))
    read = model.texts(tf.range(RING + 1)).numpy()
    assert np.abs(read).max() > 0.01
    np.testing.assert_allclose(read[RING], read[5], atol=1e-6)
    vectors = model.index.vectors.numpy()
    np.testing.assert_allclose(vectors[RING, :-1], read[RING], atol=1e-6)
    np.testing.assert_allclose(vectors[5, :-1], read[5] + model.encoder.tokens[5], atol=1e-6)
    # In a history it counts by its text.
    asked = {"history": tf.constant([[RING], [-1]]), "history_weight": tf.ones([2, 1])}
    assert np.abs(np.diff(model.scores(asked), axis=0)).max() > 1e-3
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.scores(asked), model.scores(asked), atol=1e-6)
    assert again.get_config() == model.get_config()


def test_files_hold_the_model_and_training_goes_on(model, ring, tmp_path):
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    asked = model.query_of(ring, [0, 1, -1])
    np.testing.assert_allclose(again.scores(asked), model.scores(asked), atol=1e-5)
    other = EncoderDecoder.from_config(model.get_config())
    other.set_weights(model.get_weights())
    np.testing.assert_array_equal(other.item_vectors(), model.item_vectors())
    copy = keras.models.load_model(tmp_path / "model.keras")
    losses = [fit_a_little(one, ring.batches(1000))[0] for one in (again, copy)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize(
    "options", [{}, {"encoder": "mlp"}, {"mode": "masked", "sampling": "sampled"}], ids=str
)
def test_mixed_precision_trains_with_scores_in_float32(options, ring):
    model = EncoderDecoder(ring.schema, precision="mixed_float16", **{**SMALL, **options})
    losses = fit_a_little(model, ring.batches(1000), epochs=2)
    assert np.isfinite(losses).all()
    assert model.scores(model.query_of(ring, [0])).dtype == tf.float32
    assert all(weight.dtype == tf.float32 for weight in model.trainable_variables)


@pytest.mark.parametrize("mode", ["next", "masked"])
def test_batches_of_single_targets_can_be_trained_on_as_well(mode, ring):
    model = made(ring, mode=mode)
    rows = ring.batches(100).as_dataset(epochs=1).take(2)
    assert np.isfinite(fit_a_little(model, rows)).all()


def test_users_with_one_interaction_each_are_refused():
    single = from_frames(pd.DataFrame({"user_id": list("ab"), "item_id": list("xy")}))
    with pytest.raises(DataError, match="interactions: expected a user with 2 interactions or more"):
        EncoderDecoder(single.schema, **SMALL).adapt(single)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "gru"}, r"encoder: expected one of \['bert', 'mlp'\], got 'gru'"),
        ({"mode": "all"}, r"mode: expected one of \['next', 'masked'\], got 'all'"),
        ({"loss": "hinge"}, r"loss: expected one of \['softmax', 'binary'\], got 'hinge'"),
        ({"sampling": "some"}, r"sampling: expected one of \['auto', 'full', 'sampled'\], got 'some'"),
        ({"encoder": "mlp", "mode": "masked"}, "mode: expected 'next' with the encoder 'mlp'"),
        ({"masked_share": 0}, r"masked_share: expected a share in \(0, 1\), got 0"),
        ({"dropout": 1}, r"dropout: expected a share in \[0, 1\), got 1"),
        ({"negatives": 0}, "negatives: expected at least 1, got 0"),
        ({"hidden_units": (0,)}, "hidden_units: expected at least 1 each, got 0"),
        ({"max_history": 0}, "max_history: expected at least 1, got 0"),
        ({"num_heads": 3}, "num_heads: expected a divisor of the vectors' length 16, got 3"),
        ({"text": "tiny"}, "text: expected a schema whose items have a text, got one without"),
    ],
)
def test_wrong_arguments_are_refused(options, message, ring):
    with pytest.raises(ValueError, match=message):
        EncoderDecoder(ring.schema, **{**SMALL, **options})


def test_a_text_tower_that_is_trained_is_refused():
    with pytest.raises(ValueError, match="text: expected a frozen encoder, got one with trainable layers"):
        EncoderDecoder(titled().schema, text=TextEncoder.from_pretrained("tiny", trainable_layers=1))


def test_no_history_of_training_holds_what_is_asked_for(ring):
    # Each item comes once for a user, so that it stands in a history only if it leaked.
    batches = UserHistories.of(ring.batches(500), 64, ahead=True)
    for batch in batches.as_dataset(epochs=2):
        hit = batch["history"][:, :, tf.newaxis] == batch["item_id"][:, tf.newaxis, :]
        assert not tf.reduce_any(hit & (batch["history"] >= 0)[:, :, tf.newaxis])


def test_it_is_a_member_of_an_ensemble_through_files(ring, model, tmp_path):
    ease = EASE(ring.schema)
    ease.compile()
    ease.fit(ring.batches(500), verbose=0)
    both = Ensemble({"bert": model, "ease": ease}, weights=[[1, 0], [1, 1], [1, 1]])
    both.save(tmp_path / "both.keras")
    again = keras.models.load_model(tmp_path / "both.keras")
    query = both.query_of(ring, [0, 1, -1])
    rows, scores = both.retrieve(query, k=5, exclude=query["history"])
    found = again.retrieve(query, k=5, exclude=query["history"])
    np.testing.assert_array_equal(found[0], rows)
    np.testing.assert_allclose(found[1], scores, atol=1e-5)
    # The two are heard: where only one counts its own order comes out.
    both.set_group_weights([[1, 0]] * 3)
    np.testing.assert_array_equal(both.retrieve(query, k=5)[0], model.retrieve(query, k=5)[0])
    both.set_group_weights([[0, 1]] * 3)
    np.testing.assert_array_equal(both.retrieve(query, k=5)[0][:2], ease.retrieve(query, k=5)[0][:2])
