"""BERT-like models by Transformers' TensorFlow classes; the only module that needs Transformers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tfrec_div._keras import keras, tf
from tfrec_div.draws import step_seed
from tfrec_div.towers.pretrained import PretrainedText


class Family(NamedTuple):
    """Where the parts of a family of models are.

    Args:
        config: Name of its configuration in Transformers.
        layer: Name of the layer that goes from ids to hidden states.
        blocks: Path of the list of blocks, the first one nearest to the embeddings.
        arguments: Of the layer.
    """

    config: str
    layer: str
    blocks: tuple[str, ...] = ("encoder", "layer")
    arguments: dict[str, Any] = {"add_pooling_layer": False}  # noqa: RUF012 (never changed)


FAMILIES = {
    "bert": Family("BertConfig", "TFBertMainLayer"),
    "distilbert": Family("DistilBertConfig", "TFDistilBertMainLayer", ("transformer", "layer"), {}),
    "electra": Family("ElectraConfig", "TFElectraMainLayer", arguments={}),
    "mpnet": Family("MPNetConfig", "TFMPNetMainLayer", arguments={}),
    "roberta": Family("RobertaConfig", "TFRobertaMainLayer"),
    "xlm-roberta": Family("XLMRobertaConfig", "TFXLMRobertaMainLayer"),
    "albert": Family("AlbertConfig", "TFAlbertMainLayer", blocks=("encoder", "albert_layer_groups")),
}


class Transformer:
    """A BERT-like model without its heads: token ids in, hidden states out.

    No layer itself, so that weights have the names that they have in Transformers; who has one keeps `layer`.

    Args:
        config: The architecture, in the keys of a Transformers `config.json`; `model_type` says which family.

    Example:
        >>> from tfrec_div.towers.pretrained import find_text_model
        >>> model = Transformer(find_text_model("tiny").config)
        >>> model.dim, len(model.blocks)
        (64, 2)
    """

    def __init__(self, config: dict) -> None:
        transformers = _transformers()
        kind = config.get("model_type", "bert")
        if kind not in FAMILIES:
            raise ValueError(f"config: expected the model_type {', '.join(FAMILIES)}, got {kind!r}")
        self._family = FAMILIES[kind]
        self._config = getattr(transformers, self._family.config)(**config)
        module = getattr(transformers.models, kind.replace("-", "_"))
        module = getattr(module, f"modeling_tf_{kind.replace('-', '_')}")
        self.layer = getattr(module, self._family.layer)(
            self._config, name=kind.replace("-", "_"), **self._family.arguments
        )
        self.layer.build(None)
        self._draws = _Draws()
        for part in self.layer.submodules:
            for name, value in list(vars(part).items()):
                if isinstance(value, keras.layers.Dropout):
                    setattr(part, name, _Dropout(value.rate, self._draws))

    @property
    def dim(self) -> int:
        """Length of a hidden state."""
        return self._config.hidden_size

    @property
    def positions(self) -> int:
        """The longest sequence that the model has positions for."""
        # Those of the RoBERTa family begin after the padding id.
        after_padding = ("roberta", "xlm-roberta", "mpnet")
        skipped = self._config.pad_token_id + 1 if self._config.model_type in after_padding else 0
        return self._config.max_position_embeddings - skipped

    @property
    def pieces(self) -> int:
        """The number of token ids."""
        return self._config.vocab_size

    @property
    def blocks(self) -> list[keras.layers.Layer]:
        """The blocks from the embeddings on; one that serves for several layers, as in ALBERT, counts once."""
        found: Any = self.layer
        for name in self._family.blocks:
            found = getattr(found, name)
        return list(found)

    def hidden(
        self, ids: tf.Tensor, mask: tf.Tensor, training: bool | None, step: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns the last hidden states float32 [batch, tokens, dim] of ids and their mask [batch, tokens].

        Args:
            ids: Token ids.
            mask: 1 for a token, 0 for padding.
            training: Whether to apply dropout.
            step: An integer that decides the draws of dropout; `None` draws anew each time.
        """
        with self._draws.of(step):
            states = self.layer(ids, attention_mask=mask, training=bool(training)).last_hidden_state
        return tf.cast(states, tf.float32)

    def states(
        self,
        vectors: tf.Tensor,
        mask: tf.Tensor,
        segments: tf.Tensor,
        places: tf.Tensor,
        training: bool | None,
        step: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the last hidden states of BERT, float32 [batch, tokens, dim], of tokens that are no words.

        Args:
            vectors: Float [batch, tokens, dim], in the place of word vectors.
            mask: 1 for a token, 0 for padding, [batch, tokens].
            segments: Int [batch, tokens], the token types.
            places: Int [batch, tokens], the positions.
            training: Whether to apply dropout.
            step: As for `hidden`.
        """
        with self._draws.of(step):
            # Keras casts the first argument alone.
            states = self.layer(
                input_ids=None,
                inputs_embeds=tf.cast(vectors, self.layer.compute_dtype),
                attention_mask=mask,
                token_type_ids=segments,
                position_ids=places,
                training=bool(training),
            ).last_hidden_state
        return tf.cast(states, tf.float32)

    def train(self, layers: int | str) -> None:
        """Leaves trainable the last `layers` blocks, or "all"; "none" is said of the whole model.

        A pooler's weights are not read, so they are never trained.
        """
        self.layer.trainable = layers != "none"
        if isinstance(layers, int):
            blocks = self.blocks
            last = {id(weight) for block in blocks[len(blocks) - layers :] for weight in block.weights}
            for part in self.layer.submodules:
                own = getattr(part, "weights", None)
                if own and not any(id(weight) in last for weight in own):
                    part.trainable = False
            # MPNet's relative positions belong to no block, so that Keras freezes them with all blocks or not at all.
            encoder = getattr(self.layer, self._family.blocks[0])
            # In place, since Keras would track a new list once more.
            encoder._non_trainable_weights.extend(encoder._trainable_weights)
            encoder._trainable_weights.clear()
        pooler = getattr(self.layer, "pooler", None)
        if pooler is not None:
            pooler.trainable = False

    def load(self, found: PretrainedText) -> None:
        """Takes the weights of a checkpoint; random ones from a fixed seed where it has none."""
        if found.weights is None:
            # Keras lists trainable weights first: the order must not depend on which ones are.
            self.layer.trainable = True
            # From NumPy, since TensorFlow's own generator depends on the state of the program.
            random = np.random.default_rng(20240229)
            for variable in self.layer.weights:
                if variable.shape.rank > 1:
                    variable.assign(random.normal(0.0, 0.02, variable.shape).astype(np.float32))
            return
        source = _transformers().TFAutoModel.from_pretrained(
            str(found.weights.parent), config=self._config, local_files_only=True
        )
        main = getattr(source, source.base_model_prefix)
        # By name: the order depends on which ones are trainable.
        theirs = {_name(weight, main): weight for weight in main.weights}
        for weight in self.layer.weights:
            weight.assign(theirs[_name(weight, self.layer)])


def _name(weight: tf.Variable, layer: keras.layers.Layer) -> str:
    """Returns the name of a weight below its layer."""
    return weight.name.split(f"{layer.name}/", 1)[-1]


class _Draws:
    """What decides the draws of a model's dropout layers."""

    def __init__(self) -> None:
        self.step: tf.Tensor | None = None
        self.drawn = 0

    @contextlib.contextmanager
    def of(self, step: tf.Tensor | None) -> Iterator[None]:
        """Makes the draws depend on `step` only."""
        before = self.step, self.drawn
        self.step, self.drawn = step, 0
        try:
            yield
        finally:
            self.step, self.drawn = before

    def seed(self) -> tf.Tensor | None:
        """Returns the seed of the next draw, which differs from those before in the same step."""
        if self.step is None:
            return None
        self.drawn += 1
        return step_seed(self.drawn, self.step)


class _Dropout(keras.layers.Layer):
    """Dropout whose draws depend on their number and a step, where one is given; without weights of its own."""

    def __init__(self, rate: float, draws: _Draws) -> None:
        super().__init__()
        self._rate, self._draws = rate, draws

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if not training or not self._rate:
            return inputs
        seed = self._draws.seed()
        if seed is None:
            return tf.nn.dropout(inputs, self._rate)
        return tf.nn.experimental.stateless_dropout(inputs, self._rate, seed)


def _transformers():
    try:
        import transformers
    except ImportError as error:
        raise ImportError("text towers need Transformers: pip install 'transformers>=4.49,<4.54'") from error
    # Its advice on unused heads is of no use here, where only the encoder is taken.
    transformers.logging.set_verbosity_error()
    return transformers
