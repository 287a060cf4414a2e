"""The loss of an encoder-decoder: over all items, or over some."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfrec_div._keras import keras, tf
from tfrec_div.models.behavior_examples import Examples
from tfrec_div.tasks.binary import BinaryOverItems
from tfrec_div.tasks.masking import without_unmet
from tfrec_div.tasks.retrieval import FullSoftmax, InBatchSoftmax

if TYPE_CHECKING:
    from tfrec_div.models.encoder_decoder import EncoderDecoder


def task_of(num_items: int, is_binary: bool, is_full: bool) -> keras.layers.Layer:
    """Returns the loss of examples: a yes or no for each item, or a softmax over all of them or over some."""
    if is_binary:
        return BinaryOverItems(num_items)
    return FullSoftmax() if is_full else InBatchSoftmax()


def loss_over_all(model: EncoderDecoder, asked: Examples, training: bool) -> tf.Tensor:
    """Returns the mean loss of examples, with all items as rivals of the targets.

    Args:
        model: Whose loss.
        asked: What a step asks.
        training: Whether items that training has not met are no rivals.
    """
    queries, targets, weight, known = asked
    catalogue, rows = model.item_vectors(), tf.range(model.schema.num_items)
    if training:
        catalogue = without_unmet(catalogue, model.met > 0, targets)
    if isinstance(model.task, FullSoftmax):
        return model.task(queries, catalogue, targets, known, weight)
    return model.task(queries, tf.gather(catalogue, targets), targets, catalogue, rows, known, weight)


def loss_over_some(model: EncoderDecoder, asked: Examples, drawn: dict[str, tf.Tensor]) -> tf.Tensor:
    """Returns the mean loss of examples, with the items of the batch and random ones as rivals of the targets.

    Args:
        model: Whose loss.
        asked: What a step asks.
        drawn: Rows of the random items, as `NegativeSampling` draws them.
    """
    queries, targets, weight, known = asked
    vectors = model.last_layer(targets)

    def vectors_of(rows):
        # Those that training has not met are as good as not drawn.
        found = model.last_layer(rows)
        bias = tf.where(tf.gather(model.met, rows) > 0, found[:, -1], -1e9)
        return tf.concat([found[:, :-1], bias[:, tf.newaxis]], axis=1)

    def probability_of(rows):
        share = tf.gather(model.item_probability, rows)
        return model.sampling.probability(share, tf.size(targets))

    if isinstance(model.task, BinaryOverItems):
        rows = drawn["shared"]
        return model.task(queries, vectors, targets, vectors_of(rows), rows, known, weight)
    more = model.sampling.candidates(drawn, vectors_of, probability_of)
    return model.task(queries, vectors, targets, probability_of(targets), weight, known, **more)
