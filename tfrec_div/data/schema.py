"""The features of a dataset with their vocabularies and statistics: all that a model must know of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from tfrec_div.data.features import Feature
from tfrec_div.data.values import as_strings


@dataclass(frozen=True)
class Schema:
    """What is known about users and items, without the data. Goes through JSON unchanged.

    Args:
        user_features: Features of users, without the id.
        item_features: Features of items, without the id.
        user_ids: Ids of the users by row.
        item_ids: Ids of the items by row.
        vocabularies: Values of each category, keyed `"item/categories"`, `"user/occupation"`.
        statistics: `mean` and `std` of each number and timestamp, keyed alike.
        interaction_columns: Optional columns that the interactions have, such as `"rating"` and
            `"timestamp"`.

    Example:
        >>> schema = Schema((), (), ("ann", "bob"), ("7", "007"))
        >>> schema.item_rows(["007", "8", 7])
        array([ 1, -1,  0], dtype=int32)
    """

    user_features: tuple[Feature, ...]
    item_features: tuple[Feature, ...]
    user_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    vocabularies: dict[str, tuple[str, ...]] = field(default_factory=dict)
    statistics: dict[str, dict[str, float]] = field(default_factory=dict)
    interaction_columns: tuple[str, ...] = ()

    def __hash__(self) -> int:
        # Ids by the million are not worth hashing: equality compares them.
        return hash((self.user_features, self.item_features, len(self.user_ids), len(self.item_ids)))

    @property
    def num_users(self) -> int:
        """The number of users."""
        return len(self.user_ids)

    @property
    def num_items(self) -> int:
        """The number of items."""
        return len(self.item_ids)

    def user_rows(self, ids: Iterable) -> np.ndarray:
        """Looks up users.

        Args:
            ids: Ids `[n]`; anything that is no `str` is looked up by its text.

        Returns:
            Int32 `[n]`, -1 for an unknown id.
        """
        return self._user_index.get_indexer(pd.Index(as_strings(ids), dtype=object)).astype(np.int32)

    def item_rows(self, ids: Iterable) -> np.ndarray:
        """Looks up items.

        Args:
            ids: Ids `[n]`; anything that is no `str` is looked up by its text.

        Returns:
            Int32 `[n]`, -1 for an unknown id.
        """
        return self._item_index.get_indexer(pd.Index(as_strings(ids), dtype=object)).astype(np.int32)

    def features(self, side: str) -> tuple[Feature, ...]:
        """Returns the features of one side.

        Args:
            side: `"user"` or `"item"`.
        """
        if side not in ("user", "item"):
            raise ValueError(f'expected side "user" or "item", got {side!r}')
        return self.user_features if side == "user" else self.item_features

    def features_of(self, side: str, kind: str) -> tuple[Feature, ...]:
        """Returns the features of one side that are of one kind.

        Args:
            side: `"user"` or `"item"`.
            kind: Such as `"text"`.
        """
        return tuple(feature for feature in self.features(side) if feature.kind == kind)

    def feature(self, side: str, name: str) -> Feature:
        """Returns one feature.

        Args:
            side: `"user"` or `"item"`.
            name: The name of its column.

        Raises:
            KeyError: If there is no such feature.
        """
        for feature in self.features(side):
            if feature.name == name:
                return feature
        known = ", ".join(feature.name for feature in self.features(side)) or "none"
        raise KeyError(f"no {side} feature {name!r}; there are: {known}")

    def to_json(self) -> dict:
        """Returns the schema as values that `json.dumps` takes."""
        return {
            "user_features": [feature.to_dict() for feature in self.user_features],
            "item_features": [feature.to_dict() for feature in self.item_features],
            "user_ids": list(self.user_ids),
            "item_ids": list(self.item_ids),
            "vocabularies": {key: list(values) for key, values in self.vocabularies.items()},
            "statistics": {key: dict(values) for key, values in self.statistics.items()},
            "interaction_columns": list(self.interaction_columns),
        }

    @classmethod
    def from_json(cls, values: dict) -> Schema:
        """Makes the schema that `to_json` described.

        Args:
            values: What `to_json` returned, or what came back from JSON.

        Returns:
            An equal schema.
        """
        return cls(
            user_features=tuple(Feature.from_dict(feature) for feature in values["user_features"]),
            item_features=tuple(Feature.from_dict(feature) for feature in values["item_features"]),
            user_ids=tuple(values["user_ids"]),
            item_ids=tuple(values["item_ids"]),
            vocabularies={key: tuple(names) for key, names in values["vocabularies"].items()},
            statistics={key: dict(numbers) for key, numbers in values["statistics"].items()},
            interaction_columns=tuple(values["interaction_columns"]),
        )

    @cached_property
    def _user_index(self) -> pd.Index:
        return pd.Index(self.user_ids, dtype=object)

    @cached_property
    def _item_index(self) -> pd.Index:
        return pd.Index(self.item_ids, dtype=object)
