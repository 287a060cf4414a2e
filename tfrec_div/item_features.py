"""The features of the items that re-rankers read, by row, in variables."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tfrec_div._keras import tf
from tfrec_div.data.catalog import Catalog
from tfrec_div.data.dataset import Dataset
from tfrec_div.metrics import long_tail
from tfrec_div.models.retriever import Retriever
from tfrec_div.towers.content import content_vectors

TOWERS = ("text", "image")


class ItemFeatures(tf.Module):
    """Tables of item features; each is made when a re-ranker first needs it.

    A table is float [items, dim], or whole numbers [items], a code per item (-1: none). There are

    - `vectors`: what diversity is measured on by default;
    - `aspects`: which categories an item has, those of the catalogue's first multivalued category;
    - `groups`: 1 for an item of the long tail, 0 for the popular ones that hold 80 % of the interactions;
    - `text`, `image`: the content vectors of that tower;
    - the name of any category: its codes, or which values an item has where there may be several;
    - whatever was given.

    Args:
        retriever: Model whose towers' content is read.
        catalog: The items.
        vectors: Float [items, dim], the feature `vectors`.
        own: Features by name, instead of those above or besides them: numbers, or strings [items], whose codes are
            those of their alphabetical order ("" is none). Whole numbers beyond 32 bits become codes in their order;
            the negative ones among them are none.

    Attributes:
        centred_on: How many items, from the first, have the mean that content vectors are centred on; all by default,
            and those of before where items were added.

    Raises:
        ValueError: If an array is no such feature, or `aspects` has a negative number.
    """

    def __init__(
        self, retriever: Retriever, catalog: Catalog, vectors: Any, own: Mapping[str, Any] | None = None
    ):
        super().__init__(name="item_features")
        self._retriever, self._catalog = retriever, catalog
        self.centred_on = len(catalog)
        self._tables: dict[str, tf.Variable] = {}
        self.own = frozenset(own or ())
        for name, values in {"vectors": vectors, **(own or {})}.items():
            table = _checked(f"features[{name!r}]", values, len(catalog))
            if name == "aspects" and table.ndim == 2 and (table < 0).any():
                raise ValueError(
                    f"features['aspects']: expected numbers of at least 0, got {table[table < 0][0]}"
                )
            self._tables[name] = _variable(table)

    def require(self, names: Iterable[str], by: str, item_counts: np.ndarray) -> None:
        """Makes the tables that are not there yet.

        Args:
            names: Names of features.
            by: Who needs them, for the message.
            item_counts: Interactions of each item, int [items].

        Raises:
            ValueError: If the items have no such feature; the message says what there is.
        """
        for name in names:
            if name not in self._tables:
                self._tables[name] = _variable(self._made(name, by, item_counts))

    def refresh(self, item_counts: np.ndarray) -> None:
        """Makes anew what follows from the histories: which items are popular."""
        if "groups" in self._tables and "groups" not in self.own:
            self._tables["groups"].assign(long_tail(item_counts).astype(np.int32))

    def copy(self) -> ItemFeatures:
        """Returns features that share the tables, but for those that follow from the histories."""
        other = ItemFeatures.__new__(ItemFeatures)
        tf.Module.__init__(other, name="item_features")
        other._retriever, other._catalog, other.own = self._retriever, self._catalog, self.own
        other.centred_on = self.centred_on
        other._tables = dict(self._tables)
        if "groups" not in self.own:
            other._tables.pop("groups", None)
        return other

    def __getitem__(self, name: str) -> tf.Variable:
        """The table of a feature."""
        return self._tables[name]

    @property
    def tables(self) -> dict[str, tf.Variable]:
        """All tables by name."""
        return dict(self._tables)

    def of(self, name: str, rows: tf.Tensor) -> tf.Tensor:
        """Returns a feature of candidates, [batch, n] or [batch, n, dim]; what that of the row -1 is does not count.

        Args:
            name: Name of a table.
            rows: Integer [batch, n].
        """
        return tf.gather(self._tables[name], tf.maximum(rows, 0))

    def of_context(self, name: str, rows: tf.Tensor) -> tf.Tensor:
        """Returns a feature of items shown before; that of the row -1 is missing: zeros, or the code -1."""
        found = self.of(name, rows)
        if found.shape.rank == 2:
            return tf.where(rows >= 0, found, -1)
        return tf.where(rows[:, :, tf.newaxis] >= 0, found, 0.0)

    def _made(self, name: str, by: str, item_counts: np.ndarray) -> np.ndarray:
        check_features([name], by, self._retriever, self._catalog, self._tables)
        if name == "groups":
            return long_tail(item_counts).astype(np.int32)
        if name == "aspects":
            return self._catalog.category_matrix()
        model = self._retriever.content_model
        if model is not None and name in content_towers(self._retriever):
            return content_vectors({name: model.content(name)}, centred_on=self.centred_on)
        codes = self._catalog.encoded()[name]
        several = getattr(self._catalog.schema.feature("item", name), "multivalued", False)
        return self._catalog.category_matrix(name) if several else codes[:, 0] - 1


def check_features(
    names: Iterable[str], by: str, retriever: Retriever, catalog: Catalog, own: Iterable[str] = ()
) -> None:
    """Refuses a re-ranker whose features the items do not have.

    Args:
        names: Names of features that it needs.
        by: Who needs them, for the message.
        retriever: Model whose towers' content may be read.
        catalog: The items.
        own: Names of features that are given.

    Raises:
        ValueError: If there is no such feature; the message says what there is.
    """
    categories = [feature.name for feature in catalog.schema.features_of("item", "category")]
    aspects = ["aspects"] if categories else []
    there = list(
        dict.fromkeys(["vectors", "groups", *aspects, *content_towers(retriever), *categories, *own])
    )
    for name in names:
        if name not in there:
            what = "a category of the items" if name == "aspects" else "a feature of the items"
            raise ValueError(
                f"{by} reads {name!r}, {what}, which this catalogue does not have; there are {', '.join(there)}; "
                f"any other can be given as features={{{name!r}: array}}"
            )


def content_towers(retriever: Retriever) -> list[str]:
    """Returns which of the towers "text" and "image" have encoded the catalogue's content."""
    if (model := retriever.content_model) is None:
        return []
    there = {name.partition("/")[0] for name in model.item_table.values}
    return [tower for tower in TOWERS if tower in there]


def content_of(retriever: Retriever, data: Dataset, centred_on: int | None = None) -> np.ndarray:
    """Returns the items' content vectors: what the text and image towers make, and the categories.

    Args:
        retriever: Whose towers have read the content.
        data: The items.
        centred_on: How many items, from the first, have the mean that vectors are centred on; None: all.
    """
    parts = {}
    if (model := retriever.content_model) is not None:
        parts = {name: model.content(name) for name in content_towers(retriever)}
    categories = data.catalog.category_matrix()
    if categories.shape[1]:
        parts["categories"] = categories.astype(bool)
    if not parts:
        parts["retrieval"] = retriever.item_embeddings()
        found = (
            "the retriever's own vectors are used, so that relevance and diversity are measured in one space"
            if parts["retrieval"].any()
            else "nor does the retriever tell which items are alike, so that there is nothing to diversify by"
        )
        warnings.warn(
            f"the items have no text, picture or category to measure diversity on: {found}", stacklevel=3
        )
    return content_vectors(parts, centred_on=centred_on)


def _checked(argument: str, values: Any, items: int) -> np.ndarray:
    values = np.asarray(values)
    kinds = {1: "iubOUS", 2: "iubf"}.get(values.ndim, "")
    if values.shape[:1] != (items,) or values.dtype.kind not in kinds:
        raise ValueError(
            f"{argument}: expected numbers [{items}, dim], or codes (whole numbers or strings) [{items}]; "
            f"got {values.dtype} {list(values.shape)}"
        )
    if values.dtype.kind in "OUS":
        distinct, values = np.unique(values.astype(str), return_inverse=True)
        # The empty string is the first of all.
        values = values - int("" in distinct[:1])
    elif values.ndim == 1 and values.dtype.kind in "iu":
        values = _codes(values)
    values = values.astype(np.int32 if values.ndim == 1 else np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"{argument}: expected finite numbers, got {values[~np.isfinite(values)][0]}")
    return values


def _codes(values: np.ndarray) -> np.ndarray:
    """Returns whole numbers as they are, or, when 32 bits are too few for them, their places in their order."""
    limits = np.iinfo(np.int32)
    if not values.size or (limits.min <= int(values.min()) and int(values.max()) <= limits.max):
        return values
    there = values >= 0
    codes = np.full(values.shape, -1, np.int64)
    codes[there] = np.unique(values[there], return_inverse=True)[1]
    return codes


def _variable(values: np.ndarray) -> tf.Variable:
    return tf.Variable(values, trainable=False, name="item_feature")
