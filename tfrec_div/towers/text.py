"""A BERT that reads strings: the frozen text tower. Everything that needs Transformers is in this module."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from tfrec_div._keras import keras, tf
from tfrec_div.towers.cache import Contents
from tfrec_div.towers.pretrained import TEXT_OPTIONS, PretrainedText, find_text_model
from tfrec_div.towers.tokenizer import WordpieceTokenizer

POOLINGS = ("mean", "cls")


@keras.utils.register_keras_serializable(package="tfrec_div")
class TextEncoder(keras.Model):
    """Encode strings by a BERT with its tokenizer in the graph: `[batch]` → `[batch, dim]`.

    The model is that of Devlin et al. (2019). The constructor and `from_config` make random weights, which
    `load_weights` or `set_weights` replace; only `from_pretrained` looks for weights. It is frozen unless
    `trainable=True`, and a frozen encoder has no dropout.

    Args:
        config: The architecture, in the keys of a Transformers BERT `config.json`.
        vocabulary: The WordPieces; the position is the id.
        pooling: `"mean"` over the tokens of the text, `[CLS]` and `[SEP]` included, padding not (Reimers &
            Gurevych 2019), or `"cls"`, the first token.
        max_tokens: The longest sequence; longer texts are cut.
        normalize: Scale the vectors to length one.
        lowercase: Lower-case the text and strip its accents, as uncased models expect.
        trainable: Whether training changes the weights.

    Raises:
        ValueError: An unknown pooling, a vocabulary larger than the embedding, or more tokens than positions.

    Example:
        >>> encoder = TextEncoder.from_pretrained("tiny")
        >>> vectors = encoder(tf.constant(["A toy story.", ""]))
        >>> vectors.shape, float(tf.norm(vectors[1]))
        (TensorShape([2, 64]), 0.0)
    """

    def __init__(
        self,
        config: dict,
        vocabulary: Sequence[str],
        pooling: str = "mean",
        max_tokens: int = 128,
        normalize: bool = True,
        lowercase: bool = True,
        trainable: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if pooling not in POOLINGS:
            raise ValueError(f"pooling: expected one of {', '.join(POOLINGS)}, got {pooling!r}")
        if len(vocabulary) > config["vocab_size"]:
            raise ValueError(
                f"vocabulary: expected at most the {config['vocab_size']} pieces of the config, "
                f"got {len(vocabulary)}"
            )
        if max_tokens > config["max_position_embeddings"]:
            raise ValueError(
                f"max_tokens: expected at most {config['max_position_embeddings']}, "
                f"the positions of this model, got {max_tokens}"
            )
        self.pooling = pooling
        self.normalize = normalize
        self.tokenizer = WordpieceTokenizer(vocabulary, max_tokens, lowercase, name="tokenizer")
        self.bert = _build_bert(config)
        self._architecture = dict(config)
        self.trainable = trainable
        self.built = True

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike | PretrainedText = "minilm",
        pooling: str = "mean",
        max_tokens: int = 128,
        normalize: bool = True,
        folder: str | os.PathLike | None = None,
        timeout: float = 10,
        **kwargs: Any,
    ) -> TextEncoder:
        """Build an encoder with pretrained weights.

        Args:
            name: `"minilm"`, `"tiny"`, the path of a Transformers BERT checkpoint folder, or what
                `find_text_model` found.
            pooling: As in the constructor.
            max_tokens: As in the constructor.
            normalize: As in the constructor.
            folder: Where to look for `"minilm"` first.
            timeout: Seconds to wait for the Hugging Face hub to answer.
            **kwargs: Passed to the constructor (`name` is taken: the layer's own name is the default).

        Returns:
            The encoder, frozen.

        Raises:
            FileNotFoundError: No weights were found; the message lists the options.
        """
        found = name if isinstance(name, PretrainedText) else find_text_model(name, folder, timeout)
        if found is None:
            raise FileNotFoundError(f"text model {name!r}: no weights on this machine; use {TEXT_OPTIONS}")
        kwargs.setdefault("lowercase", found.lowercase)
        encoder = cls(
            found.config,
            found.vocabulary,
            pooling=pooling,
            max_tokens=max_tokens,
            normalize=normalize,
            **kwargs,
        )
        _load_bert(encoder.bert, found)
        return encoder

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._architecture["hidden_size"]

    def call(self, texts: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Encode a batch.

        Args:
            texts: Strings `[batch]`.
            training: Whether to apply dropout; never while frozen.

        Returns:
            Vectors float32 `[batch, dim]`; a text without any token has the zero vector.
        """
        tokens = self.tokenizer(texts)
        mask = tokens["attention_mask"]
        hidden = self.bert(
            tokens["input_ids"], attention_mask=mask, training=training if self.trainable else False
        ).last_hidden_state
        hidden = tf.cast(hidden, tf.float32)
        if self.pooling == "cls":
            vectors = hidden[:, 0]
        else:
            weights = tf.cast(mask, tf.float32)
            weights /= tf.reduce_sum(weights, axis=1, keepdims=True)
            vectors = tf.einsum("bl,bld->bd", weights, hidden)
        if self.normalize:
            vectors = tf.math.l2_normalize(vectors, axis=1)
        has_words = tf.reduce_sum(mask, axis=1, keepdims=True) > 2
        return tf.ensure_shape(tf.where(has_words, vectors, 0.0), [None, self.dim])

    def build(self, input_shape: tuple) -> None:
        """Do nothing: the weights are there, and Keras' own would try with numbers where strings belong."""

    def compute_output_shape(self, input_shape: tuple) -> tf.TensorShape:
        """Return `[batch, dim]`."""
        return tf.TensorShape([input_shape[0], self.dim])

    def encode(
        self, texts: Contents, batch_size: int = 32, progress: bool | Callable[[int], object] = True
    ) -> np.ndarray:
        """Encode many texts: equal ones once, those of like length together.

        Args:
            texts: `n` strings.
            batch_size: Texts in a batch.
            progress: Whether to show a bar; or a function that is called with the number of texts done since.

        Returns:
            Vectors float32 `[n, dim]`.
        """
        rows_of: dict[str, int] = {}
        inverse = np.zeros(len(texts), np.int64)
        for row in range(len(texts)):
            inverse[row] = rows_of.setdefault(texts[row], len(rows_of))
        distinct = list(rows_of)
        vectors = np.zeros([len(distinct), self.dim], np.float32)
        counts = np.bincount(inverse, minlength=len(distinct))
        starts = range(0, len(distinct), 1024)
        lengths = [self._lengths(tf.constant(distinct[s : s + 1024], tf.string)).numpy() for s in starts]
        # Longest first: the estimate of the time left errs on the safe side, and memory is short at once or
        # never.
        order = np.argsort(-np.concatenate(lengths), kind="stable") if lengths else np.zeros(0, np.int64)
        with tqdm(total=len(texts), unit="text", desc="Encoding texts", disable=progress is not True) as bar:
            advance = progress if callable(progress) else bar.update
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                vectors[rows] = self._encode(tf.constant([distinct[row] for row in rows], tf.string)).numpy()
                advance(int(counts[rows].sum()))
        return vectors[inverse]

    def fingerprint(self) -> str:
        """Return a SHA-256 of all that decides the vectors: weights, architecture and tokenizer."""
        config = self.get_config()
        del config["name"], config["trainable"]
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
        for weight in self.get_weights():
            digest.update(f"{weight.dtype}{weight.shape}".encode())
            digest.update(np.ascontiguousarray(weight).data)
        return digest.hexdigest()

    def get_config(self) -> dict:
        """Return the constructor's arguments; the weights are no part of it."""
        return {
            "name": self.name,
            "config": dict(self._architecture),
            "vocabulary": list(self.tokenizer.vocabulary),
            "pooling": self.pooling,
            "max_tokens": self.tokenizer.max_tokens,
            "normalize": self.normalize,
            "lowercase": self.tokenizer.lowercase,
            "trainable": self.trainable,
        }

    # One graph for every length. Kept out of Keras' sight (a cached property goes to the instance's
    # dictionary directly), so that an export does not hold it as well.
    @functools.cached_property
    def _encode(self) -> Callable[[tf.Tensor], tf.Tensor]:
        strings = tf.TensorSpec([None], tf.string)
        return tf.function(lambda texts: self(texts, training=False), input_signature=[strings])

    @functools.cached_property
    def _lengths(self) -> Callable[[tf.Tensor], tf.Tensor]:
        strings = tf.TensorSpec([None], tf.string)
        limit = self.tokenizer.max_tokens - 2
        return tf.function(
            lambda texts: tf.minimum(self.tokenizer.tokenize(texts).row_lengths(), limit),
            input_signature=[strings],
        )


def _build_bert(config: dict) -> keras.layers.Layer:
    transformers = _transformers()
    module = transformers.models.bert.modeling_tf_bert
    bert = module.TFBertMainLayer(transformers.BertConfig(**config), add_pooling_layer=False, name="bert")
    bert.build(None)
    return bert


def _load_bert(bert: keras.layers.Layer, model: PretrainedText) -> None:
    if model.weights is None:
        # From NumPy, since TensorFlow's own generator depends on the state of the program.
        random = np.random.default_rng(20240229)
        for variable in bert.weights:
            if variable.shape.rank > 1:
                variable.assign(random.normal(0.0, 0.02, variable.shape).astype(np.float32))
        return
    transformers = _transformers()
    source = transformers.TFAutoModel.from_pretrained(
        str(model.weights.parent), config=transformers.BertConfig(**model.config), local_files_only=True
    )
    for part in ("embeddings", "encoder"):
        getattr(bert, part).set_weights(getattr(source.bert, part).get_weights())


def _transformers():
    try:
        import transformers
    except ImportError as error:
        raise ImportError("text towers need Transformers: pip install 'transformers>=4.49,<4.54'") from error
    # Its advice on unused heads is of no use here, where only the encoder is taken.
    transformers.logging.set_verbosity_error()
    return transformers
