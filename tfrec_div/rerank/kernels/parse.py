"""Kernels by name, as they are written on a command line."""

from __future__ import annotations

import re

from tfrec_div.rerank.kernels.base import Kernel
from tfrec_div.rerank.kernels.cosine import Cosine
from tfrec_div.rerank.kernels.dot import Dot
from tfrec_div.rerank.kernels.equality import Equality
from tfrec_div.rerank.kernels.jaccard import Jaccard
from tfrec_div.rerank.kernels.mixture import Mixture
from tfrec_div.rerank.kernels.rbf import RBF

KERNELS: dict[str, type[Kernel]] = {
    "cosine": Cosine,
    "dot": Dot,
    "rbf": RBF,
    "jaccard": Jaccard,
    "equality": Equality,
}

_TERM = re.compile(r"(?:(?P<weight>\d*\.?\d+)\s*\*?\s*)?(?P<name>\w+)(?:\((?P<feature>\w+)\))?")


def make_kernel(kernel: str | Kernel) -> Kernel:
    """A kernel from what a user writes.

    Args:
        kernel: a `Kernel`; the name of one (`"cosine"`, `"dot"`, `"rbf"`, `"jaccard"`, `"equality"`), alone or
            with a feature (`"jaccard(categories)"`); a feature (`"text"`), by its cosine; or several of these
            with weights (`"0.5 text, 0.3 image, 0.2 jaccard(categories)"`).

    Raises:
        ValueError: it cannot be read.

    Example:
        >>> from tfrec_div.rerank.kernels import make_kernel
        >>> make_kernel("jaccard(categories)")
        Jaccard(feature='categories')
        >>> make_kernel("0.5 text, 0.5 equality(brand)").features
        ('text', 'brand')
    """
    if isinstance(kernel, Kernel):
        return kernel
    written = kernel if isinstance(kernel, str) else ""
    terms = [_TERM.fullmatch(term.strip()) for term in written.split(",")]
    if None in terms:
        raise ValueError(
            "kernel must be a Kernel or a text such as 'cosine', 'jaccard(categories)' or "
            f"'0.5 text, 0.3 image, 0.2 equality(brand)'; received {kernel!r}"
        )
    found = [_one(term["name"], term["feature"]) for term in terms if term is not None]
    weights = [float(term["weight"] or 1.0) for term in terms if term is not None]
    return found[0] if len(found) == 1 else Mixture(weights, found)


def _one(name: str, feature: str | None) -> Kernel:
    if name not in KERNELS:
        if feature is not None:
            raise ValueError(f"kernel must be one of {', '.join(KERNELS)}; received {name!r}")
        return Cosine(name)
    return KERNELS[name]() if feature is None else KERNELS[name](feature)
