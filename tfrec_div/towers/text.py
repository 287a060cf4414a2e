"""A BERT-like model that reads strings: the text tower."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from tfrec_div._keras import keras, tf
from tfrec_div.precision import precision_scope
from tfrec_div.towers.cache import Contents
from tfrec_div.towers.content_encoder import ContentEncoder, Progress
from tfrec_div.towers.pretrained import TEXT_OPTIONS, PretrainedText, find_text_model
from tfrec_div.towers.subwords import Vocabulary
from tfrec_div.towers.transformer import Transformer
from tfrec_div.towers.vocabularies import tokenizer_of

POOLINGS = ("mean", "cls", "attention")
# Tokens of a text that a fusion of tokens with regions reads.
MAX_PARTS = 32


@keras.utils.register_keras_serializable(package="tfrec_div")
class TextEncoder(ContentEncoder):
    """Encode strings by a BERT-like model with its tokenizer in the graph: `[batch]` → `[batch, dim]`.

    The models are BERT (Devlin et al. 2019), DistilBERT (Sanh et al. 2019), ELECTRA (Clark et al. 2020), MPNet (Song
    et al. 2020), RoBERTa (Liu et al. 2019), XLM-R (Conneau et al. 2020) and ALBERT (Lan et al. 2020). The constructor
    and `from_config` make random weights, which `load_weights` or `set_weights` replace; only `from_pretrained` looks
    for weights. Frozen layers have no dropout.

    Args:
        config: The architecture, in the keys of a Transformers `config.json`; `model_type` says which model it is.
        vocabulary: The WordPieces, where the position is the id; or a mapping for another tokenizer, see
            `tokenizer_of`.
        pooling: `"mean"` over the tokens of the text, `[CLS]` and `[SEP]` included, padding not (Reimers &
            Gurevych 2019), `"cls"`, the first token, or `"attention"`, a learned weighting of the tokens that starts
            as their mean. A learned pooling has no vector to keep, so it needs `trainable_layers` of 1 or more.
        max_tokens: The longest sequence; longer texts are cut.
        normalize: Scale the vectors to length one.
        lowercase: Lower-case the text and strip its accents, as uncased models expect.
        trainable_layers: What training changes: `"none"`, a number n (the last n layers; those of ALBERT share their
            weights and count once), or `"all"`.
        trainable: Short for `trainable_layers="all"`.

    Raises:
        ValueError: An unknown pooling, a vocabulary larger than the embedding, more tokens than positions, a number
            of trainable layers that the model does not have, or attention pooling in a frozen encoder.

    Example:
        >>> encoder = TextEncoder.from_pretrained("tiny")
        >>> vectors = encoder(tf.constant(["A toy story.", ""]))
        >>> vectors.shape, float(tf.norm(vectors[1]))
        (TensorShape([2, 64]), 0.0)
    """

    def __init__(
        self,
        config: dict,
        vocabulary: Vocabulary,
        pooling: str = "mean",
        max_tokens: int = 128,
        normalize: bool = True,
        lowercase: bool = True,
        trainable_layers: int | str = "none",
        trainable: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        with precision_scope(self.dtype_policy.name):
            self.transformer = Transformer(config)
        trainable_layers = _checked(trainable_layers, len(self.transformer.blocks))
        if trainable and trainable_layers == "none":
            trainable_layers = "all"
        if pooling not in POOLINGS:
            raise ValueError(f"pooling: expected one of {', '.join(POOLINGS)}, got {pooling!r}")
        if pooling == "attention" and trainable_layers == "none":
            raise ValueError(
                'pooling: "attention" is learned, so it needs trainable_layers (1 or more, or "all"); '
                'a frozen encoder takes "mean" or "cls"'
            )
        self.tokenizer = tokenizer_of(config.get("model_type", "bert"), vocabulary, max_tokens, lowercase)
        if self.tokenizer.num_pieces > self.transformer.pieces:
            raise ValueError(
                f"vocabulary: expected at most the {self.transformer.pieces} pieces of the config, "
                f"got {self.tokenizer.num_pieces}"
            )
        if max_tokens > self.transformer.positions:
            raise ValueError(
                f"max_tokens: expected at most {self.transformer.positions}, "
                f"the positions of this model, got {max_tokens}"
            )
        self.pooling = pooling
        self._lowercase = lowercase
        self.normalize = normalize
        # Where Keras finds the weights.
        self.layer = self.transformer.layer
        self._architecture = dict(config)
        self.trainable_layers = trainable_layers
        if pooling == "attention":
            self.attention = self.add_weight(name="attention", shape=(self.dim,), initializer="zeros")
        self._freeze()
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
            name: `"minilm"`, `"tiny"`, the path of a Transformers checkpoint folder, or what
                `find_text_model` found.
            pooling: As in the constructor.
            max_tokens: As in the constructor.
            normalize: As in the constructor.
            folder: Where to look for `"minilm"` first.
            timeout: Seconds to wait for the Hugging Face hub to answer.
            **kwargs: Passed to the constructor (`name` is taken: the layer's own name is the default).

        Returns:
            The encoder, frozen unless `trainable_layers` is among `kwargs`.

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
        encoder.transformer.load(found)
        encoder._freeze()
        return encoder

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.transformer.dim

    def call(self, texts: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Encode a batch.

        Args:
            texts: Strings `[batch]`.
            training: Whether to apply dropout; never while frozen.

        Returns:
            Vectors float32 `[batch, dim]`; a text without any token has the zero vector.
        """
        tokens = self.tokenizer(texts)
        return self._vectors(tokens["input_ids"], tokens["attention_mask"], training)

    @property
    def trained(self) -> bool:
        """Whether training changes some of the weights; then a tower runs it on `to_rows` of the texts."""
        return self.trainable_layers != "none"

    @property
    def row_spec(self) -> tuple[tuple[int, ...], str]:
        """Shape and type of what `to_rows` makes of a text."""
        return (self.tokenizer.max_tokens,), "int32"

    def to_rows(self, texts: tf.Tensor) -> tf.Tensor:
        """Tokenize texts `[batch]` to int32 `[batch, max_tokens]`: ids plus one, 0 for padding."""
        tokens = self.tokenizer(texts)
        rows = (tokens["input_ids"] + 1) * tokens["attention_mask"]
        rows = tf.pad(rows, [[0, 0], [0, self.tokenizer.max_tokens - tf.shape(rows)[1]]])
        return tf.ensure_shape(rows, [None, self.tokenizer.max_tokens])

    def rows_of(self, texts: Contents, batch_size: int = 1024) -> np.ndarray:
        """Tokenize many texts as `to_rows` does, int32 `[n, max_tokens]`."""
        rows = np.zeros([len(texts), *self.row_spec[0]], np.int32)
        for start in range(0, len(texts), batch_size):
            stop = min(start + batch_size, len(texts))
            batch = tf.constant([texts[row] for row in range(start, stop)], tf.string)
            rows[start:stop] = self.to_rows(batch).numpy()
        return rows

    def join_rows(self, pieces: tf.Tensor) -> tf.Tensor:
        """Make a row of each list of pieces int32 `[batch, n]`, ids plus one with 0 between, by framing them."""
        words = tf.ragged.boolean_mask(pieces, pieces > 0)[:, : self.tokenizer.max_tokens - 2]
        first, last = (
            tf.fill([tf.shape(pieces)[0], 1], edge + 1)
            for edge in (self.tokenizer.first, self.tokenizer.last)
        )
        return tf.concat([first, words, last], axis=1).to_tensor(shape=[None, self.tokenizer.max_tokens])

    @staticmethod
    def present(rows: tf.Tensor) -> tf.Tensor:
        """Tell which rows `[batch, max_tokens]` have a token, bool `[batch]`."""
        return tf.math.count_nonzero(rows, axis=1) > 2

    def encode_rows(
        self, rows: tf.Tensor, training: bool | None = None, step: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Encode what `to_rows` made; equal rows once.

        Args:
            rows: Int32 `[batch, max_tokens]`.
            training: Whether to apply dropout; never while frozen.
            step: An integer that decides the draws of dropout, so that a training can be repeated; `None` draws
                anew each time.

        Returns:
            Vectors float32 `[batch, dim]`.
        """
        places, ids, mask = self._distinct(rows)
        return tf.gather(self._vectors(ids, mask, training, step), places)

    def _distinct(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns where each row stands among the distinct ones, and the ids and the mask of those."""
        distinct = tf.raw_ops.UniqueV2(x=rows, axis=[0], out_idx=tf.int32)
        # Only as wide as the longest; at least [CLS] and [SEP], since attention over nothing fails.
        lengths = tf.math.count_nonzero(distinct.y, axis=1, dtype=tf.int32)
        rows = distinct.y[:, : tf.reduce_max(tf.concat([lengths, [2]], axis=0))]
        mask = tf.cast(rows > 0, tf.int32)
        return distinct.idx, tf.where(rows > 0, rows - 1, self.tokenizer.pad), mask

    @property
    def max_parts(self) -> int:
        """Tokens of a text that `encode_parts` gives: at most 32, those that frame it are none of them."""
        return min(MAX_PARTS, self.tokenizer.max_tokens - 2)

    def encode_parts(
        self, rows: tf.Tensor, training: bool | None = None, step: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Encode what `to_rows` made, and its tokens, in one pass.

        Args:
            rows: As for `encode_rows`.
            training: As for `encode_rows`.
            step: As for `encode_rows`.

        Returns:
            Vectors float32 `[batch, dim]`, and the first tokens float32 `[batch, max_parts, dim]`, each of length 1;
            zero where there is none.
        """
        places, ids, mask = self._distinct(rows)
        hidden = self.transformer.hidden(ids, mask, training and self.trainable, step)
        # A token is a word's if another one, at least the last of the frame, comes after it.
        words = tf.cast(mask[:, 2 : self.max_parts + 2], tf.float32)[..., tf.newaxis]
        parts = tf.math.l2_normalize(hidden[:, 1:-1][:, : self.max_parts], axis=2) * words
        parts = tf.pad(parts, [[0, 0], [0, self.max_parts - tf.shape(parts)[1]], [0, 0]])
        parts = tf.ensure_shape(parts, [None, self.max_parts, self.dim])
        return tf.gather(self._pooled(hidden, mask), places), tf.gather(parts, places)

    def _vectors(
        self, ids: tf.Tensor, mask: tf.Tensor, training: bool | None, step: tf.Tensor | None = None
    ) -> tf.Tensor:
        return self._pooled(self.transformer.hidden(ids, mask, training and self.trainable, step), mask)

    def _pooled(self, hidden: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        if self.pooling == "cls":
            vectors = hidden[:, 0]
        else:
            weights = tf.cast(mask, tf.float32)
            if self.pooling == "attention":
                # In float32 whatever the policy: a half-precision weight would be cast on its way in.
                scores = tf.einsum("bld,d->bl", hidden, tf.cast(self.attention, tf.float32))
                weights *= tf.exp(scores - tf.reduce_max(scores, axis=1, keepdims=True))
            weights /= tf.maximum(tf.reduce_sum(weights, axis=1, keepdims=True), 1e-9)
            vectors = tf.einsum("bl,bld->bd", weights, hidden)
        if self.normalize:
            vectors = tf.math.l2_normalize(vectors, axis=1)
        has_words = tf.reduce_sum(mask, axis=1, keepdims=True) > 2
        return tf.ensure_shape(tf.where(has_words, vectors, 0.0), [None, self.dim])

    def _freeze(self) -> None:
        """Leaves trainable what `trainable_layers` says."""
        self.trainable = self.trained
        self.transformer.train(self.trainable_layers)

    def encode(self, texts: Contents, batch_size: int = 32, progress: Progress = True) -> np.ndarray:
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
        del config["name"], config["trainable_layers"]
        if config["dtype"] == "float32":
            del config["dtype"]
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
        for weight in self.get_weights():
            digest.update(f"{weight.dtype}{weight.shape}".encode())
            digest.update(np.ascontiguousarray(weight).data)
        return digest.hexdigest()

    def get_config(self) -> dict:
        """Return the constructor's arguments; the weights are no part of it."""
        words = self.tokenizer.vocabulary
        return {
            "name": self.name,
            "config": dict(self._architecture),
            "vocabulary": list(words) if not isinstance(words, Mapping) else dict(words),
            "pooling": self.pooling,
            "max_tokens": self.tokenizer.max_tokens,
            "normalize": self.normalize,
            "lowercase": self._lowercase,
            "trainable_layers": self.trainable_layers,
            "dtype": self.dtype_policy.name,
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


def _checked(trainable_layers: int | str, layers: int) -> int | str:
    """Returns the number of trainable layers, 0 as "none"; refuses what the model does not have."""
    if trainable_layers in ("none", "all"):
        return trainable_layers
    if isinstance(trainable_layers, bool) or not isinstance(trainable_layers, int):
        raise ValueError(f"trainable_layers: expected 'none', 'all' or a number, got {trainable_layers!r}")
    if not 0 <= trainable_layers <= layers:
        raise ValueError(
            f"trainable_layers: expected 0 to the {layers} of this model, got {trainable_layers}"
        )
    return trainable_layers or "none"
