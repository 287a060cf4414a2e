"""Ratings explained by biases, factors and features, by averaging over what may be true."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.linalg import cholesky, inv, solve
from scipy import sparse

from tfrec_div._keras import tf
from tfrec_div.models.side_features import SideFeatures

# Rows whose equations are solved at once.
BLOCK = 16_384
# Draws that are joined before they are cut to the rank wanted.
JOINED = 8
# Pseudo-rows behind the means of the priors.
MEAN_ROWS = 2.0
# Of ratings that are all but explained.
LEAST_VARIANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Factors:
    """What explains ratings: mean + user bias + item bias + product of the factors.

    Attributes:
        mean: Mean of the ratings.
        user_bias: Float [users + 1]; the last is that of an unknown one.
        item_bias: Float [items + 1], alike.
        user_factors: Float [users + 1, dim].
        item_factors: Float [items + 1, dim].
    """

    mean: float
    user_bias: np.ndarray
    item_bias: np.ndarray
    user_factors: np.ndarray
    item_factors: np.ndarray


def average_factors(
    user: np.ndarray,
    item: np.ndarray,
    rating: np.ndarray,
    user_features: SideFeatures,
    item_features: SideFeatures,
    factors: int = 16,
    sweeps: int = 80,
    burn_in: int = 20,
    dim: int = 32,
    seed: int = 0,
    on_sweep: Callable[[float], object] = lambda rmse: None,
) -> Factors:
    """Averages factorisations of a rating matrix over draws from their distribution given the ratings.

    The rating of user u for item i is mean + b_u + c_i + p_u . q_i + noise. (b_u, p_u) is normal around a linear
    function of the user's features, which covers those who have rated little or nothing; items alike. All that
    decides how far one trusts what (variances, the weights of features, the noise) is drawn as well, so nothing has
    to be tuned to a data set. Rows are drawn all at once, given the other side, by Gibbs sampling. What is drawn has
    the ratings' standard deviation as its unit, so the scale of the ratings makes no difference.

    Args:
        user: Int [n], rows.
        item: Int [n], rows.
        rating: Float [n].
        user_features: Of all users, and of an unknown one in the last row.
        item_features: Of all items, alike.
        factors: Length of p and q.
        sweeps: Times that everything is drawn.
        burn_in: Sweeps at the beginning that are not averaged; fewer than `sweeps`.
        dim: Rank to which the average of the products is cut (it is nearly of the rank `factors`).
        seed: Of the draws.
        on_sweep: Called after each sweep with the root mean squared error on the ratings.

    Returns:
        Biases and factors whose predictions are those of the draws, averaged.

    Bayesian matrix factorisation: Salakhutdinov and Mnih (2008); with features: Simm et al. (2017), Macau; with who
    rated what as features, the best known on MovieLens: Rendle, Zhang and Koren (2019), On the difficulty of
    evaluating baselines.
    """
    random = np.random.default_rng(seed)
    centred = np.asarray(rating, np.float64)
    mean = float(centred.mean())
    # Equal ratings have no spread to go by.
    unit = float(centred.std()) or 1.0
    centred = (centred - mean) / unit
    users = _Side(user_features, user, item, item_features.rows - 1, factors, random)
    items = _Side(item_features, item, user, user_features.rows - 1, factors, random)
    average = _Average(dim)
    precision = 1.0 / max(float(centred.var()), LEAST_VARIANCE)
    for sweep in range(sweeps):
        users.draw(items.vectors, centred, precision)
        items.draw(users.vectors, centred, precision)
        fitted = users.vectors[user, 0] + items.vectors[item, 0]
        fitted += np.einsum("nk,nk->n", users.vectors[user, 1:], items.vectors[item, 1:])
        error = float(np.sum((centred - fitted) ** 2)) + LEAST_VARIANCE
        precision = random.gamma(0.5 * len(centred) + 1.0) / (0.5 * error)
        if sweep >= burn_in:
            average.add(users.all_vectors(), items.all_vectors())
        on_sweep(unit * (error / len(centred)) ** 0.5)
    return average.factors(mean, unit)


class _Side:
    """The users or the items: a bias and factors of each, around a linear function of its features."""

    def __init__(
        self,
        features: SideFeatures,
        own: np.ndarray,
        other: np.ndarray,
        num_others: int,
        factors: int,
        random: np.random.Generator,
    ):
        size = factors + 1
        self._random, self._other = random, other
        self._rows, self._own = np.unique(own, return_inverse=True)
        self._all_features, self._features = features, features.take(self._rows)
        # By TensorFlow: NumPy's threads wait for each other, which takes minutes on a machine that is busy.
        values, self._basis = (part.numpy() for part in tf.linalg.eigh(self._features.gram()))
        self._spread = np.maximum(values, 0.0)[:, None]
        self._shrinkage = 5.0
        self._weights, self._centre = np.zeros((features.width, size)), np.zeros(size)
        self._shape = (len(self._rows), num_others)
        self._met = sparse.csr_matrix((np.ones(len(own)), (self._own, other)), shape=self._shape)
        self._lower = np.tril_indices(size)
        # Bias, then factors.
        self.vectors = np.zeros((features.rows - 1, size))
        self.vectors[self._rows, 1:] = 0.1 * random.standard_normal((len(self._rows), factors))

    def draw(self, others: np.ndarray, ratings: np.ndarray, precision: float) -> None:
        """Draws the prior given the vectors, then the vectors given the prior, the ratings and the other side."""
        expected, prior = self._draw_prior()
        left = sparse.csr_matrix(
            (ratings - others[self._other, 0], (self._own, self._other)), shape=self._shape
        )
        design = np.concatenate([np.ones((len(others), 1)), others[:, 1:]], axis=1)
        squares = design[:, self._lower[0]] * design[:, self._lower[1]]
        for start in range(0, len(self._rows), BLOCK):
            part = slice(start, start + BLOCK)
            known = self._symmetric(self._met[part] @ squares) * precision + prior
            told = precision * (left[part] @ design) + expected[part] @ prior
            root = cholesky(known)
            half = solve(root, told[:, :, None]) + self._random.standard_normal((*told.shape, 1))
            drawn = solve(np.swapaxes(root, 1, 2), half)[:, :, 0]
            self.vectors[self._rows[part]] = drawn

    def all_vectors(self) -> np.ndarray:
        """Returns the vectors of all rows and of an unknown one; without ratings what the features say."""
        vectors = self._all_features.times(self._weights) + self._centre
        vectors[self._rows] = self.vectors[self._rows]
        return vectors

    def _draw_prior(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns what the features let expect of each row, and the precision around it."""
        normal, vectors = self._random.standard_normal, self.vectors[self._rows]
        count, size = vectors.shape
        around = vectors - self._features.times(self._weights)
        mean = around.mean(axis=0)
        scatter = (around - mean).T @ (around - mean)
        scale = np.eye(size) + scatter + count * MEAN_ROWS / (count + MEAN_ROWS) * np.outer(mean, mean)
        # Wishart by Bartlett's decomposition.
        triangle = np.tril(normal((size, size)), -1)
        triangle[np.diag_indices(size)] = np.sqrt(self._random.chisquare(size + count - np.arange(size)))
        root = cholesky(inv(scale)) @ triangle
        prior = root @ root.T
        spread = cholesky(inv(prior))
        self._centre = (count * mean + (count + MEAN_ROWS) ** 0.5 * (spread @ normal(size))) / (
            count + MEAN_ROWS
        )
        told = self._features.transposed_times(vectors - self._centre + normal(vectors.shape) @ spread.T)
        told += self._shrinkage**0.5 * normal(told.shape) @ spread.T
        self._weights = self._basis @ ((self._basis.T @ told) / (self._spread + self._shrinkage))
        length = float(np.sum((self._weights @ prior) * self._weights))
        self._shrinkage = self._random.gamma(0.5 * (1 + told.size)) / (0.5 * (1.0 + length))
        return self._features.times(self._weights) + self._centre, prior

    def _symmetric(self, lower: np.ndarray) -> np.ndarray:
        size = self.vectors.shape[1]
        full = np.empty((len(lower), size, size))
        full[:, self._lower[0], self._lower[1]] = lower
        full[:, self._lower[1], self._lower[0]] = lower
        return full


class _Average:
    """The mean of products over draws, kept as factors of a given rank."""

    def __init__(self, dim: int):
        self._dim, self._count = dim, 0
        self._user_bias, self._item_bias = np.zeros(1), np.zeros(1)
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, users: np.ndarray, items: np.ndarray) -> None:
        """Takes a draw: biases and factors, float [rows, 1 + factors] each."""
        self._user_bias = self._user_bias + users[:, 0]
        self._item_bias = self._item_bias + items[:, 0]
        self._parts.append((users[:, 1:], items[:, 1:]))
        self._count += 1
        if len(self._parts) > JOINED:
            self._parts = [self._joined()]

    def factors(self, mean: float, unit: float) -> Factors:
        """Returns what the draws say on average, in ratings: `unit` is one of the draws' in theirs."""
        user_bias, item_bias = (unit / self._count * part for part in (self._user_bias, self._item_bias))
        user_factors, item_factors = ((unit / self._count) ** 0.5 * part for part in self._joined())
        return Factors(mean, user_bias, item_bias, user_factors, item_factors)

    def _joined(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns factors of the sum of the products: by the best approximation of the rank wanted."""
        (left, left_root), (right, right_root) = (
            tf.linalg.qr(np.concatenate([part[side] for part in self._parts], axis=1)) for side in (0, 1)
        )
        values, first, second = tf.linalg.svd(tf.matmul(left_root, right_root, transpose_b=True))
        root = tf.sqrt(values[: self._dim])

        def cut(rotation: tf.Tensor, side: tf.Tensor) -> np.ndarray:
            vectors = tf.matmul(rotation, side[:, : self._dim] * root).numpy()
            return np.pad(vectors, [(0, 0), (0, self._dim - vectors.shape[1])])

        return cut(left, first), cut(right, second)
