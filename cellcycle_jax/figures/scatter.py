"""Two measurements against each other, once coloured by phase and once by the network's confidence."""

import dataclasses
import itertools

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from cellcycle_jax.figures.style import BLUE, INK, ORANGE, STYLE, titled

_MARKERS = ("o", "^")
_COLOURS = (BLUE, ORANGE)
# Ticks within a decade, from coarse to fine.
_STEPS = (
    (1,),
    (1, 3),
    (1, 2, 5),
    (1, 1.5, 2, 3, 5, 7),
    (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9),
)
_PRINTED_UNITS = {
    "um": "µm",
    "um^2": "µm²",
    "1/um^2": "µm⁻²",
    "px^2": "px²",
    "1/px^2": "px⁻²",
}


@dataclasses.dataclass(frozen=True)
class PairCells:
    """N cells with two measurements each.

    Attributes:
        x, y: f64 [N], the measurements; positive where the axis is logarithmic.
        label: i64 [N], 0 or 1.
        classes: the two names.
        confidence: f64 [N], calibrated probability of the predicted class, NaN where unknown.
    """

    x: np.ndarray
    y: np.ndarray
    label: np.ndarray
    classes: tuple[str, str]
    confidence: np.ndarray


@dataclasses.dataclass(frozen=True)
class Plane:
    """The plane of two measurements, with the decision line a_x u + a_y v + c = 0 in it.

    u is x, or ln x on a logarithmic axis, and v is the same of y.

    Attributes:
        labels: of both axes, with units.
        logs: whether each axis is logarithmic.
        coefficients: (a_x, a_y).
        intercept: c.
    """

    labels: tuple[str, str]
    logs: tuple[bool, bool]
    coefficients: tuple[float, float]
    intercept: float


def axis_label(name: str, unit: str) -> str:
    """A measurement's name with its unit as it is printed: 'Golgi area (µm²)'."""
    return f"{name} ({_PRINTED_UNITS.get(unit, unit)})" if unit else name


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers within low..high (positive) for a logarithmic axis: at least four of them if that is possible."""
    first = int(np.floor(np.log10(low)))
    last = int(np.ceil(np.log10(high)))
    for steps in _STEPS:
        ticks = []
        for decade, step in itertools.product(range(first, last + 1), steps):
            tick = step * 10.0**decade
            if low <= tick <= high:
                ticks.append(float(f"{tick:.6g}"))
        if len(ticks) >= 4:
            break
    return ticks if len(ticks) <= 8 else ticks[:: len(ticks) // 6 + 1]


def crossing(coefficients, intercept: float, box) -> np.ndarray:
    """Ends f64 [2, 2] of the part of the line a·(u, v) + c = 0 within a box, or [0, 2] where it does not pass.

    Args:
        coefficients: a, two numbers.
        intercept: c.
        box: ((u_low, u_high), (v_low, v_high)).
    """
    a, b = coefficients
    low, high = np.transpose(box)
    ends = []
    if abs(b) > 0:
        for u in box[0]:
            ends.append((u, -(intercept + a * u) / b))
    if abs(a) > 0:
        for v in box[1]:
            ends.append((-(intercept + b * v) / a, v))
    ends = np.array(ends, np.float64).reshape(-1, 2)
    slack = 1e-9 * (high - low)
    ends = ends[((low - slack <= ends) & (ends <= high + slack)).all(1)]
    if len(ends) < 2:
        return np.zeros((0, 2))
    # A vertical line has equal u, so its ends are sorted by v.
    ends = ends[np.lexsort((ends[:, 1], ends[:, 0]))]
    return ends[[0, -1]]


def _limits(values, log: bool) -> tuple[float, float]:
    values = np.log(values) if log else values
    low = float(values.min())
    high = float(values.max())
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin


def _axes(ax, cells: PairCells, plane: Plane) -> None:
    """Limits, ticks and labels of both axes, and the decision line."""
    log_x, log_y = plane.logs
    limits = [_limits(cells.x, log_x), _limits(cells.y, log_y)]
    ends = crossing(plane.coefficients, plane.intercept, limits)
    if log_x:
        ax.set_xscale("log")
    if log_y:
        ax.set_yscale("log")
    for k, axis in enumerate((ax.xaxis, ax.yaxis)):
        if plane.logs[k]:
            limits[k] = np.exp(limits[k])
            ends[:, k] = np.exp(ends[:, k])
            axis.set_major_locator(FixedLocator(log_ticks(*limits[k])))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    ax.set(xlim=limits[0], ylim=limits[1], xlabel=plane.labels[0], ylabel=plane.labels[1])
    ax.plot(ends[:, 0], ends[:, 1], color=INK, lw=1.6, ls=(0, (5, 2)), label="Decision line", zorder=3)


@matplotlib.rc_context(STYLE)
def draw_pair(cells: PairCells, plane: Plane, title: str, subtitle: str) -> Figure:
    """The cells in the plane of two measurements, twice side by side.

    Args:
        cells: to draw; one whose confidence is not known is not in the right panel.
        plane: with the decision line.
        title: of the figure.
        subtitle: of the left panel.
    """
    x = cells.x
    y = cells.y
    label = cells.label
    confidence = cells.confidence
    figure = titled(10.4, 5.3, title, 11.5)
    figure.get_layout_engine().set(wspace=0.05)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    # Drawn in a fixed shuffled order, so that the class drawn last does not hide the other.
    order = np.random.default_rng(0).permutation(len(x))
    size = float(np.clip(9000 / max(len(x), 1), 12, 34))
    for part in np.array_split(order, 20):
        for k, colour in enumerate(_COLOURS):
            rows = part[label[part] == k]
            left.scatter(x[rows], y[rows], s=size, c=colour, marker=_MARKERS[k], lw=0.3, edgecolors="white")
    for k, colour in enumerate(_COLOURS):
        count = int((label == k).sum())
        left.scatter([], [], s=34, c=colour, marker=_MARKERS[k], label=f"{cells.classes[k]} (n = {count})")
    order = np.argsort(-confidence, kind="stable")  # the least sure on top; NaN comes last and is left out
    order = order[np.isfinite(confidence[order])]
    lowest = min(0.5, np.nanmin(confidence, initial=0.5))
    look = {"cmap": "viridis", "vmin": lowest, "vmax": 1, "lw": 0.3, "edgecolors": "#777777"}
    for k, marker in enumerate(_MARKERS):
        rows = order[label[order] == k]
        points = right.scatter(x[rows], y[rows], s=size, c=confidence[rows], marker=marker, **look)
    _axes(left, cells, plane)
    _axes(right, cells, plane)
    right.set_ylabel("")
    left.set_title(subtitle)
    right.set_title(f"By the network's confidence (n = {len(order)})")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower left", ncols=3)
    bar = figure.colorbar(points, ax=right, label="Calibrated confidence in the predicted class", pad=0.02)
    bar.outline.set_visible(False)
    return figure
