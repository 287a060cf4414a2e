"""Checks of a re-ranker's inputs: one message that names the key, what was expected and what came."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfrec_div._keras import tf

# Expected shapes by letter: B lists, N candidates; other letters are free sizes of that input.
SHAPES = {
    "scores": "BN",
    "vectors": "BND",
    "aspects": "BNA",
    "groups": "BN",
    "user_profile": "BA",
    "candidate_mask": "BN",
}
_WORDS = {"B": "batch", "N": "candidates", "D": "dim", "A": "aspects"}


def check_inputs(
    name: str, inputs: dict, required: Sequence[str], optional: Sequence[str]
) -> dict[str, tf.Tensor]:
    """Check keys, ranks and known sizes; in eager mode also refuse NaN and levels outside [0, 1].

    Args:
        name: the re-ranker, for the messages.
        inputs: what the layer was called with; entries that are None count as absent.
        required: keys that must be there.
        optional: keys that may be there.

    Returns:
        The inputs as tensors, floats in float32, the mask in bool.

    Raises:
        TypeError: the inputs are no dictionary.
        ValueError: a key is missing or unknown, or a shape or value does not fit.
    """
    if not isinstance(inputs, dict):
        raise TypeError(
            f"{name} is called with a dictionary of {', '.join(required)}; received {type(inputs).__name__}"
        )
    present = {key: value for key, value in inputs.items() if value is not None}
    missing = [key for key in required if key not in present]
    if missing:
        raise ValueError(
            f"{name} needs inputs[{missing[0]!r}]; received the keys {', '.join(sorted(present))}"
        )
    unknown = [key for key in present if key not in required and key not in optional]
    if unknown:
        known = ", ".join([*required, *optional])
        raise ValueError(f"{name} has no use for inputs[{unknown[0]!r}]; it takes {known}")
    tensors = {key: _tensor(name, key, value) for key, value in present.items()}
    sizes: dict[str, int] = {}
    for key in sorted(tensors, key=lambda k: k != "scores"):  # scores first: they say what B and N are
        _check_shape(name, key, tensors[key], sizes)
    if tf.executing_eagerly():
        _check_values(name, tensors)
    return tensors


def _tensor(name: str, key: str, value: object) -> tf.Tensor:
    dtype = {"candidate_mask": tf.bool, "k": tf.int32, "groups": tf.int32}.get(key, tf.float32)
    tensor = tf.convert_to_tensor(value)
    if tensor.dtype == dtype:
        return tensor
    if dtype == tf.bool or tensor.dtype == tf.string:
        raise ValueError(f"{name}: inputs[{key!r}] must be {dtype.name}; received {tensor.dtype.name}")
    return tf.cast(tensor, dtype)


def _check_shape(name: str, key: str, tensor: tf.Tensor, sizes: dict[str, int]) -> None:
    shape = tensor.shape
    if key == "k":
        fits, expected = shape.rank in (0, None), "a scalar"
    elif key == "diversity":
        batch = sizes.get("B")
        fits = shape.rank in (0, None) or (shape.rank == 1 and (batch is None or shape[0] in (batch, None)))
        expected = f"a scalar or [{batch if batch is not None else 'batch'}]"
    else:
        letters = SHAPES[key]
        expected = "[" + ", ".join(str(sizes.get(c, _WORDS[c])) for c in letters) + "]"
        fits = shape.rank is None or (
            shape.rank == len(letters)
            and all(
                size is None or sizes.get(c, size) == size for c, size in zip(letters, shape, strict=True)
            )
        )
        if fits and shape.rank is not None:
            sizes.update({c: size for c, size in zip(letters, shape, strict=True) if size is not None})
    if not fits:
        raise ValueError(f"{name}: inputs[{key!r}] must have the shape {expected}; received {list(shape)}")


def _check_values(name: str, tensors: dict[str, tf.Tensor]) -> None:
    scores = tensors["scores"].numpy()
    taking_part = (
        tensors["candidate_mask"].numpy() if "candidate_mask" in tensors else np.ones(scores.shape, bool)
    )
    for key in ("scores", "vectors", "aspects", "user_profile"):
        if key not in tensors:
            continue
        value = tensors[key].numpy()
        bad = np.isnan(value) if key == "scores" else ~np.isfinite(value)
        if key != "user_profile":
            bad &= taking_part.reshape(taking_part.shape + (1,) * (value.ndim - 2))
        if bad.any():
            where = tuple(int(i) for i in np.argwhere(bad)[0])
            kind = "a number or an infinity" if key == "scores" else "finite"
            raise ValueError(
                f"{name}: inputs[{key!r}] must be {kind} everywhere; received {value[where]} at {where}"
            )
    if "diversity" in tensors:
        levels = np.atleast_1d(tensors["diversity"].numpy())
        bad = (levels < 0) | (levels > 1)  # NaN passes: it asks for the layer's own level
        if bad.any():
            raise ValueError(f"{name}: inputs['diversity'] must lie in [0, 1]; received {levels[bad][0]}")
    if "k" in tensors and int(tensors["k"]) < 1:
        raise ValueError(f"{name}: inputs['k'] must be at least 1; received {int(tensors['k'])}")
