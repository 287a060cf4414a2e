"""How likely a person is to look at a place of a list, from what was shown and clicked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfrec_div.data.impressions import Impressions

GROUPS = ("item", "user_item")


@dataclass(frozen=True, eq=False)
class PositionPropensities:
    """Probabilities of a look by position, relative to the position that is looked at most.

    Args:
        positions: Increasing whole numbers `[p]`, as the log counts.
        values: Float64 `[p]` in [0, 1].
    """

    positions: np.ndarray
    values: np.ndarray

    def at(self, positions: np.ndarray) -> np.ndarray:
        """Returns the propensities of positions of any shape, float64 alike.

        Between known positions they are interpolated; before the first and behind the last they are those of these.

        Example:
            >>> PositionPropensities(np.array([1, 2, 4]), np.array([1.0, 0.6, 0.2])).at(np.array([2, 3, 9]))
            array([0.6, 0.4, 0.2])
        """
        return np.interp(positions, self.positions, self.values)


def logged_propensities(impressions: Impressions) -> PositionPropensities:
    """Takes the propensities of positions from the column `propensity`: its mean over each position.

    Args:
        impressions: With propensities of some impressions.

    Returns:
        Of the positions that have any.

    Raises:
        ValueError: There are none.
    """
    column = impressions.propensity
    if column is None or np.isnan(column).all():
        raise ValueError("impressions: expected a column propensity with values, got none")
    given = ~np.isnan(column)
    positions, place = np.unique(impressions.position[given], return_inverse=True)
    means = np.bincount(place, column[given]) / np.bincount(place)
    return PositionPropensities(positions, means / means.max())


def estimate_propensities(
    impressions: Impressions, group: str = "item", iterations: int = 2000, tolerance: float = 1e-6
) -> PositionPropensities:
    """Estimates how likely a look at each position is from clicks, by expectation maximisation.

    The position-based model: a click needs a look, whose probability depends on the position, and a wish, whose
    probability depends on what is shown; the two are independent. It tells them apart by what was shown at several
    positions. Where nothing was, as in a log of one ranker that always shows the same lists, they cannot be told
    apart, and the estimate is worth nothing. Without a click all positions are alike.

    Args:
        impressions: Any log with positions and clicks.
        group: What has one probability of being wished for: an "item", whoever sees it, or "user_item", an item for a
            user. The latter is right where lists are personal, and needs users who saw an item many times, at several
            positions: with few repeats anything fits, and all positions come out alike.
        iterations: Most rounds.
        tolerance: Rounds end when no propensity changes by more.

    Returns:
        Of the positions in the log; the greatest is 1.

    Raises:
        ValueError: An unknown group, or no impressions.

    Example:
        >>> item, position = np.repeat([0, 1, 0, 1], 10), np.repeat([1, 1, 2, 2], 10)
        >>> clicked = np.tile(np.arange(10), 4) < np.repeat([8, 4, 4, 2], 10)
        >>> rows = {"user": np.zeros(40), "timestamp": np.zeros(40), "item": item, "position": position}
        >>> estimate_propensities(Impressions.from_rows(**rows, clicked=clicked)).values.round(3)
        array([1. , 0.5])

    Chuklin, Markov and de Rijke (2015), Click models for web search; Wang, Golbandi, Bendersky, Metzler and Najork
    (2018), Position bias estimation for unbiased learning to rank in personal search.
    """
    if group not in GROUPS:
        raise ValueError(f"group: expected one of {', '.join(GROUPS)}, got {group!r}")
    if len(impressions) == 0:
        raise ValueError("impressions: expected at least one, got none")
    positions, place = np.unique(impressions.position, return_inverse=True)
    key = impressions.item.astype(np.int64)
    if group == "user_item":
        key = impressions.user * (key.max() + 1) + key
    # All that the model knows of the log is how often each group was shown and clicked at each position.
    shown_key, shown = np.unique(key, return_inverse=True)
    cells, cell = np.unique(shown * len(positions) + place, return_inverse=True)
    owner, place = np.divmod(cells, len(positions))
    count = np.bincount(cell).astype(np.float64)
    clicks = np.bincount(cell, impressions.clicked)
    if not clicks.any():
        return PositionPropensities(positions, np.ones(len(positions)))
    by_place, by_owner = np.bincount(place, count), np.bincount(owner, count)
    look = np.bincount(place, clicks) / by_place
    look /= look.max()
    wish = np.full(len(shown_key), 0.5)
    for _ in range(iterations):
        looked, wished = look[place], wish[owner]
        # What a click that did not come leaves possible: a look without a wish, or a wish without a look.
        neither = (count - clicks) / np.maximum(1.0 - looked * wished, 1e-12)
        before = look
        look = np.bincount(place, clicks + neither * looked * (1.0 - wished)) / by_place
        wish = np.bincount(owner, clicks + neither * wished * (1.0 - looked)) / by_owner
        if np.abs(look / look.max() - before / before.max()).max() < tolerance:
            break
    return PositionPropensities(positions, look / look.max())


def propensities_of(impressions: Impressions, propensities: PositionPropensities | None = None) -> np.ndarray:
    """Returns the propensity of each impression, float64 `[n]`.

    Args:
        impressions: Any log.
        propensities: Of the positions, for impressions without a `propensity` of their own; by default
            `estimate_propensities` of the log, if there are such.
    """
    values = np.full(len(impressions), np.nan)
    if impressions.propensity is not None:
        values = impressions.propensity.astype(np.float64)
    missing = np.isnan(values)
    if not missing.any():
        return values
    propensities = propensities or estimate_propensities(impressions)
    return np.where(missing, propensities.at(impressions.position), values)


def inverse_propensity_weights(
    impressions: Impressions, propensities: PositionPropensities | None = None, clip: float = 20.0
) -> np.ndarray:
    """Returns 1 / propensity of each impression: what a click counts for, so that clicks at all places count alike.

    The mean of click × weight over the impressions of an item is then how much it is wished for, whatever its places
    were, relative to what the best place would bring. Only clicks are weighed by it: no click has no weight to
    correct (see `BinaryCrossEntropy`, `weighted="labels"`; pairwise and listwise losses weigh what is relevant).

    Args:
        impressions: Any log.
        propensities: Of the positions, for impressions without a `propensity` of their own; by default
            `estimate_propensities` of the log, if there are such.
        clip: The greatest weight, at least 1: rare clicks at the last places then cannot outweigh all others, for
            some bias.

    Returns:
        Float64 `[n]` in [1, clip].

    Raises:
        ValueError: clip is less than 1.

    Example:
        >>> columns = {"user": [0, 0], "item": [0, 1], "timestamp": [5, 5], "clicked": [0, 1]}
        >>> log = Impressions.from_rows(**columns, position=[1, 2], propensity=[1.0, 0.25])
        >>> inverse_propensity_weights(log)
        array([1., 4.])

    Joachims, Swaminathan and Schnabel (2017), Unbiased learning-to-rank with biased feedback.
    """
    if not clip >= 1.0:
        raise ValueError(f"clip: expected at least 1, got {clip}")
    return 1.0 / np.maximum(propensities_of(impressions, propensities), 1.0 / clip)
