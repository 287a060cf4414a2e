"""A chart of whether probabilities hold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup

from tfrec_div.metrics.reliability import ReliabilityCurve
from tfrec_div.study import charts

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 340, 300, 52, 14, 14, 44
_SMALLEST, _LARGEST = 2.0, 8.0


def reliability_chart(name: str, curves: Mapping[str, ReliabilityCurve]) -> Markup:
    """Draws what came of probabilities against what was foreseen; the straight line is where they hold.

    The area of a point is as its bin's number of examples.

    Args:
        name: What the chart shows, read out to those who do not see it.
        curves: `metrics.reliability_curve` of each system, at most two that are in colour first.

    Returns:
        An `<svg>` element, or a sentence when there is nothing to draw.

    Example:
        >>> from tfrec_div.metrics import reliability_curve
        >>> curve = reliability_curve(np.array([0.2, 0.7, 0.9]), np.array([0, 1, 1]), bins=3)
        >>> reliability_chart("relevance", {"ranker": curve}).count("<circle")
        2
    """
    filled = {label: curve.counts > 0 for label, curve in curves.items()}
    if not any(there.any() for there in filled.values()):
        return Markup('<p class="quiet">No probabilities were recorded.</p>')
    # Probabilities of relevance are mostly small: both axes end where the greatest value is.
    high = max(
        float(max(curve.predicted[filled[label]].max(), curve.observed[filled[label]].max()))
        for label, curve in curves.items()
        if filled[label].any()
    )
    high = min(1.0, 1.08 * high) or 1.0

    def x_of(value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * value / high

    def y_of(value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1.0 - value / high)

    ticks = charts._ticks(0.0, high)
    parts = [charts._y_axis(ticks, y_of, _LEFT, _WIDTH - _RIGHT)]
    parts += [charts._text(x_of(tick), _HEIGHT - 26, written, "middle") for tick, written in ticks]
    parts.append(charts._text(_WIDTH - _RIGHT, _HEIGHT - 6, "foreseen →", "end"))
    parts.append(
        charts._text(12, _TOP + (_HEIGHT - _TOP - _BOTTOM) / 2, "came true →", "middle", turned=True)
    )
    parts.append(f'<path class="lead" d="M{x_of(0):.1f} {y_of(0):.1f}L{x_of(high):.1f} {y_of(high):.1f}"/>')
    said = []
    for number, (label, curve) in enumerate(curves.items()):
        there = filled[label]
        if not there.any():
            continue
        places = [
            (x_of(p), y_of(o)) for p, o in zip(curve.predicted[there], curve.observed[there], strict=True)
        ]
        parts.append(charts._polyline(places, number))
        radii = np.maximum(_SMALLEST, _LARGEST * np.sqrt(curve.counts[there] / curve.counts.max()))
        parts += [
            f'<circle class="c{number}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>'
            for (x, y), radius in zip(places, radii, strict=True)
        ]
        pairs = zip(curve.predicted[there], curve.observed[there], strict=True)
        said.append(
            f"{label}: "
            + ", ".join(f"{charts.format_number(p)} came {charts.format_number(o)}" for p, o in pairs)
        )
    return charts._svg(f"{name}: {'; '.join(said)}", parts, _WIDTH, _HEIGHT)
