"""Users, items and what happened between them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from tfrec_div.data.catalog import Catalog
from tfrec_div.data.entities import Entities
from tfrec_div.data.errors import Problem
from tfrec_div.data.impressions import Impressions
from tfrec_div.data.interactions import Interactions
from tfrec_div.data.schema import Schema
from tfrec_div.data.split import SPLITS, split_impressions

if TYPE_CHECKING:
    from tfrec_div.data.batches import Batches


@dataclass(frozen=True, eq=False)
class Dataset:
    """A schema, the items, the users and their interactions.

    Args:
        schema: What is known about the features.
        catalog: The items.
        users: The users.
        interactions: Who did what.
        impressions: What was shown, if that is known.
        name: What to call it in a report.
        dropped: Rows left out while reading, by file; `images` counts pictures that were taken for missing.
        warnings: What was odd while reading but no error.

    Example:
        >>> import pandas as pd
        >>> from tfrec_div.data import from_frames
        >>> log = pd.DataFrame({"user_id": list("aaab"), "item_id": list("xyzx"), "timestamp": [1, 2, 3, 4]})
        >>> train, test = from_frames(log).split("temporal", test=0.4)
        >>> len(train.interactions), test.interactions.item.tolist()
        (3, [2])
    """

    schema: Schema
    catalog: Catalog
    users: Entities
    interactions: Interactions
    impressions: Impressions | None = None
    name: str = ""
    dropped: dict[str, int] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()

    def __post_init__(self):
        sizes = (
            (len(self.users), self.interactions.num_users),
            (len(self.catalog), self.interactions.num_items),
        )
        for side, have, size in zip(
            ("users", "items"), sizes, (self.schema.num_users, self.schema.num_items), strict=True
        ):
            if set(have) != {size}:
                raise ValueError(
                    f"expected {size} {side} as in the schema, got {have[0]} rows and room for {have[1]}"
                )

    def split(self, strategy: str = "temporal", test: float = 0.2, seed: int = 0) -> tuple[Dataset, Dataset]:
        """Holds out interactions for testing.

        Args:
            strategy: `temporal` (the last of each user), `global_time`, `leave_one_out`, `cold_items` or
                `sparse_users`; see `tfrec_div.data.split`.
            test: The share to hold out, between 0 and 1.
            seed: Decides which items or users where a split picks some.

        Returns:
            Train and test, which share schema, items and users.

        Raises:
            ValueError: If there is no such strategy, or the share is none.
        """
        if strategy not in SPLITS:
            raise ValueError(f"expected a split out of {', '.join(SPLITS)}, got {strategy!r}")
        train_rows, test_rows = SPLITS[strategy](self.interactions, test, seed)
        train = self.subset(self.interactions.take(train_rows))
        held = self.subset(self.interactions.take(test_rows))
        if self.impressions is None:
            return train, held
        shown = split_impressions(strategy, self.impressions, self.interactions, train_rows, test_rows)
        return (
            replace(train, impressions=self.impressions.take(shown[0])),
            replace(held, impressions=self.impressions.take(shown[1])),
        )

    def subset(self, interactions: Interactions) -> Dataset:
        """Returns the same users, items and impressions with other interactions.

        Args:
            interactions: Interactions of the same users and items.
        """
        return replace(self, interactions=interactions)

    def batches(self, batch_size: int, **options) -> Batches:
        """Returns the interactions as training batches.

        Args:
            batch_size: Rows in a batch.
            **options: As `tfrec_div.data.batches.Batches` takes them.
        """
        from tfrec_div.data.batches import Batches  # it needs TensorFlow, which reading data must not load

        return Batches(self, batch_size, **options)

    def summary(self) -> dict:
        """Returns plain numbers about the dataset.

        Returns:
            `users`, `items`, `interactions`, `density` (share of all user-item pairs), `first_time` and
            `last_time` (seconds since 1970, `None` without timestamps), `with_text` and `with_image` (shares
            of the items) and `categories` (values of the category that diversity is measured on).
        """
        log, catalog = self.interactions, self.catalog
        cells = self.schema.num_users * self.schema.num_items
        time = log.timestamp if len(log) else None
        category = catalog.category_feature
        return {
            "users": self.schema.num_users,
            "items": self.schema.num_items,
            "interactions": len(log),
            "density": len(log) / cells if cells else 0.0,
            "first_time": None if time is None else int(time.min()),
            "last_time": None if time is None else int(time.max()),
            "with_text": _share(catalog.has_text),
            "with_image": _share(catalog.has_image),
            "categories": len(self.schema.vocabularies[f"item/{category}"]) if category else 0,
        }

    def equals(self, other: Dataset) -> bool:
        """Tells whether both hold the same data, whatever folder it was read from.

        Args:
            other: Another dataset.
        """
        if self.impressions is None or other.impressions is None:
            same_impressions = self.impressions is other.impressions
        else:
            same_impressions = self.impressions.equals(other.impressions)
        return (
            same_impressions
            and self.schema == other.schema
            and self.catalog.equals(other.catalog)
            and self.users.equals(other.users)
            and self.interactions.equals(other.interactions)
        )


def _share(flags: np.ndarray) -> float:
    return float(flags.mean()) if len(flags) else 0.0
