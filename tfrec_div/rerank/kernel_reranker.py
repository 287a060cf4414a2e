"""Re-rankers that compare candidates by a kernel."""

from __future__ import annotations

from typing import Any

from tfrec_div._keras import keras
from tfrec_div.rerank.base import Reranker
from tfrec_div.rerank.kernels import Kernel, make_kernel


class KernelReranker(Reranker):
    """Base of the re-rankers that compare candidates by a kernel.

    Args:
        k: number of picks.
        diversity: level used when the inputs have none, in [0, 1].
        score_normalization: see `Reranker`.
        kernel: how alike two candidates are: `"cosine"` (of `vectors`), `"dot"`, `"rbf"`, a feature (`"text"`), or a
            mixture such as `"0.5 text, 0.3 image, 0.2 equality(brand)"`; see `make_kernel`. The inputs must
            have the features that it reads.
        **kwargs: of `keras.layers.Layer`.
    """

    def __init__(
        self,
        k: int = 10,
        diversity: float = 0.3,
        score_normalization: str = "minmax",
        kernel: str | Kernel | dict[str, Any] = "cosine",
        **kwargs: Any,
    ) -> None:
        super().__init__(k, diversity, score_normalization, **kwargs)
        # A layer that is loaded gets the kernel as it was saved.
        loaded = keras.saving.deserialize_keras_object(kernel) if isinstance(kernel, dict) else kernel
        self.kernel = make_kernel(loaded)

    @property
    def features(self) -> tuple[str, ...]:
        """The features that the kernel reads."""
        return self.kernel.features

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "kernel": keras.saving.serialize_keras_object(self.kernel)}
