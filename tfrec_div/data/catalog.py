"""The items: what is recommended, and the content that diversity is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from tfrec_div.data.entities import Entities
from tfrec_div.data.features import Category


@dataclass(frozen=True, eq=False)
class Catalog(Entities):
    """Items in columns, with their texts, pictures and categories.

    Example:
        >>> from tfrec_div.data import from_frames
        >>> log = pd.DataFrame({"user_id": ["u"], "item_id": ["a"]})
        >>> items = pd.DataFrame({"item_id": ["a", "b"], "title": ["Tea", ""], "categories": ["a|b", "b"]})
        >>> catalog = from_frames(log, items).catalog
        >>> catalog.titles(), catalog.category_matrix().tolist()
        (['Tea', 'b'], [[1.0, 1.0], [1.0, 0.0]])
    """

    @property
    def has_text(self) -> np.ndarray:
        """Boolean `[n]`: whether any text feature holds more than white space."""
        return np.fromiter((text != "" for text in self.texts()), bool, len(self))

    @property
    def has_image(self) -> np.ndarray:
        """Boolean `[n]`: whether any image feature has a picture."""
        has = np.zeros(len(self), bool)
        for feature in self.schema.features_of("item", "image"):
            has |= self.columns[feature.name].astype(bool)
        return has

    def texts(self, fields: Sequence[str] | None = None) -> list[str]:
        """Joins the texts of each item by '. ', leaving out those that are empty.

        Args:
            fields: Names of columns in the order wanted. `None`: all text features, the title first.

        Returns:
            One text per item, empty when the item has none.
        """
        if fields is None:
            names = [feature.name for feature in self.schema.features_of("item", "text")]
            fields = sorted(names, key=lambda name: name != "title")
        unknown = [name for name in fields if name not in self.columns]
        if unknown:
            raise KeyError(f"no item column {unknown[0]!r}; there are: {', '.join(self.columns) or 'none'}")
        parts = [[str(value).strip() for value in self.columns[name]] for name in fields]
        return (
            [". ".join(filter(None, texts)) for texts in zip(*parts, strict=True)]
            if parts
            else [""] * len(self)
        )

    def titles(self) -> list[str]:
        """Returns what to call each item: its title, or its id when it has none."""
        if "title" not in self.columns:
            return self.ids.tolist()
        return [
            title if str(title).strip() else id_
            for title, id_ in zip(self.columns["title"], self.ids, strict=True)
        ]

    def image_bytes(self, row: int) -> bytes:
        """Reads the encoded picture of an item when it is asked for.

        Args:
            row: The row of the item, 0 to n - 1.

        Returns:
            The bytes of the file, empty when the item has no picture.
        """
        for feature in self.schema.features_of("item", "image"):
            if self.columns[feature.name][row]:
                return self.picture(feature.name, row)
        return b""

    def category_matrix(self, feature: str | None = None) -> np.ndarray:
        """Returns which item has which category; every value of an item counts, however many it has.

        Args:
            feature: Name of a category feature. `None`: the first multivalued one, else the first one.

        Returns:
            Float32 multi-hot `[n, V]` in the order of the vocabulary; `[n, 0]` when the items have no
            categories.
        """
        name = self.category_feature if feature is None else feature
        if name is None:
            return np.zeros((len(self), 0), np.float32)
        category = self.schema.feature("item", name)
        if not isinstance(category, Category):
            raise ValueError(
                f"expected the name of a category feature, got {name!r}, which is of kind {category.kind}"
            )
        if name not in self._category_matrices:
            vocabulary = self.schema.vocabularies[f"item/{name}"]
            item, values = category.values(self.columns[name])
            codes = pd.Index(vocabulary, dtype=object).get_indexer(values)
            matrix = np.zeros((len(self), len(vocabulary)), np.float32)
            matrix[item[codes >= 0], codes[codes >= 0]] = 1.0
            matrix.setflags(write=False)
            self._category_matrices[name] = matrix
        return self._category_matrices[name]

    @property
    def category_feature(self) -> str | None:
        """Name of the category that diversity is measured on by default, `None` when there is none."""
        categories = [feature for feature in self.schema.item_features if isinstance(feature, Category)]
        ranked = sorted(categories, key=lambda feature: not feature.multivalued)
        return ranked[0].name if ranked else None

    @cached_property
    def _category_matrices(self) -> dict[str, np.ndarray]:
        return {}
