"""What all re-rankers have in common: inputs, scale of the scores, loop over picks, padding."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from tfrec_div._keras import keras, tf
from tfrec_div.rerank.inputs import check_inputs
from tfrec_div.rerank.scores import SCORE_NORMALIZATIONS, normalize_scores

# Up to this many picks the loop is unrolled: faster (no loop bookkeeping), at the price of a larger graph.
_UNROLLED_PICKS = 32


class Pool(NamedTuple):
    """The candidates of a batch of lists, as a method sees them. `1` axes let picks keep their rank.

    Attributes:
        scores: `[batch, 1, candidates]` as they came; −inf where a candidate may not be picked.
        relevance: `[batch, 1, candidates]` on the scale of `score_normalization`; 0 where not valid.
        valid: `[batch, 1, candidates]` bool.
        diversity: `[batch or 1, 1, 1]` in [0, 1].
        picks: how many picks will be asked for, an int or an int32 scalar.
        unrolled: whether the loop over picks is a Python loop: the state may then change its shape from pick
            to pick.
        inputs: the checked inputs (`vectors`, `aspects`, …).
    """

    scores: tf.Tensor
    relevance: tf.Tensor
    valid: tf.Tensor
    diversity: tf.Tensor
    picks: int | tf.Tensor
    unrolled: bool
    inputs: dict[str, tf.Tensor]


class Reranker(keras.layers.Layer):
    """Base of the layers that pick `k` of `N` candidates, one after the other.

    A method writes two functions: `start(pool)` gives the gain of every candidate as the first pick and the
    method's state; `update(pool, state, pick, step)` gives the gains after a pick. A gain of −inf means 'not
    to be picked'; when a list has no other gain left, its remaining places are filled in the order of the
    scores.

    Called with a dictionary: `scores [batch, candidates]`; what the method `requires` (`vectors [batch,
    candidates, dim]`, …); optionally `candidate_mask [batch, candidates]` bool (false: not a candidate),
    `diversity` (scalar or `[batch]`, in [0, 1]; NaN: the layer's own level), and `k`, a scalar that replaces
    the layer's own (a shorter list is always the beginning of a longer one; under `jit_compile=True` it must
    be a constant).

    Returns positions int32 `[batch, k]` into the candidates, padded with −1 when fewer than `k` are valid.
    At least one candidate column is needed. `diversity` 0 is the order of the scores exactly, ties by the
    lowest position. A candidate with score −inf is not valid. A NaN is refused by name in eager mode; in a
    graph a NaN score counts as −inf. A vector of zeros is a missing one: similar to nothing.

    Args:
        k: number of picks, at least 1.
        diversity: level used when the inputs have none, in [0, 1].
        score_normalization: `"minmax"` (default), `"zscore"`, `"rank"` or `"none"`; see `normalize_scores`.
            With `"none"` the level depends on the scale of the scores, in the methods that add them to
            similarities.
        **kwargs: of `keras.layers.Layer`.

    Raises:
        ValueError: an argument is out of range.
    """

    requires: ClassVar[tuple[str, ...]] = ()
    optional: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, k: int = 10, diversity: float = 0.3, score_normalization: str = "minmax", **kwargs: Any
    ) -> None:
        kwargs.setdefault("dtype", "float32")  # half-precision scores would tie
        super().__init__(**kwargs)
        name = type(self).__name__
        if isinstance(k, bool) or int(k) != k or k < 1:
            raise ValueError(f"{name}: k must be a whole number of at least 1; received {k!r}")
        if not 0.0 <= diversity <= 1.0:
            raise ValueError(f"{name}: diversity must lie in [0, 1]; received {diversity!r}")
        if score_normalization not in SCORE_NORMALIZATIONS:
            raise ValueError(
                f"{name}: score_normalization must be one of {', '.join(SCORE_NORMALIZATIONS)}; "
                f"received {score_normalization!r}"
            )
        self.k = int(k)
        self.diversity = float(diversity)
        self.score_normalization = score_normalization

    def start(self, pool: Pool) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
        """Gains `[batch, 1, candidates]` of a first pick, and the state to carry along."""
        raise NotImplementedError

    def update(
        self, pool: Pool, state: tuple[tf.Tensor, ...], pick: tf.Tensor, step: int | tf.Tensor
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
        """Gains and state after `pick` `[batch, 1]`, the pick number `step` from 0."""
        raise NotImplementedError

    def call(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Positions int32 `[batch, k]`; see the class."""
        return self._rerank(inputs)

    @tf.autograph.experimental.do_not_convert  # nothing to convert: quicker to trace
    def _rerank(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        required = ("scores", *self.requires)
        optional = ("candidate_mask", "diversity", "k", *self.optional)
        inputs = check_inputs(type(self).__name__, inputs, required, optional)
        if inputs["scores"].shape[0] is not None:
            return self._positions(inputs)
        # One list has a faster product (see `dot_rows`), chosen by the static shape.
        return tf.cond(
            tf.shape(inputs["scores"])[0] == 1,
            lambda: self._positions({key: _one_list(key, value) for key, value in inputs.items()}),
            lambda: self._positions(inputs),
        )

    def _positions(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        pool = self._pool(inputs)
        if "diversity" not in pool.inputs and self.diversity == 0.0:
            trusted = tf.zeros([tf.shape(pool.scores)[0], 1], tf.int32)
            picks = tf.zeros([tf.shape(pool.scores)[0], pool.picks], tf.int32)
        else:
            picks, gains = self._greedy(pool)
            trusted = tf.reduce_sum(tf.cast(gains > float("-inf"), tf.int32), axis=1, keepdims=True)
            trusted = tf.where(pool.diversity[:, :, 0] > 0.0, trusted, 0)
        positions = _complete(pool, picks, trusted)
        return tf.ensure_shape(positions, [None, pool.picks if isinstance(pool.picks, int) else None])

    def compute_output_shape(self, input_shape: dict[str, Any]) -> tf.TensorShape:
        """`[batch, k]`."""
        return tf.TensorShape([tf.TensorShape(input_shape["scores"])[0], self.k])

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        own = {"k": self.k, "diversity": self.diversity, "score_normalization": self.score_normalization}
        return {**super().get_config(), **own}

    def _pool(self, inputs: dict[str, tf.Tensor]) -> Pool:
        scores = inputs["scores"][:, tf.newaxis, :]
        valid = scores > float("-inf")  # false for NaN too
        if "candidate_mask" in inputs:
            valid &= inputs["candidate_mask"][:, tf.newaxis, :]
        level = tf.reshape(inputs.get("diversity", tf.constant(self.diversity)), [-1, 1, 1])
        level = tf.clip_by_value(tf.where(tf.math.is_nan(level), self.diversity, level), 0.0, 1.0)
        picks = self._picks(inputs)
        return Pool(
            scores=tf.where(valid, scores, float("-inf")),
            relevance=normalize_scores(scores, valid, self.score_normalization),
            valid=valid,
            diversity=level,
            picks=picks,
            unrolled=isinstance(picks, int) and picks <= _UNROLLED_PICKS,
            inputs=inputs,
        )

    def _picks(self, inputs: dict[str, tf.Tensor]) -> int | tf.Tensor:
        if "k" not in inputs:
            return self.k
        static = tf.get_static_value(inputs["k"])
        return tf.maximum(inputs["k"], 1) if static is None else int(static)

    def _greedy(self, pool: Pool) -> tuple[tf.Tensor, tf.Tensor]:
        """Picks int32 and their gains, both `[batch, picks]`."""
        gain, state = self.start(pool)
        if pool.unrolled:
            chosen = [_best(gain)]
            for step in range(pool.picks - 1):
                gain, state = self.update(pool, state, chosen[-1][0], step)
                chosen.append(_best(gain))
            return tf.concat([pick for pick, _ in chosen], 1), tf.concat([value for _, value in chosen], 1)
        return self._greedy_loop(pool, gain, state)

    def _greedy_loop(
        self, pool: Pool, gain: tf.Tensor, state: tuple[tf.Tensor, ...]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The same as a graph loop, for many picks or a number known only at run time."""
        slots = tf.range(pool.picks)[tf.newaxis]
        batch = tf.shape(gain)[0]
        pick, value = _best(gain)
        picks, gains = (tf.repeat(x, pool.picks, axis=1) for x in (pick, value))

        def body(step, pick, picks, gains, *state):
            gain, state = self.update(pool, state, pick, step)
            pick, value = _best(gain)
            here = slots == step + 1
            return (step + 1, pick, tf.where(here, pick, picks), tf.where(here, value, gains), *state)

        # Steps beyond the number of candidates would pick nothing.
        last = tf.minimum(pool.picks, tf.shape(gain)[2]) - 1
        loop = tf.while_loop(lambda step, *_: step < last, body, (tf.constant(0), pick, picks, gains, *state))
        filled = tf.broadcast_to(slots <= last, [batch, pool.picks])
        return loop[2], tf.where(filled, loop[3], float("-inf"))


def _one_list(key: str, value: tf.Tensor) -> tf.Tensor:
    if key == "k" or value.shape.rank == 0:
        return value
    # Told to Python only: an op that asserts the shape would tell the graph optimizer too, which then takes
    # it for granted in the other branch.
    value = tf.identity(value)
    value.set_shape([1, *value.shape[1:]])
    return value


def _best(gain: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Position and value `[batch, 1]` of the largest gain, the lowest position among equals."""
    value, position = tf.math.top_k(gain[:, 0], 1)
    return position, value


def close(offset: tf.Tensor, pick: tf.Tensor) -> tf.Tensor:
    """`offset` `[batch, 1, candidates]` with −inf added at the pick."""
    return offset + tf.one_hot(pick, tf.shape(offset)[2], on_value=float("-inf"), off_value=0.0)


def _complete(pool: Pool, picks: tf.Tensor, trusted: tf.Tensor) -> tf.Tensor:
    """Keep the first `trusted` picks, fill the others by score, pad with −1."""
    slots = tf.range(pool.picks)[tf.newaxis]
    available = tf.reduce_sum(tf.cast(pool.valid, tf.int32), axis=2)

    def by_score() -> tf.Tensor:
        count = tf.shape(pool.scores)[2]
        kept = tf.where(slots < trusted, picks, -1)
        taken = tf.reduce_any(kept[:, :, tf.newaxis] == tf.range(count), axis=1)
        left = tf.where(taken, float("-inf"), pool.scores[:, 0])
        order = tf.math.top_k(left, tf.minimum(pool.picks, count)).indices
        place = tf.clip_by_value(slots - trusted, 0, tf.shape(order)[1] - 1)
        return tf.where(slots < trusted, picks, tf.gather(order, place, batch_dims=1))

    short = tf.reduce_any(trusted < tf.minimum(pool.picks, available))
    filled = tf.cond(short, by_score, lambda: picks)
    return tf.where(slots < available, filled, -1)
