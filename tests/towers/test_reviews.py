from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.data.frames import from_frames
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.recommender import Recommender
from tfrec_div.towers.reviews import ReviewTable, encode_reviews
from tfrec_div.towers.text import TextEncoder

ITEMS = 12


class OneHot:
    """A text model that reads the number of the item which a review names."""

    dim = ITEMS

    def fingerprint(self) -> str:
        return "one-hot"

    def encode(self, contents, batch_size=32, progress=True):
        return np.eye(ITEMS, dtype=np.float32)[
            [int(contents[row].split()[1]) for row in range(len(contents))]
        ]


def shuffled(users=20, length=8, review="item {}"):
    """Users who take items at random, some again, and whose reviews name the item."""
    random = np.random.default_rng(5)
    rows = [
        (f"u{user:02}", f"i{item:02}", time, review.format(item))
        for user in range(users)
        for time, item in enumerate(random.integers(0, ITEMS, length))
    ]
    items = pd.DataFrame({"item_id": [f"i{item:02}" for item in range(ITEMS)], "title": ["a toy"] * ITEMS})
    log = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "review"])
    return log, items


def pooled_of_all_rows(data, table):
    """The targets of all training examples, and the pooled reviews that their queries read."""
    targets, pooled, histories = [], [], []
    for batch in data.batches(32, shuffle=False, max_history=10).as_dataset(epochs=1):
        targets.append(batch["item_id"].numpy())
        histories.append(batch["history"].numpy())
        pooled.append(table(batch["user_id"], batch["history"]).numpy())
    return np.concatenate(targets), np.concatenate(pooled), np.concatenate(histories)


def test_the_latest_reviews_of_a_history_are_averaged():
    table = ReviewTable(dim=1, num_items=20)
    items = np.arange(12)
    table.fill([3] * 12, items, 2.0 ** items[:, np.newaxis])
    history = tf.constant([[9, 15, 2, -1], [-1, -1, -1, -1], [15, -1, -1, -1]])
    np.testing.assert_array_equal(table(tf.constant([3, 3, 3]), history), [[(512 + 4) / 2], [0], [0]])
    # Somebody else wrote nothing, and nobody is nobody.
    np.testing.assert_array_equal(table(tf.constant([2, 4, -1]), history), [[0], [0], [0]])
    # No more than eight: 11 to 4.
    every = tf.constant([items[::-1].tolist()])
    np.testing.assert_array_equal(table(tf.constant([3]), every), [[sum(2**n for n in range(4, 12)) / 8]])
    copy = keras.layers.deserialize(keras.layers.serialize(table))
    copy.set_weights(table.get_weights())
    np.testing.assert_array_equal(copy(tf.constant([3]), every), table(tf.constant([3]), every))


def test_of_an_item_that_a_user_came_back_to_the_first_review_counts(tmp_path):
    log = pd.DataFrame(
        {
            "user_id": ["u"] * 4,
            "item_id": ["a", "b", "a", "b"],
            "timestamp": [1, 2, 3, 4],
            "review": ["item 1", "", "item 2", "item 3"],
        }
    )
    data = from_frames(log, pd.DataFrame({"item_id": ["a", "b"], "title": ["A", "B"]}))
    users, items, vectors = encode_reviews(data, OneHot(), tmp_path, progress=False)
    # The review of b was written at the second time, when b had been a target before.
    assert (users.tolist(), items.tolist(), vectors.argmax(axis=1).tolist()) == ([0], [0], [1])


def test_a_review_that_names_its_item_does_not_give_the_target_away(tmp_path):
    data = from_frames(*shuffled())
    table = ReviewTable(ITEMS, ITEMS)
    table.fill(*encode_reviews(data, OneHot(), tmp_path, progress=False))
    targets, pooled, histories = pooled_of_all_rows(data, table)
    new = ~(histories == targets[:, np.newaxis]).any(axis=1)
    assert new.sum() > 80
    # A target that the history does not hold has no part in what the query reads.
    assert pooled[new, targets[new]].max() == 0
    assert pooled.any(axis=1).sum() > 120
    # The same with all reviews of a user: each target would be among the best, which is what a leak is.
    everything = np.stack([table(tf.constant([u]), tf.constant([range(ITEMS)]))[0] for u in range(20)])
    users = np.concatenate(
        [b["user_id"] for b in data.batches(32, shuffle=False, max_history=10).as_dataset(epochs=1)]
    )
    assert everything[users[new], targets[new]].mean() > 0.1


def test_the_query_of_an_example_depends_on_earlier_reviews_only(tmp_path):
    log, items = shuffled(users=6, review="old man {}")
    moment = 4

    def queries(changed):
        """Queries at `moment`, where the reviews at these times have other words."""
        other = log.assign(
            review=[
                "girl city night" if time in changed else text
                for time, text in zip(log["timestamp"], log["review"], strict=True)
            ]
        )
        data = from_frames(other, items)
        keras.utils.set_random_seed(0)
        model = TwoTower(data.schema, text="tiny", user_text="reviews", embedding_dim=4, dropout=0.0)
        model.adapt(data, cache_dir=tmp_path, progress=False)
        model.refresh_index()
        # What is learned of all reviews, their mean, is not the question.
        model.query_tower.encoders["text"].mean.assign(tf.zeros(64))
        model.query_tower.encoders["text"].scale.assign(1.0)
        vectors = []
        for user in range(6):
            past = np.array([int(i[1:]) for i in log["item_id"][user * 8 : user * 8 + moment]])[::-1]
            rows = data.schema.item_rows([f"i{item:02}" for item in past])[np.newaxis]
            query = {"user_id": [user], "history": rows, "history_weight": np.ones([1, moment], np.float32)}
            vectors.append(model.query_vectors({k: tf.constant(v) for k, v in query.items()})[0])
        return np.stack(vectors)

    base = queries(())
    np.testing.assert_array_equal(queries((4, 5, 6, 7)), base)
    assert (np.abs(queries((2,)) - base).max(axis=1) > 1e-5).sum() >= 5


def test_a_model_with_reviews_trains_and_comes_back_from_its_folder(tmp_path):
    data = from_frames(*shuffled(review="old man {}"))
    model = TwoTower(data.schema, text="tiny", user_text="reviews", embedding_dim=4, max_history=10)
    model.compile()
    history = model.fit(data.batches(32, max_history=10), epochs=2, verbose=0)
    assert history.history["loss"][1] < history.history["loss"][0]
    assert model.query_tower.encoders["text"].trainable_weights
    recommender = Recommender(model, data, k=3)
    recommender.save(tmp_path / "recommender")
    again = Recommender.load(tmp_path / "recommender")
    found = again.retriever.reviews.vectors.numpy()
    np.testing.assert_array_equal(found, model.reviews.vectors.numpy())
    assert found.any(axis=1).sum() > 100
    query = model.query_of(data, range(5))
    np.testing.assert_allclose(again.retriever.query_vectors(query), model.query_vectors(query), atol=1e-6)
    model.save_weights(str(tmp_path / "weights"))
    copy = TwoTower.from_config(model.get_config())
    copy.load_weights(str(tmp_path / "weights")).expect_partial()
    copy.refresh_index()
    np.testing.assert_allclose(copy.query_vectors(query), model.query_vectors(query), atol=1e-6)


def test_reviews_that_cannot_be_read_are_refused():
    log, items = shuffled()
    schema = from_frames(log, items).schema
    encoder = TextEncoder.from_pretrained("tiny", trainable_layers=1)
    with pytest.raises(ValueError, match="user_text: 'reviews' needs a frozen text tower"):
        TwoTower(schema, text=encoder, user_text="reviews")
    with pytest.raises(ValueError, match="user_text: 'reviews' needs a text tower"):
        TwoTower(schema, user_text="reviews")
    without = from_frames(log.drop(columns="review"), items).schema
    with pytest.raises(ValueError, match="user_text: 'reviews' needs a column review of the interactions"):
        TwoTower(without, text="tiny", user_text="reviews")
