"""Calibrations: logits in, probabilities that hold out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tfrec_div.tasks.calibration.base import Calibration
from tfrec_div.tasks.calibration.isotonic import IsotonicCalibration
from tfrec_div.tasks.calibration.temperature import TemperatureScaling

CALIBRATIONS: dict[str, Callable[[], Calibration]] = {
    "temperature": TemperatureScaling,
    "platt": partial(TemperatureScaling, bias=True),
    "isotonic": IsotonicCalibration,
}


def make_calibration(calibration: str | Calibration) -> Calibration:
    """Returns a calibration from what a user writes.

    Args:
        calibration: A name of `CALIBRATIONS`, or a calibration, which is returned as it is.

    Raises:
        ValueError: An unknown name.

    Example:
        >>> make_calibration("platt").bias
        True
    """
    if isinstance(calibration, Calibration):
        return calibration
    if calibration not in CALIBRATIONS:
        known = ", ".join(CALIBRATIONS)
        raise ValueError(f"calibration: expected one of {known}, or a Calibration, got {calibration!r}")
    return CALIBRATIONS[calibration]()


__all__ = [
    "CALIBRATIONS",
    "Calibration",
    "IsotonicCalibration",
    "TemperatureScaling",
    "make_calibration",
]
