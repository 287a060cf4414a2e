"""The candidates of a batch of lists, as a method sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tfrec_div._keras import tf
from tfrec_div.rerank.inputs import CONTEXT
from tfrec_div.rerank.rows import Rows
from tfrec_div.rerank.scores import normalize_scores
from tfrec_div.rerank.xla import in_xla


class Pool(NamedTuple):
    """The candidates of a batch of lists. The items of a context stand behind them as further columns.

    A context column is never valid: it is not picked for the page, but counted as picked before it.

    Attributes:
        scores: `[batch, columns]` as they came; −inf where a candidate may not be picked.
        relevance: `[batch, columns]` on the scale of `score_normalization`; 0 where not valid.
        valid: `[batch, columns]` bool.
        diversity: `[batch or 1, 1]` in [0, 1].
        picks: how many picks will be asked for, an int or an int32 scalar.
        context: how many of the columns are context, an int or an int32 scalar.
        features: the checked features by their names (`vectors`, `aspects`, …): `Rows`, or integer codes
            `[batch, columns]`.
        profiles: what describes the user and not a candidate (`user_profile [batch, aspects]`).
        index: `[1, columns]` int32, 0, 1, ….
        xla: whether the graph is compiled by XLA.
        unrolled: whether the picks are taken one after the other in the graph and not in a loop.
    """

    scores: tf.Tensor
    relevance: tf.Tensor
    valid: tf.Tensor
    diversity: tf.Tensor
    picks: int | tf.Tensor
    context: int | tf.Tensor
    features: Mapping[str, Any]
    profiles: Mapping[str, tf.Tensor]
    index: tf.Tensor
    xla: bool
    unrolled: bool = False

    @property
    def steps(self) -> int | tf.Tensor:
        """Context items and picks together: the room that a state needs for what was selected."""
        return self.context + self.picks


def make_pool(
    inputs: Mapping[str, Any],
    profiles: tuple[str, ...],
    level: float,
    normalization: str,
    picks: Any,
) -> Pool:
    """A pool from checked inputs.

    Args:
        inputs: tensors of `check_inputs`; features with three axes may be `Rows` already.
        profiles: the names that describe the user.
        level: the layer's own diversity, for lists without one.
        normalization: see `normalize_scores`.
        picks: an int or an int32 scalar.
    """
    scores = inputs["scores"]
    valid = scores > float("-inf")  # false for NaN too
    if "candidate_mask" in inputs:
        valid &= inputs["candidate_mask"]
    diversity = tf.reshape(inputs.get("diversity", tf.constant(level)), [-1, 1])
    diversity = tf.clip_by_value(tf.where(tf.math.is_nan(diversity), level, diversity), 0.0, 1.0)
    relevance = normalize_scores(scores, valid, normalization)
    if in_xla():
        scores = tf.where(scores == 0.0, 0.0, scores)  # its top_k puts -0 behind 0
    scores = tf.where(valid, scores, float("-inf"))
    names = [key for key in inputs if CONTEXT + key in inputs]
    features = {
        key: _with_context(value, inputs.get(CONTEXT + key))
        for key, value in inputs.items()
        if key not in profiles and not key.startswith(CONTEXT) and key not in _NO_FEATURES
    }
    context = _columns(inputs[CONTEXT + names[0]]) if names else 0
    if names:
        ends = [[0, 0], [0, context]]
        scores = tf.pad(scores, ends, constant_values=float("-inf"))
        relevance, valid = tf.pad(relevance, ends), tf.pad(valid, ends)
    return Pool(
        scores=scores,
        relevance=relevance,
        valid=valid,
        diversity=diversity,
        picks=picks,
        context=context,
        features=features,
        profiles={key: inputs[key] for key in profiles if key in inputs},
        index=tf.range(_columns(scores))[tf.newaxis],
        xla=in_xla(),
    )


_NO_FEATURES = ("scores", "candidate_mask", "diversity", "k", "pinned")


def _columns(value: tf.Tensor | Rows) -> int | tf.Tensor:
    if isinstance(value, Rows):
        return sum(block.shape[0] for block in value.blocks) if value.one_list else value.blocks[0].shape[1]
    return value.shape[1] if value.shape[1] is not None else tf.shape(value)[1]


def _with_context(value: Any, context: Any) -> Any:
    if isinstance(value, Rows):
        return Rows(*value.blocks, *context.blocks) if context is not None else value
    if context is not None:
        value = tf.concat([value, context], axis=1)
    if value.shape.rank != 3:
        return value
    return Rows.of(value)
