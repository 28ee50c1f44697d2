# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
"""Line charts over time as SVG: a few panels below each other that share the time axis."""
import math
import xml.sax.saxutils

COLOURS = ("#1a66b8", "#d9662b", "#3a9150", "#8a4fb0", "#8c8c8c", "#c23b5e")
WIDTH, PANEL_HEIGHT, LEFT, RIGHT, TOP, GAP = 860, 190, 56, 12, 44, 34
FONT = 'font-family="sans-serif" font-size="12"'


class Panel:
    """`lines`: {name: values, one every `step` seconds; None where there is none}."""

    def __init__(self, title, lines, marks=()):
        self.title, self.lines, self.marks = title, lines, marks

    def top(self):
        return _round_up(max((value for values in self.lines.values() for value in values if value is not None),
                             default=1))


def chart(title, panels, step):
    """The text of an SVG file. A name has one colour in all panels."""
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    seconds = step * max((len(values) for panel in panels for values in panel.lines.values()), default=1)
    height = TOP + len(panels) * (PANEL_HEIGHT + GAP)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}">',
             '<rect width="100%" height="100%" fill="white"/>', _text(LEFT, 18, title, "bold")]
    x = LEFT
    for name in names:
        parts.append(f'<rect x="{x}" y="27" width="14" height="4" fill="{colours[name]}"/>')
        parts.append(_text(x + 18, 34, name))
        x += 34 + 7 * len(name)
    for i, panel in enumerate(panels):
        parts += _panel(panel, TOP + i * (PANEL_HEIGHT + GAP), seconds, step, colours)
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel, y, seconds, step, colours):
    top = panel.top()
    plot_width, plot_height = WIDTH - LEFT - RIGHT, PANEL_HEIGHT - 20
    base = y + 20 + plot_height
    yield _text(LEFT, y + 14, panel.title)
    for i in range(5):
        value, at = top * i / 4, base - plot_height * i / 4
        yield f'<line x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - RIGHT}" y2="{at:.1f}" stroke="#ddd"/>'
        yield _text(LEFT - 6, at + 4, f"{value:g}", anchor="end")
    for second in range(0, int(seconds) + 1, max(1, round(seconds / 10))):
        yield _text(LEFT + plot_width * second / seconds, base + 14, f"{second} s", anchor="middle")
    for second in panel.marks:
        at = LEFT + plot_width * second / seconds
        yield f'<line x1="{at:.1f}" y1="{y + 20}" x2="{at:.1f}" y2="{base}" stroke="#999" stroke-dasharray="3"/>'
    for name, values in panel.lines.items():
        path, pen = "", "M"
        for i, value in enumerate(values):
            if value is None:
                pen = "M"
                continue
            path += f"{pen}{LEFT + plot_width * (i + 0.5) * step / seconds:.0f},{base - plot_height * value / top:.1f}"
            pen = "L"
        yield f'<path d="{path}" fill="none" stroke="{colours[name]}" stroke-width="1.3"/>'


def _text(x, y, text, weight="normal", anchor="start"):
    return (f'<text x="{x:.0f}" y="{y:.0f}" {FONT} font-weight="{weight}" text-anchor="{anchor}">'
            f"{xml.sax.saxutils.escape(text)}</text>")


def _round_up(value):
    """To 1, 2, 4 or 8 times a power of ten: these have readable quarters."""
    power = 10.0 ** math.floor(math.log10(max(value, 1e-3)))
    return next(factor * power for factor in (1, 2, 4, 8, 10) if factor * power >= value)
