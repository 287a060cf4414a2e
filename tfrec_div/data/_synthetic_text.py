"""Titles, descriptions and reviews of the synthetic shop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfrec_div.data import _synthetic_words as words
from tfrec_div.data.truth import DIMENSIONS


def write_titles(attributes: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Writes titles like 'Vintage brass lamp in teal' or 'Plain oak chair and cushion'.

    Args:
        attributes: As `draw_world` returns them.
        rng: Source of chance.

    Returns:
        Object array `[I]` of `str`.
    """
    n = len(attributes["category"])
    adjective = _pick_of([words.STYLE_WORDS[style] for style in words.STYLES], attributes["style"], rng)
    material = _pick_of([words.MATERIALS[name] for name in words.CATEGORIES], attributes["category"], rng)
    # The colour is named by three titles in four: a picture tells more about the look than the text.
    colour = _table(list(words.COLOURS))[attributes["colour"]]
    colour = np.where(rng.random(n) < 0.75, " in " + colour, "")
    title = adjective + " " + material + " " + thing(attributes) + colour
    return _table([text[0].upper() + text[1:] for text in title])


def write_descriptions(attributes: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Writes two to four sentences on style, use and quality, in any order.

    Args:
        attributes: As `draw_world` returns them.
        rng: Source of chance.

    Returns:
        Object array `[I]` of `str`.
    """
    n = len(attributes["category"])
    style = _table(words.STYLES)[attributes["style"]]
    use = _table(words.USE_PHRASES)[attributes["use"]]
    name = thing(attributes)
    article = np.where(np.isin(style.astype("U1"), list("aeiou")), "An ", "A ").astype(object)
    openings = np.stack(
        [
            article + style + " " + name + ", meant " + use + ".",
            "This " + name + " is " + style + " through and through and thought " + use + ".",
            "Looking for something " + style + "? Here is a " + name + " " + use + ".",
        ]
    )
    opening = openings[rng.integers(0, len(openings), n), np.arange(n)]
    look = _pick_of([words.STYLE_SENTENCES[style] for style in words.STYLES], attributes["style"], rng)
    purpose = _pick_of([words.USE_SENTENCES[use] for use in words.USES], attributes["use"], rng)
    grade = np.searchsorted([-0.6, 0.6], attributes["quality"])
    make = _pick_of(words.QUALITY_SENTENCES, grade, rng)
    first, then = np.where(rng.random(n) < 0.5, (look, purpose), (purpose, look))
    said = np.where(rng.random(n) < 0.75, first + " " + then, first)
    return opening + " " + said + np.where(rng.random(n) < 0.7, " " + make, "")


def write_reviews(sentiment: np.ndarray, dimension: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Writes reviews that praise, complain or shrug, about the dimension that matters to the user.

    Args:
        sentiment: -1 (complaint), 0 or 1 (praise), `[n]`.
        dimension: Index of the dimension spoken about, `[n]`.
        rng: Source of chance.

    Returns:
        Object array `[n]` of `str`.
    """
    praise = _pick_of([words.PRAISE[name] for name in DIMENSIONS], dimension, rng)
    complaint = _pick_of([words.COMPLAINT[name] for name in DIMENSIONS], dimension, rng)
    n = len(sentiment)
    praise = praise + " " + _table(words.PRAISE_ENDINGS)[rng.integers(0, len(words.PRAISE_ENDINGS), n)]
    complaint = (
        complaint + " " + _table(words.COMPLAINT_ENDINGS)[rng.integers(0, len(words.COMPLAINT_ENDINGS), n)]
    )
    middling = _table(words.MIDDLING)[rng.integers(0, len(words.MIDDLING), n)]
    texts = np.select([sentiment > 0, sentiment < 0], [praise, complaint], middling)
    return _table([text.strip() for text in texts])


def thing(attributes: dict[str, np.ndarray]) -> np.ndarray:
    """Returns what items are called: 'lamp', or 'lamp and clock' for an item of two categories."""
    names = _table(words.CATEGORIES)
    second = attributes["second"]
    return names[attributes["category"]] + np.where(second >= 0, " and " + names[second], "")


def _pick_of(choices: Sequence[Sequence[str]], index: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Picks one of `choices[index[i]]` for every i; all choices must be equally many."""
    table = np.array(choices, dtype=object)
    return table[index, rng.integers(0, table.shape[1], len(index))]


def _table(strings: Sequence[str]) -> np.ndarray:
    table = np.empty(len(strings), dtype=object)
    table[:] = list(strings)
    return table
