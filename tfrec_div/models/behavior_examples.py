"""What the steps of an encoder-decoder ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tfrec_div._keras import tf

if TYPE_CHECKING:
    from tfrec_div.models.encoder_decoder import EncoderDecoder

# Of the sequences that are masked, the share of which the latest item alone is, as when the model is asked.
LATEST_ALONE = 0.2
# Exponent of the number of a user's targets in their weight, as of `Batches`.
USER_BALANCE = -0.5


class Examples(NamedTuple):
    """What a step asks of the model.

    Args:
        vectors: Float [n, dim], what is decoded.
        targets: Int [n], the items that are to be told.
        weights: Float [n].
        known: Int [n, steps], the items that the encoder has read (-1: padding).
    """

    vectors: tf.Tensor
    targets: tf.Tensor
    weights: tf.Tensor
    known: tf.Tensor


class Sequences(NamedTuple):
    """Histories with what came after them, the latest first, padded at the end.

    Args:
        rows: Int [batch, steps]; -1 is padding.
        strength: Float [batch, steps]; 0 is padding.
    """

    rows: tf.Tensor
    strength: tf.Tensor


def what_is_there(rows: tf.Tensor, strength: tf.Tensor) -> Sequences:
    """Returns rows and strengths, -1 and 0 where either says that there is nothing.

    Example:
        >>> found = what_is_there(tf.constant([[3, 4, -1]]), tf.constant([[1.0, 0.0, 1.0]]))
        >>> found.rows.numpy().tolist(), found.strength.numpy().tolist()
        ([[3, -1, -1]], [[1.0, 0.0, 0.0]])
    """
    strength = tf.cast(strength, tf.float32)
    there = (rows >= 0) & (strength > 0)
    return Sequences(tf.where(there, rows, -1), tf.where(there, strength, 0.0))


def whole_sequences(inputs: dict[str, tf.Tensor], steps: int) -> Sequences:
    """Returns the latest steps of histories and of what came after them.

    Args:
        inputs: `history` int [batch, before] (the latest first, -1: padding), `item_id` int [batch, after] (the
            earliest first, -1: padding), and `history_weight` and `weight` float alike.
        steps: At most.

    Example:
        >>> inputs = {"history": tf.constant([[4, 3]]), "item_id": tf.constant([[5, 6, -1]])}
        >>> strength = {"history_weight": tf.ones([1, 2]), "weight": tf.ones([1, 3])}
        >>> whole_sequences({**inputs, **strength}, 3).rows.numpy().tolist()
        [[6, 5, 4]]
    """
    rows, strength = what_is_there(
        tf.concat([tf.reverse(inputs["item_id"], [1]), inputs["history"]], axis=1),
        tf.concat([tf.reverse(inputs["weight"], [1]), inputs["history_weight"]], axis=1),
    )
    # What is padded before the latest item must not push others out.
    order = tf.argsort(tf.cast(strength <= 0, tf.int32), axis=1, stable=True)[:, :steps]
    return Sequences(tf.gather(rows, order, batch_dims=1), tf.gather(strength, order, batch_dims=1))


def draw_masked(there: tf.Tensor, share: float, seed: tf.Tensor) -> tf.Tensor:
    """Draws the tokens to be masked, bool [batch, steps]: at least one where there are any.

    Args:
        there: Bool [batch, steps], which tokens there are, the latest first.
        share: How many of them, in (0, 1); of some sequences it is the latest one alone.
        seed: Int [2].

    Example:
        >>> draw_masked(tf.constant([[True, False], [False, False]]), 0.2, tf.constant([0, 0])).numpy().tolist()
        [[True, False], [False, False]]
    """
    draws = tf.where(there, tf.random.stateless_uniform(tf.shape(there), seed), 2.0)
    least = tf.reduce_min(draws, axis=1, keepdims=True)
    some = there & ((draws < share) | (draws == least))
    latest = there & (tf.cumsum(tf.cast(there, tf.int32), axis=1) == 1)
    alone = tf.random.stateless_uniform(tf.shape(least), seed + 1) < LATEST_ALONE
    return tf.where(alone, latest, some)


def balanced(weight: tf.Tensor, there: tf.Tensor) -> tf.Tensor:
    """Returns weights float [batch, targets], less for each target of a user who has many.

    Args:
        weight: Float [batch, targets].
        there: Bool [batch, targets], what is no padding.

    Example:
        >>> float(balanced(tf.ones([1, 5]), tf.constant([[True, True, True, True, False]]))[0, 0])
        0.5
    """
    count = tf.reduce_sum(tf.cast(there, tf.float32), axis=1, keepdims=True)
    return weight * tf.maximum(count, 1.0) ** USER_BALANCE


def ask_what_comes(model: EncoderDecoder, inputs: dict[str, tf.Tensor], training: bool) -> Examples:
    """Asks for the items that come after histories.

    Args:
        model: That is asked.
        inputs: As of `UserHistories`.
        training: Whether dropout is active.
    """
    targets = inputs["item_id"]
    at = tf.where(targets >= 0)
    return Examples(
        tf.gather(model.query_vectors(inputs, training), at[:, 0]),
        tf.gather_nd(targets, at),
        tf.gather_nd(balanced(inputs["weight"], targets >= 0), at),
        tf.gather(inputs["history"], at[:, 0]),
    )


def ask_masked(
    model: EncoderDecoder, inputs: dict[str, tf.Tensor], share: float, seed: tf.Tensor
) -> Examples:
    """Masks tokens of whole sequences, what comes after the cut included, and asks for them; dropout is active.

    Args:
        model: That is asked.
        inputs: As of `UserHistories`.
        share: Of the tokens that are masked, in (0, 1).
        seed: Int [2], of the draw.
    """
    steps = whole_sequences(inputs, model.max_history + 1)
    masked = draw_masked(steps.strength > 0, share, seed)
    at = tf.where(masked)
    states = model.states(steps, masked, training=True)
    return Examples(
        model.decode(tf.gather_nd(states, at), training=True),
        tf.gather_nd(steps.rows, at),
        tf.gather_nd(balanced(steps.strength, masked), at),
        tf.gather(tf.where(masked, -1, steps.rows), at[:, 0]),
    )
