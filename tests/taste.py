"""A re-ranker that reads all that a recommender gives."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.rerank import Reranker, Selection


@keras.utils.register_keras_serializable(package="tfrec_div_tests")
class Taste(Reranker):
    """Picks what has the user's categories, and of the long tail."""

    features = ("aspects", "groups")
    profiles = ("user_profile",)

    def start(self, pool):
        fit = pool.features["aspects"].dot(pool.profiles["user_profile"])
        fit += 0.1 * tf.cast(pool.features["groups"], tf.float32)
        gain = (1.0 - pool.diversity) * pool.relevance + pool.diversity * fit
        gain = tf.where(pool.valid, gain, float("-inf"))
        return Selection(gain, gain, lambda gain, state, pick, step: (gain, state))
