"""What models share that are made of others."""

from __future__ import annotations

from pathlib import Path

from tfrec_div.data.dataset import Dataset
from tfrec_div.models.retriever import Retriever


class ModelOfParts(Retriever):
    """Base of the retrievers that have nothing to train but their parts.

    A subclass implements `parts`, `scores`, `similar` and the configuration.
    """

    @property
    def parts(self) -> tuple[Retriever, ...]:
        """The models that this one is made of."""
        raise NotImplementedError

    def compile(self, optimizer=None, **kwargs) -> None:
        """Compiles the parts, each with its own default.

        Args:
            optimizer: None; parts that want another than their default are compiled by themselves.
            **kwargs: As for `keras.Model.compile`, for each part.

        Raises:
            ValueError: If there is an optimizer: one cannot serve several models.
        """
        if optimizer is not None:
            raise ValueError(
                "optimizer: expected None, and the parts compiled by themselves where they want one; "
                f"got {optimizer!r}"
            )
        for part in self.parts:
            part.compile(**kwargs)

    def get_compile_config(self) -> dict:
        """Returns nothing: each part's configuration has its own."""
        return {}

    def compile_from_config(self, config: dict) -> None:
        """Does nothing: the parts were compiled when they were made."""

    def adapt(self, data: Dataset, cache_dir: str | Path | None = None, progress: bool = True) -> None:
        """Has each part read what its training needs; arguments as for `Retriever.adapt`."""
        for part in self.parts:
            part.adapt(data, cache_dir, progress)

    def fit(self, x=None, *args, **kwargs):
        """Trains each part in turn on the same arguments; returns the history of the last one."""
        for part in self.parts:
            history = part.fit(x, *args, **kwargs)
        return history
