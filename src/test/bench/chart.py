"""Charts as SVG. Text, lines and bars can be read on light and on dark backgrounds, so there is no background of their own.

A chart shows points: {series: {place: (median, first quartile, third quartile)}}. The same points make the same file.
"""

import math
from xml.sax.saxutils import escape

COLORS = ["#0a7bc4", "#e08a00", "#00996b", "#c864a0", "#d4572a", "#3fa7e0", "#8a8f98", "#a08c00"]
GREY = "#707a85"
STYLE = f"""<style>
text {{ font: 13px "DejaVu Sans", Verdana, sans-serif; fill: {GREY} }}
.title {{ font-size: 16px; font-weight: bold }}
.grid {{ stroke: {GREY}; stroke-opacity: 0.3 }}
.range {{ stroke: {GREY} }}
.line {{ fill: none; stroke-width: 2.5 }}
</style>"""
WIDTH = 860
LETTER = 7.6  # how wide one is, on average
BAR = 15
LEGEND = 20  # the height of a line of it


def bars(title, axis, series, log=False):
    """Horizontal bars, for each place one of each series that has it, with the median behind it."""
    places = list(dict.fromkeys(place for points in series.values() for place in points))
    left = 24 + LETTER * max(len(str(place)) for place in places)
    scale = _Scale([n for points in series.values() for p in points.values() for n in p], left, WIDTH - 60, log, log)
    legend, top = _legend(series)
    body, y = [], top
    for place in places:
        shown = [(i, points[place]) for i, points in enumerate(series.values()) if place in points]
        body.append(_text(left - 10, y + len(shown) * BAR / 2 + 5, place, "end"))
        for i, point in shown:
            body += _bar(left, y, point, scale, COLORS[i % len(COLORS)])
            y += BAR
        y += 12
    grid = [_tick(scale.at(n), top, y, n) for n in scale.ticks]
    label = [_text((left + WIDTH - 60) / 2, y + 40, axis, "middle")] if axis else []
    return _svg(y + 52, title, legend + grid + body + label)


def _bar(left, y, point, scale, color):
    median, low, high = point
    end = scale.at(median)
    yield f'<rect x="{left:.1f}" y="{y + 1}" width="{max(end - left, 1):.1f}" height="{BAR - 2}" fill="{color}"/>'
    if low < high:
        yield f'<line class="range" x1="{scale.at(low):.1f}" x2="{scale.at(high):.1f}" y1="{y + BAR / 2}" y2="{y + BAR / 2}"/>'
    yield _text(max(end, scale.at(high)) + 6, y + 12, number(median))


def _tick(x, top, bottom, value):
    return f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 6}" y2="{bottom}"/>' + _text(x, bottom + 18, f"{value:g}", "middle")


def lines(title, x_axis, y_axis, series, log=""):
    """Lines through the medians over x; log: "", "x", "y" or "xy"."""
    legend, top = _legend(series)
    left, bottom = 80, top + 394
    xs = sorted({x for points in series.values() for x in points})
    numbers = [n for points in series.values() for p in points.values() for n in p]
    across = _Scale(xs, left, WIDTH - 40, "x" in log, True)
    up = _Scale(numbers, bottom, top + 10, "y" in log, "y" in log)
    body = [_text(left - 10, up.at(n) + 5, f"{n:g}", "end") + _level(left, up.at(n)) for n in up.ticks]
    body += [_text(across.at(x), bottom + 20, f"{x:g}", "middle") for x in xs]
    for i, points in enumerate(series.values()):
        color = COLORS[i % len(COLORS)]
        places = [(across.at(x), up.at(median)) for x, (median, _, _) in sorted(points.items())]
        body.append(f'<polyline class="line" stroke="{color}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>')
        body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}"/>' for x, y in places]
        body += [_span(across.at(x), up.at(low), up.at(high)) for x, (_, low, high) in points.items() if low < high]
    body.append(_text((left + WIDTH - 40) / 2, bottom + 44, x_axis, "middle"))
    body.append(f'<g transform="translate(20 {(top + bottom) / 2}) rotate(-90)">{_text(0, 0, y_axis, "middle")}</g>')
    return _svg(bottom + 56, title, legend + body)


def _level(left, y):
    return f'<line class="grid" x1="{left}" x2="{WIDTH - 40}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _span(x, low, high):
    return f'<line class="range" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'


class _Scale:
    """From numbers to places on the picture; a linear one begins at 0 unless it is `tight`."""

    def __init__(self, numbers, begin, end, log, tight):
        self._log = log
        if log:  # has no place for 0, which is shown as the least
            numbers = [n for n in numbers if n > 0] or [1]
        self._least = min(numbers)
        self.ticks = _log_ticks(min(numbers), max(numbers)) if log else _ticks(max(numbers))
        low = min(numbers) if tight else 0
        high = max(numbers)
        if log:
            low, high = min(low, self.ticks[0]) / 1.1, max(high, self.ticks[-1]) * 1.1
        self._low, self._high = self._of(low), self._of(high) or 1
        self._begin, self._end = begin, end

    def _of(self, number):
        return math.log10(max(number, self._least)) if self._log else number

    def at(self, number):
        share = (self._of(number) - self._low) / ((self._high - self._low) or 1)
        return self._begin + share * (self._end - self._begin)


def _ticks(most):
    step = 10 ** math.floor(math.log10(most / 4 or 1))
    step *= next(factor for factor in (1, 2, 5, 10) if most / (step * factor) <= 6)
    return [step * i for i in range(int(most / step) + 1)]


def _log_ticks(least, most):
    decades = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    found = [f * 10**d for d in decades for f in (1, 2, 5) if least <= f * 10**d <= most]
    return found or [least]


def number(value):
    return f"{value:.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f}"


def _text(x, y, text, anchor="start", style=""):
    named = f' class="{style}"' if style else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(str(text))}</text>'


def _legend(series):
    """Its parts, and where the chart begins below it."""
    parts, x, y = [], 20, 40
    for i, label in enumerate(series):
        width = 40 + LETTER * len(label)
        if label:
            if x + width > WIDTH:
                x, y = 20, y + LEGEND
            parts.append(f'<rect x="{x:.1f}" y="{y}" width="12" height="12" fill="{COLORS[i % len(COLORS)]}"/>')
            parts.append(_text(x + 17, y + 11, label))
            x += width
    return parts, y + 36


def _svg(height, title, body):
    size = f'width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    return "\n".join([head, f"<title>{escape(title)}</title>", STYLE, _text(20, 24, title, style="title"), *body, "</svg>", ""])
