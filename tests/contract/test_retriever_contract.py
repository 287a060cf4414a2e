"""What every retriever satisfies."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from tfrec_div._keras import keras, tf
from tfrec_div.data.synthetic import make_synthetic
from tfrec_div.models.cascade import Cascade
from tfrec_div.models.content_to_collaborative import ContentToCollaborative
from tfrec_div.models.deep_mf import DeepMF
from tfrec_div.models.ease import EASE
from tfrec_div.models.encoder_decoder import EncoderDecoder
from tfrec_div.models.ensemble import Ensemble
from tfrec_div.models.interest_fusion import InterestFusion
from tfrec_div.models.most_popular import MostPopular
from tfrec_div.models.mult_vae import MultVAE
from tfrec_div.models.multi_interest import MultiInterest
from tfrec_div.models.retriever import Retriever
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.recommender import Recommender


def _ensemble(schema):
    return Ensemble({"ease": EASE(schema, l2=5.0), "popular": MostPopular(schema)}, [[0, 1], [2, 1], [3, 1]])


RETRIEVERS = {
    "two_tower": lambda schema: TwoTower(schema, embedding_dim=8, max_history=6),
    "ease": lambda schema: EASE(schema, l2=5.0, max_history=6),
    "ease_sparse": lambda schema: EASE(schema, l2=5.0, neighbors=4, max_history=6),
    "mult_vae": lambda schema: MultVAE(schema, latent_dim=4, hidden_units=8, max_history=6),
    "most_popular": MostPopular,
    "interest_fusion": lambda schema: InterestFusion(schema, embedding_dim=8, max_history=6),
    "multi_interest": lambda schema: MultiInterest(schema, embedding_dim=8, max_history=6),
    "capsules": lambda schema: MultiInterest(schema, extractor="capsules", embedding_dim=8, max_history=6),
    "deep_mf": lambda schema: DeepMF(schema, embedding_dim=8, text_dim=8, max_history=6),
    "encoder_decoder": lambda schema: EncoderDecoder(schema, mode="next", embedding_dim=8, max_history=6),
    "encoder_decoder_masked": lambda schema: EncoderDecoder(
        schema, mode="masked", sampling="sampled", negatives=8, embedding_dim=8, max_history=6
    ),
    "encoder_decoder_mlp": lambda schema: EncoderDecoder(
        schema, encoder="mlp", loss="binary", embedding_dim=8, max_history=6
    ),
    "ensemble": _ensemble,
    "cascade": lambda schema: Cascade(MostPopular(schema), EASE(schema, l2=5.0, max_history=6), 8),
    "content": lambda schema: ContentToCollaborative(
        TwoTower(schema, embedding_dim=8), factors=8, max_history=6
    ),
}


@pytest.fixture(scope="module")
def data():
    return make_synthetic(num_users=30, num_items=24, interactions_per_user=8, seed=1, images=False)


@pytest.fixture(scope="module", params=list(RETRIEVERS))
def retriever(request, data):
    keras.utils.set_random_seed(0)
    model = RETRIEVERS[request.param](data.schema)
    for part in model.members.values() if isinstance(model, Ensemble) else [model]:
        part.compile()
    model.adapt(data, progress=False)
    model.fit(data.batches(64, max_history=6), epochs=1, verbose=0)
    return model


@pytest.fixture(scope="module")
def query(retriever, data):
    return retriever.query_of(data, [0, 1, 2])


def test_it_scores_every_item_for_every_query(retriever, query, data):
    assert isinstance(retriever, Retriever)
    scores = retriever.scores(query).numpy()
    assert scores.shape == (3, 24)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert scores.std(axis=1).min() > 0


def test_what_is_retrieved_are_the_best_scores(retriever, query):
    scores = retriever.scores(query).numpy()
    rows, found = (values.numpy() for values in retriever.retrieve(query, k=5))
    assert rows.shape == (3, 5)
    np.testing.assert_allclose(found, -np.sort(-scores, axis=1)[:, :5], rtol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(scores, rows, axis=1), found, rtol=1e-6)


def test_what_is_excluded_or_not_included_never_comes(retriever, query):
    first = retriever.retrieve(query, k=24)[0].numpy()
    rows = retriever.retrieve(query, k=24, exclude=tf.constant(first[:, :3]))[0].numpy()
    np.testing.assert_array_equal(rows[:, -3:], np.full((3, 3), -1))
    for page, gone in zip(rows, first[:, :3], strict=True):
        assert not set(page) & set(gone)
    include = np.isin(np.arange(24), [2, 7])
    rows, scores = retriever.retrieve(query, k=4, include=tf.constant(include))
    np.testing.assert_array_equal(np.sort(rows.numpy(), axis=1), [[-1, -1, 2, 7]] * 3)
    assert np.isneginf(scores.numpy()[:, 2:]).all()


def test_signals_come_with_what_is_retrieved(retriever, query):
    first = retriever.retrieve(query, k=24)[0]
    exclude, include = first[:, :2], tf.constant(np.arange(24) != 5)
    rows, scores = retriever.retrieve(query, k=24, exclude=exclude, include=include)
    found = retriever.retrieve_with_signals(query, k=24, exclude=exclude, include=include)
    np.testing.assert_array_equal(found[0], rows)
    np.testing.assert_allclose(found[1], scores, rtol=1e-6)
    signals = found[2].numpy()
    np.testing.assert_allclose(signals, retriever.signals(query, rows), rtol=1e-5, atol=1e-6)
    assert signals.shape == (3, 24, len(retriever.signal_names))
    assert (signals[rows.numpy() < 0] == 0).all()
    # The first one is of the order of the scores, and comparable over the items.
    of_all = retriever.signals(query, tf.tile(tf.range(24)[tf.newaxis], [3, 1])).numpy()[:, :, 0]
    own = retriever.scores(query).numpy()
    own = np.arcsinh((own - own.mean(axis=1, keepdims=True)) / own.std(axis=1, keepdims=True))
    np.testing.assert_allclose(of_all, own, rtol=1e-3, atol=1e-4)


def test_padding_of_a_history_changes_nothing(retriever, query):
    wider = {
        **query,
        "history": tf.pad(query["history"], [[0, 0], [0, 3]], constant_values=-1),
        "history_weight": tf.pad(query["history_weight"], [[0, 0], [0, 3]]),
    }
    np.testing.assert_allclose(retriever.scores(wider), retriever.scores(query), rtol=1e-4, atol=1e-5)


def test_a_query_is_answered_alone_as_in_a_batch(retriever, query):
    alone = retriever.scores({name: value[1:2] for name, value in query.items()})
    np.testing.assert_allclose(alone[0], retriever.scores(query)[1], rtol=1e-4, atol=1e-5)


def test_an_unknown_user_without_a_history_gets_finite_scores(retriever):
    nobody = {
        "user_id": tf.constant([-1, -1]),
        "history": tf.zeros([2, 0], tf.int32),
        "history_weight": tf.zeros([2, 0]),
    }
    scores = retriever.scores(nobody).numpy()
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(scores[0], scores[1])


def test_it_works_in_a_graph_of_unknown_shapes(retriever, query):
    @tf.function(
        input_signature=[
            {
                "user_id": tf.TensorSpec([None], tf.int32),
                "history": tf.TensorSpec([None, None], tf.int32),
                "history_weight": tf.TensorSpec([None, None], tf.float32),
            },
            tf.TensorSpec([], tf.int32),
        ]
    )
    def retrieve(query, k):
        return retriever.retrieve(query, k)

    rows, scores = retrieve(query, 4)
    np.testing.assert_allclose(scores, retriever.retrieve(query, 4)[1], rtol=1e-4, atol=1e-5)
    assert rows.shape == (3, 4)


def test_likeness_and_embeddings_cover_the_catalogue(retriever):
    assert retriever.similar(tf.constant([0, 5])).shape == (2, 24)
    embeddings = retriever.item_embeddings()
    assert embeddings.shape[0] == 24
    assert embeddings.dtype == np.float32
    assert np.isfinite(embeddings).all()


def test_it_is_evaluated_by_exact_ranks(retriever, data):
    context, held = data.split("leave_one_out")
    weights = len(retriever.weights)
    batches = held.batches(64, context=context, max_history=max(1, retriever.max_history))
    found = retriever.evaluate(batches, verbose=0, return_dict=True)
    assert set(found) - {"loss"} == {"recall_at_10", "ndcg_at_10", "mrr"}
    # What is saved is the same after it.
    assert len(retriever.weights) == weights
    users, targets = held.interactions.user, held.interactions.item
    scores = retriever.scores(retriever.query_of(context, users)).numpy()
    known = context.interactions
    ranks = []
    for user, target, row in zip(users, targets, scores, strict=True):
        rivals = np.setdiff1d(np.arange(24), [*known.item[known.user == user], target])
        ranks.append(1 + np.count_nonzero(row[rivals] >= row[target]))
    top = np.array(ranks) <= 10
    assert found["recall_at_10"] == pytest.approx(top.mean(), abs=1e-3)
    assert found["mrr"] == pytest.approx((1 / np.array(ranks)).mean(), abs=1e-3)
    assert found["ndcg_at_10"] == pytest.approx((top / np.log2(1.0 + np.array(ranks))).mean(), abs=1e-3)


def test_a_recommender_of_it_is_saved_and_read(retriever, data, tmp_path):
    recommender = Recommender(retriever, data, k=4)
    expected = recommender.recommend(["u1", "u2", "nobody"])
    found = Recommender.load(recommender.save(tmp_path / "shop")).recommend(["u1", "u2", "nobody"])
    np.testing.assert_array_equal(found.item_ids, expected.item_ids)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5, atol=1e-6)


def test_it_is_read_without_a_word_of_keras(retriever, data, tmp_path):
    said = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logger = tf.get_logger()
    path = Recommender(retriever, data).save(tmp_path / "shop")
    logger.addHandler(handler)
    try:
        Recommender.load(path)
    finally:
        logger.removeHandler(handler)
    assert said == []


def test_a_recommender_of_it_is_exported(retriever, data, tmp_path):
    from tfrec_div.serving.export import export

    recommender = Recommender(retriever, data, k=4)
    served = tf.saved_model.load(str(export(recommender, tmp_path / "shop", verify=False)))
    page = served.signatures["serving_default"](user_id=tf.constant(["u1", "nobody"]))
    expected = recommender.recommend(["u1", "nobody"])
    assert [[item.decode() for item in row] for row in page["item_ids"].numpy()] == expected.item_ids.tolist()
    item = data.schema.item_ids[0]
    similar = served.signatures["similar_items"](item_id=tf.constant([item]), k=tf.constant([3]))
    assert similar["valid"].numpy().all()
    assert item.encode() not in similar["item_ids"].numpy()
