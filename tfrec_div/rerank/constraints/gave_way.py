"""What a user is told of constraints that had to give way."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np


def warn_of_broken(broken: Mapping[str, np.ndarray], of: str, stacklevel: int) -> None:
    """Warns of the constraints that some pages break, all in one warning.

    Args:
        broken: whether a page breaks a constraint, bool `[pages]` by the text of the constraint.
        of: how many pages there are of what, such as `"60 users"`.
        stacklevel: of the warning, counted from the caller.
    """
    counts = {name: int(np.sum(pages)) for name, pages in broken.items()}
    if any(counts.values()):
        said = ", ".join(f"{name} for {count}" for name, count in counts.items() if count)
        warnings.warn(f"constraints that could not be kept, of {of}: {said}", stacklevel=stacklevel + 1)
