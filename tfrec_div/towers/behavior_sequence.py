"""What a user did as a sequence of tokens, read by BERT."""

from __future__ import annotations

from tfrec_div._keras import keras, tf
from tfrec_div.draws import counted_step
from tfrec_div.precision import precision_scope
from tfrec_div.towers.history.attention_block import check_heads
from tfrec_div.towers.history.base import check_steps
from tfrec_div.towers.transformer import Transformer

# Kinds of events are told apart by tenths of their strength; 0 is for what is not said.
LEVELS = 10
# Of the tokens' entries at the start, which are those of a softmax's last layer, too.
TOKEN_DEVIATION = 0.02


@keras.utils.register_keras_serializable(package="tfrec_div")
class BehaviorSequence(keras.layers.Layer):
    """A BERT whose words are items, whose segments are kinds of events, and whose positions count from the latest.

    Kinds are told apart by the strength of an interaction, in tenths: with the usual strengths a view, a save (or a
    cart) and a purchase have a vector each, and so have the degrees of a rating. A masked token is one of which only
    the position is known.

    Args:
        num_items: Items, which are the tokens; one more stands for what is masked.
        dim: Length of the vectors and of the hidden states.
        num_blocks: Blocks of the transformer.
        num_heads: Heads of the attention, which divide `dim`.
        dropout: Share of the entries that training drops, of hidden states and of attention.
        max_steps: Tokens that are read.
        **kwargs: As for any Keras layer.

    Example:
        >>> layer = BehaviorSequence(num_items=9, dim=8)
        >>> steps = {"vectors": tf.zeros([2, 3, 8]), "weights": tf.ones([2, 3]), "masked": tf.fill([2, 3], False)}
        >>> layer({**steps, "places": tf.constant([[0, 1, 2]] * 2)}).shape
        TensorShape([2, 3, 8])

    Devlin et al. (2019), BERT; for sequences of items: Sun et al. (2019), BERT4Rec.
    """

    def __init__(
        self,
        num_items: int,
        dim: int,
        num_blocks: int = 2,
        num_heads: int = 2,
        dropout: float = 0.2,
        max_steps: int = 50,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if num_blocks < 1:
            raise ValueError(f"num_blocks: expected at least 1, got {num_blocks}")
        if num_heads < 1:
            raise ValueError(f"num_heads: expected at least 1, got {num_heads}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout: expected a share in [0, 1), got {dropout}")
        check_heads(num_heads, dim)
        self.num_items = num_items
        self.max_steps = check_steps(max_steps)
        config = {
            "model_type": "bert",
            "vocab_size": num_items + 1,
            "type_vocab_size": LEVELS + 1,
            "max_position_embeddings": max_steps,
            "hidden_size": dim,
            "num_hidden_layers": num_blocks,
            "num_attention_heads": num_heads,
            "intermediate_size": 4 * dim,
            "hidden_dropout_prob": dropout,
            "attention_probs_dropout_prob": dropout,
            # BERT's own .02 is that of 768 entries: with few, attention would hardly be heard at first.
            "initializer_range": dim**-0.5,
        }
        with precision_scope(self.dtype_policy.name):
            self.transformer = Transformer(config)
        # Where Keras finds the weights.
        self.layer = self.transformer.layer
        for weight in self.layer.embeddings.weights:
            if weight.shape.rank > 1:
                weight.assign(weight * (TOKEN_DEVIATION * dim**0.5))
        self.step = counted_step(self)
        self._arguments = {
            "num_items": num_items,
            "dim": dim,
            "num_blocks": num_blocks,
            "num_heads": num_heads,
            "dropout": dropout,
            "max_steps": max_steps,
        }
        self.built = True

    @property
    def tokens(self) -> tf.Variable:
        """The vectors of the items, and of the masked token after them, float [num_items + 1, dim]."""
        return self.layer.embeddings.weight

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Returns the hidden states of the first `max_steps` steps at most, float32 [batch, steps, dim].

        Args:
            inputs: `vectors` float [batch, steps, dim]; `weights` float [batch, steps], the strength of each
                interaction in (0, 1], 0 for padding; `masked` bool [batch, steps], steps whose vector and strength
                are not read; `places` int [batch, steps], from 0 for the latest.
            training: Whether dropout is active.
        """
        cut = {name: value[:, : self.max_steps] for name, value in inputs.items()}
        masked = cut["masked"]
        vectors = tf.where(masked[..., tf.newaxis], tf.gather(self.tokens, self.num_items), cut["vectors"])
        segments = tf.where(masked, 0, levels(cut["weights"]))
        there = tf.cast(cut["weights"] > 0, tf.int32)
        # A copy, since the count of this step goes on.
        states = self.transformer.states(
            vectors, there, segments, cut["places"], training, tf.identity(self.step)
        )
        if training:
            self.step.assign_add(1)
        return states

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {**super().get_config(), **self._arguments}


def levels(strength: tf.Tensor) -> tf.Tensor:
    """Returns the kinds of events: tenths of their strengths, rounded, from 1 to 10; int alike `strength`.

    Example:
        >>> levels(tf.constant([0.2, 0.6, 1.0, 0.01])).numpy().tolist()
        [2, 6, 10, 1]
    """
    return tf.clip_by_value(tf.cast(tf.round(strength * LEVELS), tf.int32), 1, LEVELS)
