"""Charts as inline SVG: they need no script, follow the page's colours and can be read out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 340, 196
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 14, 36
# A letter of the widest usual font, bold, at the size of the chart's text.
_LETTER, _LONGEST_LABEL = 8, 28

NOTHING = "\N{EN DASH}"  # stands where there is no value


def line_chart(name: str, series: Mapping[str, Sequence[float]], x_label: str = "epoch") -> Markup:
    """Draws curves over epochs.

    Args:
        name: What the chart shows, read out to those who do not see it.
        series: Values by epoch and name of a curve; values that are not finite leave a gap.
        x_label: What the horizontal axis counts, from 1.

    Returns:
        An `<svg>` element, or a sentence when there is nothing to draw.

    Example:
        >>> "polyline" in line_chart("loss", {"training": [2.0, 1.0]})
        True
    """
    finite = [value for values in series.values() for value in values if math.isfinite(value)]
    if not finite:
        return Markup('<p class="quiet">No values were recorded.</p>')
    length = max(len(values) for values in series.values())
    low, high = _range(finite)

    def x_of(index: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (index / (length - 1) if length > 1 else 0.5)

    def y_of(value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - value) / (high - low)

    parts = [_y_axis(_ticks(low, high), y_of)]
    for index in sorted({0, (length - 1) // 2, length - 1}):
        parts.append(_text(x_of(index), _HEIGHT - 20, f"{index + 1}", "middle"))
    parts.append(_text(_WIDTH - _RIGHT, _HEIGHT - 5, x_label, "end"))
    said = []
    for number, (label, values) in enumerate(series.items()):
        points = [(x_of(i), y_of(v)) if math.isfinite(v) else None for i, v in enumerate(values)]
        parts += [_polyline(run, number) for run in _runs(points)]
        last = [(point, value) for point, value in zip(points, values, strict=True) if point]
        if last:
            (x, y), value = last[-1]
            parts.append(f'<circle class="c{number}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>')
            said.append(f"{label} from {format_number(last[0][1])} to {format_number(value)}")
    return _svg(f"{name} over {length} {x_label}{'s' if length > 1 else ''}: {'; '.join(said)}", parts)


def trade_off_chart(
    x_name: str,
    y_name: str,
    points: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]],
    strong: Sequence[str],
) -> Markup:
    """Draws systems as points of relevance against diversity, with their intervals.

    Args:
        x_name: Label of the horizontal axis.
        y_name: Label of the vertical axis.
        points: By system, the `mean`, `low` and `high` of both.
        strong: The systems drawn in colour; others are grey.

    Returns:
        An `<svg>` element.
    """
    labels = {name: shorten(name.replace("_", " "), _LONGEST_LABEL) for name in points}
    # The plot keeps its size; the page grows to the right until the longest label fits.
    left, right, height = 58, 30 + _LETTER * max(map(len, labels.values())), 330
    width = left + 352 + right
    x_low, x_high = _range([v for x, _ in points.values() for v in x.values() if math.isfinite(v)])
    y_low, y_high = _range([v for _, y in points.values() for v in y.values() if math.isfinite(v)])

    def x_of(value: float) -> float:
        return left + (width - left - right) * (value - x_low) / (x_high - x_low)

    def y_of(value: float) -> float:
        return _TOP + (height - _TOP - 44) * (y_high - value) / (y_high - y_low)

    parts = [_y_axis(_ticks(y_low, y_high), y_of, left, width - right + 10)]
    for tick, written in _ticks(x_low, x_high):
        parts.append(_text(x_of(tick), height - 26, written, "middle"))
    parts.append(_text(left + (width - left - right) / 2, height - 6, f"{x_name} →", "middle"))
    parts.append(_text(14, _TOP + (height - _TOP - 44) / 2, f"{y_name} →", "middle", turned=True))
    places = _spread({name: y_of(y["mean"]) for name, (_, y) in points.items()}, 15, _TOP, height - 44)
    for name, (x, y) in points.items():
        kind = f"c{strong.index(name)}" if name in strong else "other"
        at_x, at_y = x_of(x["mean"]), y_of(y["mean"])
        parts.append(
            f'<path class="{kind} bar" d="M{x_of(x["low"]):.1f} {at_y:.1f}H{x_of(x["high"]):.1f}'
            f'M{at_x:.1f} {y_of(y["low"]):.1f}V{y_of(y["high"]):.1f}"/>'
            f'<circle class="{kind}" cx="{at_x:.1f}" cy="{at_y:.1f}" r="5"/>'
            f'<path class="lead" d="M{at_x + 7:.1f} {at_y:.1f}L{width - right + 18} {places[name]:.1f}"/>'
        )
        parts.append(_text(width - right + 22, places[name] + 4, labels[name], "start", kind))
    said = "; ".join(
        f"{name}: {format_number(x['mean'])} and {format_number(y['mean'])}"
        for name, (x, y) in points.items()
    )
    return _svg(f"{x_name} against {y_name}. {said}", parts, width, height)


def format_number(value: float) -> str:
    """Writes a number with about three digits.

    Args:
        value: Any number.

    Returns:
        Text such as `1,234`, `12.3`, `0.123`, or a dash for what is not finite.

    Example:
        >>> format_number(0.12345), format_number(1234.5), format_number(-1e-5)
        ('0.123', '1,234', '-1e-05')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 1 or size == 0:
        return f"{value:.2f}"
    return f"{value:.3f}" if size >= 0.0095 else f"{value:.2g}"


def shorten(text: object, most: int) -> str:
    """Cuts a text for display and drops what cannot be shown.

    Args:
        text: Anything; `str` is called on it.
        most: Most characters to keep.

    Returns:
        One line without control characters, with `…` at the end if something was cut.
    """
    line = "".join(c if c.isprintable() else " " for c in str(text)[: 4 * most])
    line = " ".join(line.split())
    return line if len(line) <= most and len(str(text)) <= 4 * most else line[: most - 1].rstrip() + "…"


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    return (0.0 if low >= 0 > low - room else low - room), high + room


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Three to six round numbers in the range, and how they are written."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step)
    ticks = [number * step for number in range(first, math.floor(high / step) + 1)]
    digits = next(
        (d for d in range(6) if all(math.isclose(t, round(t, d), abs_tol=step / 1e4) for t in ticks)), None
    )
    return [(tick, f"{tick:.2g}" if digits is None else f"{tick:,.{digits}f}") for tick in ticks]


def _spread(places: Mapping[str, float], gap: float, low: float, high: float) -> dict[str, float]:
    """Moves labels apart so that they can be read."""
    names = sorted(places, key=lambda name: places[name])
    spread: dict[str, float] = {}
    at = low - gap
    for name in names:
        at = max(places[name], at + gap)
        spread[name] = at
    at = high + gap
    for name in reversed(names):
        at = min(spread[name], at - gap)
        spread[name] = at
    return spread


def _runs(points: Sequence[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if len(run) > 1]


def _polyline(points: Sequence[tuple[float, float]], number: int) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="c{number}" points="{path}"/>'


def _y_axis(
    ticks: Sequence[tuple[float, str]],
    y_of: Callable[[float], float],
    left: float = _LEFT,
    right: float = _WIDTH - _RIGHT,
) -> str:
    lines = "".join(f'<path class="grid" d="M{left} {y_of(tick):.1f}H{right}"/>' for tick, _ in ticks)
    return lines + "".join(_text(left - 6, y_of(tick) + 4, written, "end") for tick, written in ticks)


def _text(x: float, y: float, text: str, anchor: str, kind: str = "", turned: bool = False) -> str:
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turn}>{escape(text)}</text>'


def _svg(label: str, parts: Sequence[str], width: int = _WIDTH, height: int = _HEIGHT) -> Markup:
    start = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
    return Markup(start + "".join(parts) + "</svg>")
