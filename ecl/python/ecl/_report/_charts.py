"""Pictures as SVG within a page: colours are the page's variables, and lines differ by dashes and marks, too."""

import math
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from markupsafe import Markup, escape

STYLES = 6  # of lines, in page.html: colours, dashes, marks
_WIDTH, _HEIGHT = 560, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 12, 42
_MARKS = 8  # on a line
_MOST_POINTS = 400  # of a line: more than the picture has columns for


class Line(NamedTuple):
    x: np.ndarray
    y: np.ndarray
    style: Optional[int] = None  # None: one of many nodes, thin
    label: str = ""


class Band(NamedTuple):
    x: np.ndarray
    low: np.ndarray
    high: np.ndarray
    style: int


def lines(drawn: Sequence[Line], x_label: str, y_label: str, bands: Sequence[Band] = (), log: bool = False,
          limits: Tuple[float, float] = (-math.inf, math.inf), level: Optional[Tuple[float, str]] = None) -> Markup:
    """A picture of curves. `limits`: of what y can be; `level`: a horizontal line and its name."""
    drawn = [_thinned(line) for line in drawn]
    y_all = [line.y for line in drawn] + [b for band in bands for b in (band.low, band.high)]
    y_seen = np.concatenate([*y_all, [level[0]] if level else []]) if y_all else np.array([])
    y_seen = y_seen[np.isfinite(y_seen) & ((y_seen > 0) | (not log))]
    x_seen = np.concatenate([line.x for line in drawn]) if drawn else np.array([])
    x_seen = x_seen[np.isfinite(x_seen)]
    if not len(y_seen) or not len(x_seen):
        return Markup('<p class="none">No number to draw.</p>')
    x_axis = _Axis(0, float(x_seen.max()), _LEFT, _WIDTH - _RIGHT)
    y_axis = _Axis(float(y_seen.min()), float(y_seen.max()), _HEIGHT - _BOTTOM, _TOP, log, limits)
    parts, name = [_frame(x_axis, y_axis, x_label, y_label)], []
    if level:
        y = y_axis.at(level[0])
        parts.append(f'<path class="level" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        name.append(f'<text x="{_LEFT + 6}" y="{y - 5:.1f}" class="small halo">{escape(level[1])}</text>')
    parts += [_band(band, x_axis, y_axis) for band in bands]
    parts += [_line(line, x_axis, y_axis) for line in sorted(drawn, key=lambda line: line.style is not None)]
    return _svg(_WIDTH, _HEIGHT, parts + name, f"{y_label} over {x_label}")


def key(style: int) -> Markup:
    """The sign of a line, for a legend."""
    return Markup(f'<svg class="key" viewBox="0 0 40 12" aria-hidden="true"><path class="line s{style}" d="M0 6H40"/>'
                  f'<use class="mark s{style}" href="#mark{style}" x="20" y="6"/></svg>')


class _Axis:
    """From numbers to places on the picture."""

    def __init__(self, low: float, high: float, start: float, end: float, log: bool = False,
                 limits: Tuple[float, float] = (-math.inf, math.inf)) -> None:
        self.log, self.start, self.end = log, start, end
        if log:
            low, high = math.log10(low), math.log10(high)
            low, high = low - 0.05 * (high - low) - 0.02, high + 0.05 * (high - low) + 0.02
            self.ticks = [(exponent, f"1e{exponent}") for exponent in _decades(low, high)]
            if len(self.ticks) < 2:  # less than two decades: marks between them
                self.ticks = [(math.log10(v), f"{v:.3g}") for v in _round_steps(10**low, 10**high)]
        else:
            room = 0.05 * (high - low) or 0.05 * abs(high) or 1
            if start > end:  # y: room above and below
                low, high = max(low - room, limits[0]), min(high + room, limits[1])
            high = high if high > low else low + room
            self.ticks = [(v, _number(v)) for v in _round_steps(low, high)]
        self.low, self.high = low, high

    def at(self, value: float) -> float:
        if self.log:
            value = math.log10(value)
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def place(self, tick: float) -> float:
        return self.start + (tick - self.low) / (self.high - self.low) * (self.end - self.start)


def _decades(low: float, high: float) -> List[int]:
    step = max(1, math.ceil((high - low) / 6))
    return [e for e in range(math.ceil(low), math.floor(high) + 1) if e % step == 0]


def _round_steps(low: float, high: float) -> List[float]:
    """About five round numbers between the two."""
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    return [round(k * step, 12) for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e6 else f"{value:.4g}"


def _thinned(line: Line) -> Line:
    if len(line.x) <= _MOST_POINTS:
        return line
    kept = np.unique(np.linspace(0, len(line.x) - 1, _MOST_POINTS).astype(int))
    return line._replace(x=line.x[kept], y=line.y[kept])


def _frame(x_axis: _Axis, y_axis: _Axis, x_label: str, y_label: str) -> str:
    parts, bottom, right = [], _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    for tick, text in y_axis.ticks:
        y = y_axis.place(tick)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>'
                     f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" class="end">{text}</text>')
    for tick, text in x_axis.ticks:
        x = x_axis.place(tick)
        parts.append(f'<path class="tick" d="M{x:.1f} {bottom}v4"/>'
                     f'<text x="{x:.1f}" y="{bottom + 17}" class="middle">{text}</text>')
    parts.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>'
                 f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 6}" class="middle">{escape(x_label)}</text>'
                 f'<text transform="translate(13 {(_TOP + bottom) / 2}) rotate(-90)" class="middle">'
                 f"{escape(y_label)}</text>")
    return "".join(parts)


def _line(line: Line, x_axis: _Axis, y_axis: _Axis) -> str:
    good = np.isfinite(line.x) & np.isfinite(line.y) & ((line.y > 0) | (not y_axis.log))
    places = [(x_axis.at(x), y_axis.at(y)) if ok else None for x, y, ok in zip(line.x, line.y, good)]
    path, begun = "", False
    for place in places:
        if place:
            path += f"{'L' if begun else 'M'}{place[0]:.1f} {place[1]:.1f}"
        begun = place is not None
    name = f"line s{line.style}" if line.style is not None else "thin"
    title = f"<title>{escape(line.label)}</title>" if line.label else ""
    text = f'<path class="{name}" d="{path}">{title}</path>'
    if line.style is None:
        return text
    there = [place for place in places if place]
    every = max(1, len(there) // _MARKS)
    shift = line.style * every // STYLES  # of lines that lie on each other all marks are seen
    return text + "".join(f'<use class="mark s{line.style}" href="#mark{line.style}" x="{x:.1f}" y="{y:.1f}"/>'
                          for x, y in there[shift::every])


def _band(band: Band, x_axis: _Axis, y_axis: _Axis) -> str:
    good = np.isfinite(band.low) & np.isfinite(band.high) & ((band.low > 0) | (not y_axis.log))
    if good.sum() < 2:
        return ""
    x, low, high = band.x[good], band.low[good], band.high[good]
    there = [f"{x_axis.at(a):.1f} {y_axis.at(b):.1f}" for a, b in zip(x, high)]
    back = [f"{x_axis.at(a):.1f} {y_axis.at(b):.1f}" for a, b in zip(x[::-1], low[::-1])]
    return f'<path class="band s{band.style}" d="M{"L".join(there + back)}Z"/>'


def class_bars(counts: Dict[int, List[int]], names: Sequence[str], hosts: Dict[int, str],
               samples: Dict[int, int]) -> Markup:
    """A row for each node, a column for each class: the bar's height is the number of samples. `samples`: of all
    classes; a sample may be of several, or of none."""
    left, row, top = 120, 26, 22
    cell = min(60.0, 560 / len(names))
    most = max((max(of_node) for of_node in counts.values()), default=1) or 1
    parts = []
    if cell >= 14:
        room = max(2, int(cell / 6.5))
        parts += [f'<text x="{left + (c + 0.5) * cell:.1f}" y="14" class="middle small">'
                  f"{escape(_short(name, room))}<title>{escape(name)}</title></text>" for c, name in enumerate(names)]
    for k, (node, of_node) in enumerate(counts.items()):
        base = top + (k + 1) * row - 4
        host = f"<title>on {escape(hosts[node])}</title>" if hosts.get(node) else ""
        parts.append(f'<text x="{left - 8}" y="{base - 4}" class="end">node {node}{host}</text>'
                     f'<path class="grid" d="M{left} {base}H{left + cell * len(names):.1f}"/>')
        for c, count in enumerate(of_node):
            if count:
                height = max(1.0, (row - 7) * count / most)
                parts.append(f'<rect class="bar" x="{left + (c + 0.1) * cell:.1f}" y="{base - height:.1f}" '
                             f'width="{0.8 * cell:.1f}" height="{height:.1f}"><title>node {node}, {escape(names[c])}: '
                             f"{count:,}</title></rect>")
        parts.append(f'<text x="{left + cell * len(names) + 10:.1f}" y="{base - 4}">{samples[node]:,}</text>')
    return _svg(left + cell * len(names) + 80, top + row * len(counts) + 4, parts, "samples of each class by node")


class Way(NamedTuple):
    """What went from one node to its neighbour."""

    megabytes: float
    age: Optional[float]  # mean age when read, in steps of the reader; None: not known
    told: str


def graph(nodes: int, ways: Dict[Tuple[int, int], Way], lost: Iterable[int], told: Dict[int, str]) -> Markup:
    """The nodes on a circle; an edge is as wide as its traffic, a number at each end says how old what arrives there
    was when it was read, and edges with much older messages than others are dashed."""
    size, centre = 460, 230
    angle = [2 * math.pi * node / nodes - math.pi / 2 for node in range(nodes)]
    places = [(centre + 178 * math.cos(a), centre + 178 * math.sin(a)) for a in angle]
    radius = 15 if nodes <= 24 else 9
    most = max((way.megabytes for way in ways.values()), default=0) or 1
    ages = sorted(way.age for way in ways.values() if way.age is not None)
    old = 2 * ages[len(ages) // 2] + 1 if ages else math.inf
    edges, ends, numbered = [], [], len(ways) <= 64
    for a, b in sorted({(min(pair), max(pair)) for pair in ways}):
        both = [(pair, ways[pair]) for pair in ((a, b), (b, a)) if pair in ways]
        width = 1 + 4 * max(way.megabytes for _, way in both) / most
        dashed = " old" if any((way.age or 0) > old for _, way in both) else ""
        title = "; ".join(f"{pair[0]} to {pair[1]}: {way.told}" for pair, way in both)
        edges.append(f'<path class="edge{dashed}" stroke-width="{width:.1f}" d="M{places[a][0]:.1f} {places[a][1]:.1f}'
                     f'L{places[b][0]:.1f} {places[b][1]:.1f}"><title>{escape(title)}</title></path>')
        for (source, to), way in both:
            if numbered and way.age is not None:
                (x0, y0), (x1, y1) = places[source], places[to]
                length, aside = math.hypot(x1 - x0, y1 - y0), 13
                x = 0.24 * x0 + 0.76 * x1 + aside * (y1 - y0) / length  # both ends' on different sides
                y = 0.24 * y0 + 0.76 * y1 - aside * (x1 - x0) / length
                ends.append(f'<text x="{x:.1f}" y="{y + 4:.1f}" class="middle small halo">{_brief(way.age)}</text>')
    dots = []
    for node in range(nodes):
        x, y = places[node]
        dead = " dead" if node in set(lost) else ""
        cross = f'<path class="cross" d="M{x - 9:.1f} {y - 9:.1f}l18 18m0 -18l-18 18"/>' if dead else ""
        label = f'<text x="{x:.1f}" y="{y + 4:.1f}" class="middle small">{node}</text>' if nodes <= 64 else ""
        dots.append(f'<g><title>{escape(told.get(node, ""))}</title><circle class="node{dead}" cx="{x:.1f}" '
                    f'cy="{y:.1f}" r="{radius}"/>{label}{cross}</g>')
    return _svg(size, size, edges + ends + dots, "the graph of the nodes")


class Span(NamedTuple):
    node: int
    start: float
    end: float
    kind: str  # trains, stall, silent
    told: str


class Moment(NamedTuple):
    node: int
    at: float
    kind: str  # evaluated, died, refused, back
    told: str


def time_line(nodes: Sequence[int], spans: Sequence[Span], moments: Sequence[Moment], end_s: float) -> Markup:
    """A row for each node, over the seconds of training."""
    left, width, row = 78, 640, 24 if len(nodes) <= 16 else 16
    height = row * len(nodes) + 40
    axis = _Axis(0, max(end_s, 1e-9), left, width - 16)
    bottom = 6 + row * len(nodes)
    middle = {node: 6 + row * k + row / 2 for k, node in enumerate(nodes)}
    parts = [f'<text x="{left - 8}" y="{y + 4:.1f}" class="end">node {node}</text>' for node, y in middle.items()]
    for span in spans:
        if span.node in middle:
            high = row * (0.3 if span.kind == "trains" else 0.62)
            x, wide = axis.at(span.start), max(1.5, axis.at(span.end) - axis.at(span.start))
            parts.append(f'<rect class="span {span.kind}" x="{x:.1f}" y="{middle[span.node] - high / 2:.1f}" '
                         f'width="{wide:.1f}" height="{high:.1f}"><title>{escape(span.told)}</title></rect>')
    for moment in moments:
        if moment.node not in middle:
            continue
        x, y = axis.at(moment.at), middle[moment.node]
        shape = {"evaluated": f"M{x:.1f} {y - 4:.1f}v8", "died": f"M{x - 6:.1f} {y - 6:.1f}l12 12m0 -12l-12 12",
                 "refused": f"M{x:.1f} {y - 7:.1f}l6 12h-12z", "back": f"M{x:.1f} {y - 7:.1f}v14"}[moment.kind]
        parts.append(f'<path class="moment {moment.kind}" d="{shape}"><title>{escape(moment.told)}</title></path>')
    parts.append(f'<path class="axis" d="M{left} {bottom}H{width - 16}"/>')
    for tick, text in axis.ticks:
        x = axis.place(tick)
        parts.append(f'<path class="tick" d="M{x:.1f} {bottom}v4"/><text x="{x:.1f}" y="{bottom + 17}" class="middle">'
                     f"{text} s</text>")
    return _svg(width, height, parts, "what happened when")


def _brief(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _short(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


def _svg(width: float, height: float, parts: Iterable[str], name: str) -> Markup:
    return Markup(f'<svg viewBox="0 0 {width:.0f} {height:.0f}" style="max-width:{width * 1.25:.0f}px" role="img" '
                  f'aria-label="{escape(name)}">{"".join(parts)}</svg>')
