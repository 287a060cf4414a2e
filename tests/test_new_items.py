"""New items in a recommender that is trained already."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import tfrec_div as td
from tfrec_div._keras import keras, tf
from tfrec_div.data.errors import DataError
from tfrec_div.data.new_items import add_items, only_items
from tfrec_div.models.cascade import Cascade
from tfrec_div.models.content_to_collaborative import ContentToCollaborative
from tfrec_div.models.ease import EASE
from tfrec_div.models.ensemble import Ensemble
from tfrec_div.models.most_popular import MostPopular
from tfrec_div.models.retriever import Retriever
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.recommender import Recommender
from tfrec_div.rerank.mmr import MMR

OLD, NEW = 25, 5


@pytest.fixture(scope="module")
def whole():
    """A shop, in whose interactions the last seven items do not occur."""
    data = td.make_synthetic(num_users=40, num_items=OLD + NEW, images=False, seed=1)
    events = data.interactions
    return data.subset(events.take(events.item < OLD - 2))


@pytest.fixture(scope="module")
def small(whole):
    """The shop without its last five items."""
    return replace(only_items(whole, slice(OLD)), interactions=replace(whole.interactions, num_items=OLD))


@pytest.fixture(scope="module")
def rows(whole):
    """The last five items as a person would give them."""
    columns = {name: values[OLD:] for name, values in whole.catalog.columns.items()}
    return pd.DataFrame({"item_id": whole.catalog.ids[OLD:], **columns})


@pytest.fixture(scope="module")
def pair(whole, small, cache_dir):
    """A model that has had all items from the start, and the same one without the rows of the last five."""
    keras.utils.set_random_seed(0)
    model = TwoTower(whole.schema, text="tiny", embedding_dim=8, max_history=20)
    model.compile()
    model.adapt(whole, cache_dir=cache_dir, progress=False)
    model.fit(whole.batches(64, max_history=20), epochs=2, verbose=0)
    less = TwoTower.from_config({**model.get_config(), "schema": small.schema.to_json()})
    for full, cut in zip(model.weights, less.weights, strict=True):
        values = full.numpy()
        cut.assign(values if values.shape == cut.numpy().shape else values[:-NEW])
    return model, less


@pytest.fixture(scope="module")
def grown(pair, small, rows):
    """A recommender that has had the last five items added."""
    return Recommender(pair[1], small, reranker=MMR(k=4, diversity=0.3), num_candidates=10).with_items(rows)


def test_new_items_score_as_if_they_had_been_there_and_nobody_had_met_them(
    pair, whole, small, rows, cache_dir
):
    model, less = pair
    larger = less.with_items(add_items(small, rows), cache_dir=cache_dir)
    query = model.query_of(whole, range(40))
    expected, found = model.scores(query).numpy(), larger.scores(query).numpy()
    assert found.shape == (40, OLD + NEW)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert np.ptp(found[0, OLD:]) > 1e-3
    # Also as a part of a history.
    query = {**query, "history": tf.tile([[OLD, OLD + 3, 2]], [40, 1]), "history_weight": tf.ones([40, 3])}
    np.testing.assert_allclose(larger.scores(query), model.scores(query), rtol=1e-4, atol=1e-4)
    assert len(less.index.vectors.numpy()) == OLD


@pytest.fixture(scope="module")
def all_met():
    """The shop, of which everything but the last five items has been met; a model of it, and one without these."""
    data = td.make_synthetic(num_users=40, num_items=OLD + NEW, images=False, seed=1)
    events = data.interactions
    data = data.subset(events.take(events.item < OLD))
    assert data.interactions.item_counts()[:OLD].min() > 0
    keras.utils.set_random_seed(0)
    model = TwoTower(data.schema, embedding_dim=8, max_history=20)
    model.compile()
    model.fit(data.batches(64, max_history=20), epochs=2, verbose=0)
    cut = replace(only_items(data, slice(OLD)), interactions=replace(data.interactions, num_items=OLD))
    less = TwoTower.from_config({**model.get_config(), "schema": cut.schema.to_json()})
    for full, part in zip(model.weights, less.weights, strict=True):
        values = full.numpy()
        part.assign(values if values.shape == part.numpy().shape else values[:-NEW])
    return data, model, cut, less


def test_where_all_were_met_new_items_have_the_bias_of_the_rarest_and_the_order_that_is_theirs(all_met, rows):
    data, model, cut, less = all_met
    larger = less.with_items(add_items(cut, rows))
    query = model.query_of(data, range(40))
    before, found = less.scores(query).numpy(), larger.scores(query).numpy()
    np.testing.assert_allclose(found[:, :OLD], before, rtol=1e-5, atol=1e-5)
    counts = data.interactions.item_counts()[:OLD]
    rarest = less.item_bias.numpy()[counts == counts.min()].mean()
    np.testing.assert_allclose(larger.item_bias[OLD:], [rarest] * NEW, rtol=1e-5)
    # One that has had them from the start knows how rare an item is that nobody has met.
    lower = rarest - model.item_bias.numpy()[OLD:]
    assert lower.min() > 0.3
    np.testing.assert_allclose(
        found[:, OLD:], model.scores(query).numpy()[:, OLD:] + lower, rtol=1e-4, atol=1e-4
    )
    assert np.ptp(lower) < 1e-5


def test_training_goes_on_with_an_id_for_new_items_that_were_met(all_met, rows):
    _, _, cut, less = all_met
    larger = less.with_items(add_items(cut, rows))
    data = td.make_synthetic(num_users=40, num_items=OLD + NEW, images=False, seed=1)
    events = data.interactions
    data = replace(add_items(cut, rows), interactions=events.take(events.item != OLD + 1))
    counts, codes = data.interactions.item_counts(), larger.item_table.values["item_id"]
    assert counts[[OLD, OLD + 2, OLD + 3, OLD + 4]].min() > 0
    # On what there was before: nobody has met the new items.
    larger.compile(keras.optimizers.legacy.SGD(0.0))
    larger.fit(cut.batches(64), verbose=0)
    assert codes.numpy().tolist() == [0, *range(1, OLD + 1), 0, 0, 0, 0, 0]
    assert not larger.index.vectors.numpy()[OLD:, :8].any()
    # Without a step, to see what is prepared: biases that were learned stay.
    larger.fit(data.batches(64), verbose=0)
    assert codes.numpy().tolist() == [0, *range(1, OLD + 2), 0, OLD + 3, OLD + 4, OLD + 5]
    share = (counts + 1) / (len(data.interactions) + OLD + NEW)
    bias = np.log(share) - np.log(share).mean()
    met = [OLD, OLD + 2, OLD + 3, OLD + 4]
    np.testing.assert_allclose(larger.item_bias.numpy()[met], bias[met], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(larger.item_bias[:OLD], less.item_bias, rtol=1e-6)
    np.testing.assert_allclose(larger.item_probability, share, rtol=1e-5)
    vectors = larger.index.vectors.numpy()[:, :8]
    assert vectors[met].any(axis=1).all()
    assert not vectors[OLD + 1].any()
    # And with steps the ids learn.
    ids = larger.item_tower.encoders["item_id"].weights[0]
    start = ids.numpy()
    larger.compile()
    larger.fit(data.batches(64), verbose=0)
    moved = np.abs(ids.numpy() - start).max(axis=1)[-NEW:]
    assert (moved[[0, 2, 3, 4]] > 1e-4).all()


@pytest.mark.parametrize("towers_first", [True, False])
def test_both_stages_of_a_cascade_grow_and_share_what_they_shared(all_met, rows, towers_first):
    _, _, cut, less = all_met
    content = ContentToCollaborative(less, factors=4)
    content.fit(cut)
    stages = (less, content) if towers_first else (content, less)
    cascade = Cascade(*stages, num_candidates=12, name="stages")
    recommender = Recommender(cascade, cut).with_items(rows)
    grown, larger = recommender.retriever, add_items(cut, rows)
    assert (grown.name, grown.num_candidates, grown.schema) == ("stages", 12, larger.schema)
    towers, reader = (grown.first, grown.second) if towers_first else (grown.second, grown.first)
    assert reader.content is towers
    expected = Cascade(*(stage.with_items(larger) for stage in stages), num_candidates=12)
    query = cascade.query_of(cut, range(40))
    np.testing.assert_allclose(grown.scores(query), expected.scores(query), rtol=1e-4, atol=1e-4)
    new = rows["item_id"].tolist()
    assert set(recommender.recommend(["u01"], candidates=new, k=NEW).item_ids[0]) == set(new)
    assert len(cascade.first.schema.item_ids) == OLD


@pytest.mark.parametrize("diversity", [0.3, 0.9])
def test_pages_of_old_items_are_those_of_before(pair, small, grown, whole, diversity):
    before = Recommender(pair[1], small, reranker=MMR(k=4, diversity=0.3), num_candidates=10)
    users, old = list(whole.schema.user_ids), list(small.schema.item_ids)
    expected = before.recommend(users, candidates=old, diversity=diversity)
    found = grown.recommend(users, candidates=old, diversity=diversity)
    np.testing.assert_array_equal(found.item_ids, expected.item_ids)
    np.testing.assert_array_equal(grown.diversity_vectors[:OLD], before.diversity_vectors)
    np.testing.assert_array_equal(grown.item_counts, whole.interactions.item_counts())


def test_new_items_are_centred_on_the_mean_of_training(pair, small, grown, rows, tmp_path):
    text = pair[0].content("text")
    there = text.any(axis=1)
    text = np.where(there[:, None], text - text[:OLD][there[:OLD]].mean(0), 0)
    kinds = grown.catalog.category_matrix()
    parts = [part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-9) for part in (text, kinds)]
    expected = np.concatenate(parts, axis=1)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(grown.diversity_vectors, expected, atol=1e-5)
    # Also when they come in two steps, with a file between them, and in a feature that is made later.
    first = Recommender(pair[1], small).with_items(rows[:2]).save(tmp_path / "first")
    twice = td.load(first).with_items(rows[2:])
    np.testing.assert_allclose(twice.diversity_vectors, expected, atol=1e-5)
    tables = [twice.features, twice.with_reranker(None).features, Recommender(pair[1], small).features]
    for table in tables:
        table.require(["text"], "test", twice.item_counts)
    for table in tables[:2]:
        np.testing.assert_allclose(table["text"][:OLD], tables[2]["text"], atol=1e-6)
        np.testing.assert_allclose(table["text"], parts[0], atol=1e-5)


def test_without_content_old_items_stay_where_the_retriever_put_them():
    draw = np.random.default_rng(0)
    log = pd.DataFrame({"user_id": draw.integers(0, 9, 60), "item_id": draw.integers(0, 8, 60)}).astype(str)
    items = pd.DataFrame({"item_id": [str(row) for row in range(8)], "price": np.arange(8.0)})
    data = td.from_frames(log.drop_duplicates(), items)
    model = TwoTower(data.schema, embedding_dim=4)
    model.compile()
    model.fit(data.batches(16), epochs=2, verbose=0)
    with pytest.warns(UserWarning, match="no text, picture or category to measure diversity on"):
        before = Recommender(model, data)
    with pytest.warns(UserWarning, match="no text, picture or category to measure diversity on"):
        after = before.with_items(pd.DataFrame({"item_id": ["new", "newer"], "price": [2.5, 30.0]}))
    np.testing.assert_array_equal(after.diversity_vectors[:8], before.diversity_vectors)
    vectors = after.retriever.item_embeddings()
    centred = vectors - vectors[:8].mean(0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(after.diversity_vectors, centred, atol=1e-5)
    assert vectors[8:].any()


def test_new_items_are_recommended_at_once_and_may_be_in_histories(grown, rows):
    new = rows["item_id"].tolist()
    pages = grown.recommend(["u01", "nobody"], candidates=new)
    assert set(pages.item_ids[0]) <= set(new)
    session = grown.recommend(["nobody"], histories={"nobody": [new[0]]}, k=OLD + NEW, diversity=0.0)
    plain = grown.recommend(["nobody"], k=OLD + NEW, diversity=0.0)
    assert new[0] not in session.item_ids[0]
    assert session.item_ids[0].tolist() != [item for item in plain.item_ids[0] if item != new[0]] + [""]


def test_the_recommender_that_it_was_made_of_stays_as_it_is(pair, small, rows):
    before = Recommender(pair[1], small)
    pages = before.recommend(["u01"]).item_ids
    before.with_items(rows)
    np.testing.assert_array_equal(before.recommend(["u01"]).item_ids, pages)
    assert len(before.catalog) == OLD


def test_saved_loaded_and_grown_once_more(pair, small, rows, grown, tmp_path):
    users = list(small.schema.user_ids)
    again = td.load(grown.save(tmp_path / "grown"))
    np.testing.assert_array_equal(again.recommend(users).item_ids, grown.recommend(users).item_ids)
    # In two steps, with a file between them, it is the same.
    first = Recommender(pair[1], small, reranker=MMR(k=4, diversity=0.3), num_candidates=10).with_items(
        rows[:2]
    )
    second = td.load(first.save(tmp_path / "first")).with_items(rows[2:])
    assert second.schema == grown.schema
    np.testing.assert_array_equal(second.recommend(users).item_ids, grown.recommend(users).item_ids)


def test_an_export_serves_the_new_items(grown, rows, tmp_path):
    served = tf.saved_model.load(str(td.export(grown, tmp_path / "shop", verify=False))).signatures
    new = rows["item_id"].tolist()
    answer = served["similar_items"](item_id=tf.constant(new[:1]), k=tf.constant([OLD + NEW]))
    found = [item.decode() for item in answer["item_ids"].numpy()[0]]
    assert set(new[1:]) < set(found)
    # What a request describes is compared with the content as it is centred on the items of training.
    content = grown.retriever.content("text")
    asked = {"text": tf.constant(grown.catalog.texts()[3:4]), "image": tf.constant([""])}
    cold = served["recommend_cold"](**asked, k=tf.constant([4]), diversity=tf.constant([0.0]))
    centred = np.where(content.any(axis=1, keepdims=True), content - content[:OLD].mean(0), 0)
    cosine = (
        centred @ centred[3] / np.maximum(np.linalg.norm(centred, axis=1) * np.linalg.norm(centred[3]), 1e-9)
    )
    assert content[:OLD].any(axis=1).all()
    np.testing.assert_allclose(cold["scores"][0], -np.sort(-cosine)[:4], atol=1e-4)
    page = served["serving_default"](user_id=tf.constant(["u01"]))["item_ids"].numpy()[0]
    assert [item.decode() for item in page] == grown.recommend(["u01"]).item_ids[0].tolist()


def test_tuned_levels_and_lengths_are_kept(pair, small, rows):
    tuned = Recommender(pair[1], small, k=3).with_reranker(MMR(k=6), tuned=0.7).with_items(rows)
    assert (tuned.k, tuned.k_is_own, tuned.tuned, tuned.diversity) == (3, True, 0.7, 0.7)


def test_features_that_were_given_are_given_for_the_new_items_too(pair, small, rows):
    price, vectors = np.arange(OLD, dtype=np.float32)[:, None], np.eye(OLD, 3, dtype=np.float32)
    before = Recommender(pair[1], small, diversity_vectors=vectors, features={"cost": price})
    with pytest.raises(
        ValueError, match=r"features\['cost'\]: this recommender was given this feature.*\[5, 1\]"
    ):
        before.with_items(rows, diversity_vectors=np.ones((NEW, 3)))
    with pytest.raises(
        ValueError, match=r"diversity_vectors: expected float32 \[5, 3\].*got float64 \[5, 4\]"
    ):
        before.with_items(rows, diversity_vectors=np.ones((NEW, 4)), features={"cost": np.ones((NEW, 1))})
    with pytest.raises(
        ValueError, match=r"features\['text'\]: expected rows of what this recommender was given"
    ):
        before.with_items(rows, features={"text": np.ones((NEW, 1))})
    after = before.with_items(
        rows, diversity_vectors=np.full((NEW, 3), 2.0), features={"cost": np.full((NEW, 1), 7.0)}
    )
    assert after.features["cost"].numpy()[OLD - 1 :, 0].tolist() == [OLD - 1.0] + [7.0] * NEW
    assert after.diversity_vectors[OLD:].tolist() == [[2.0] * 3] * NEW


def with_id(items, value):
    return items.assign(item_id=[value, *items["item_id"][1:]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda items: with_id(items, "i01"),
            "row 2, column item_id: expected an id that no item has yet, found",
        ),
        (
            lambda items: items.assign(item_id="x"),
            "row 3, column item_id: expected an id that no earlier row has",
        ),
        (lambda items: with_id(items, ""), "row 2, column item_id: expected an id, found nothing"),
        (lambda items: items.drop(columns="title"), "items, column title: expected this column, found"),
        (lambda items: items.assign(price="cheap"), 'row 2, column price: expected a number, found "cheap"'),
        (lambda items: items[:0], "items: expected at least one row"),
    ],
)
def test_what_is_wrong_with_new_items_is_said_by_row_and_column(small, rows, change, message):
    assert "i01" in small.schema.item_ids
    with pytest.raises(DataError, match=message):
        add_items(small, change(rows))


def test_values_and_columns_that_nothing_was_learned_of_are_named(small, rows):
    with pytest.warns(
        UserWarning, match="column categories: values that the model was made without.*'zombies'"
    ):
        larger = add_items(small, rows.assign(categories="zombies"))
    assert not larger.catalog.category_matrix()[OLD:].any()
    assert larger.schema.vocabularies == small.schema.vocabularies
    with pytest.warns(UserWarning, match="columns that the items do not have are passed over: 'mood'"):
        add_items(small, rows.assign(mood="good"))


def test_other_data_than_the_models_with_more_items_are_refused(pair, whole, small, rows):
    larger = add_items(small, rows)
    turned = replace(larger.schema, item_ids=larger.schema.item_ids[::-1])
    with pytest.raises(ValueError, match="expected the model's items first"):
        pair[1].with_items(replace(larger, schema=turned))
    other = replace(larger.schema, vocabularies={})
    with pytest.raises(ValueError, match="expected the users, features, vocabularies and statistics"):
        pair[1].with_items(replace(larger, schema=other))


def test_a_retriever_that_cannot_take_new_items_says_so(small, rows):
    class Plain(Retriever):
        pass

    with pytest.raises(ValueError, match="Plain takes no new items without training"):
        Plain().with_items(add_items(small, rows))


def test_pictures_of_new_items_are_read_from_their_own_folder(tmp_path):
    data = td.make_synthetic(num_users=10, num_items=8, image_size=16)
    name = data.schema.features_of("item", "image")[0].name
    has = int(np.flatnonzero(data.catalog.has_image)[0])
    picture = data.catalog.picture(name, has)
    (tmp_path / "new.jpg").write_bytes(picture)
    columns = {name: values[[has, has]] for name, values in data.catalog.columns.items()}
    items = pd.DataFrame({"item_id": ["n1", "n2"], **columns, name: ["new.jpg", picture]})
    larger = add_items(data, items, image_root=tmp_path)
    assert [larger.catalog.image_bytes(row) for row in (8, 9)] == [picture, picture]
    with pytest.raises(DataError, match="expected image_root, because the column holds paths"):
        add_items(data, items)


def test_models_of_interactions_alone_know_nothing_of_new_items(small, rows):
    larger = add_items(small, rows)
    query = EASE(small.schema).query_of(small, range(40))
    for model in (
        EASE(small.schema, l2=5.0),
        EASE(small.schema, l2=5.0, neighbors=4),
        MostPopular(small.schema),
    ):
        model.fit(small, verbose=0)
        grown = model.with_items(larger)
        scores = grown.scores(query).numpy()
        np.testing.assert_allclose(scores[:, :OLD], model.scores(query), atol=1e-6)
        assert not scores[:, OLD:].any()
        assert scores[:, :OLD].any()


@pytest.mark.parametrize("order", [("content", "towers", "popular"), ("popular", "towers", "content")])
def test_members_of_an_ensemble_share_a_model_also_when_it_grows_or_is_loaded(
    pair, small, rows, order, tmp_path
):
    content = ContentToCollaborative(pair[1], factors=8)
    popular = MostPopular(small.schema)
    for model in (content, popular):
        model.fit(small)
    members = {"content": content, "towers": pair[1], "popular": popular}
    both = Ensemble({name: members[name] for name in order}, weights=[[1, 2, 3]] * 3)
    recommender = td.load(Recommender(both, small).with_items(rows).save(tmp_path / "both"))
    grown = recommender.retriever
    assert tuple(grown.members) == order
    assert grown.members["content"].content is grown.members["towers"]
    larger = add_items(small, rows)
    expected = Ensemble({name: members[name].with_items(larger) for name in order}, weights=[[1, 2, 3]] * 3)
    query = both.query_of(small, range(40))
    np.testing.assert_allclose(grown.scores(query), expected.scores(query), rtol=1e-4, atol=1e-4)
    page = recommender.recommend(["u01"], candidates=rows["item_id"])
    assert page.rows[0].tolist()[NEW:] == [-1] * (10 - NEW)
    assert (page.rows[0][:NEW] >= OLD).all()
