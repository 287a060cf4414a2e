"""Names that are imported when they are first used, so that importing a package is quick (PEP 562)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping


def lazy_names(package: str, names: Mapping[str, str]) -> Callable[[str], object]:
    """Returns a package's `__getattr__`.

    Args:
        package: `__name__` of the package.
        names: The module of each public name, relative to the package; a name that equals its module is the module.
    """

    def find(name: str) -> object:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = module = importlib.import_module(f"{package}.{names[name]}")
        if name != names[name]:
            value = getattr(module, name)
        # Kept: a look-up happens once, and a submodule of the same name cannot take its place.
        setattr(sys.modules[package], name, value)
        return value

    return find
