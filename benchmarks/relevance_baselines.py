"""The baselines of `relevance.py`, each a function from a training part to scores of all users and items."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from tfrec_div._keras import keras, tfrs
from tfrec_div.data.dataset import Dataset

# As in the tutorial.
DIM, BATCH, EPOCHS = 32, 8192, 3


def popularity(data: Dataset, seed: int) -> np.ndarray:
    """The number of interactions of each item."""
    del seed
    counts = data.interactions.item_counts().astype(np.float32)
    return np.broadcast_to(counts, (data.schema.num_users, len(counts)))


def ials(data: Dataset, seed: int) -> np.ndarray:
    """`implicit`'s alternating least squares (Hu, Koren and Volinsky, 2008)."""
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=64, regularization=10.0, alpha=1.0, iterations=15, num_threads=1, random_state=seed
    )
    model.fit(_matrix(data), show_progress=False)
    return model.user_factors @ model.item_factors.T


def bpr(data: Dataset, seed: int) -> np.ndarray:
    """`implicit`'s Bayesian personalised ranking (Rendle et al., 2009)."""
    from implicit.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        factors=32, learning_rate=0.01, regularization=0.001, iterations=50, num_threads=1, random_state=seed
    )
    model.fit(_matrix(data), show_progress=False)
    return model.user_factors @ model.item_factors.T


def tfrs_two_tower(data: Dataset, seed: int) -> np.ndarray:
    """The model of TFRS' retrieval tutorial: two embeddings, in-batch softmax, Adagrad(0.1)."""
    keras.utils.set_random_seed(seed)

    class Tutorial(tfrs.Model):
        def __init__(self):
            super().__init__()
            self.users = keras.layers.Embedding(data.schema.num_users, DIM)
            self.items = keras.layers.Embedding(data.schema.num_items, DIM)
            self.task = tfrs.tasks.Retrieval()

        def compute_loss(self, features, training=False):
            return self.task(
                self.users(features["user"]), self.items(features["item"]), compute_metrics=False
            )

    model, events = Tutorial(), data.interactions
    model.compile(keras.optimizers.Adagrad(0.1))
    model.fit({"user": events.user, "item": events.item}, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    return model.users.embeddings.numpy() @ model.items.embeddings.numpy().T


def _matrix(data: Dataset) -> csr_matrix:
    events = data.interactions
    shape = (data.schema.num_users, data.schema.num_items)
    return csr_matrix((np.ones(len(events), np.float32), (events.user, events.item)), shape=shape)


BASELINES = {"popularity": popularity, "TFRS two-tower": tfrs_two_tower, "BPR": bpr, "iALS": ials}
