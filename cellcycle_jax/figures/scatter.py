"""Two measurements against each other, once coloured by phase and once by the network's confidence."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from cellcycle_jax.figures.style import BLUE, INK, ORANGE, STYLE

_MARKERS = ("o", "^")
_STEPS = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9))


def axis_label(name: str, unit: str) -> str:
    """A measurement's name with its unit as it is printed: 'Golgi area (µm²)'."""
    printed = {"um": "µm", "um^2": "µm²", "1/um^2": "µm⁻²", "px^2": "px²", "1/px^2": "px⁻²"}.get(unit, unit)
    return f"{name} ({printed})" if printed else name


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers within low..high (positive) for a logarithmic axis: at least four of them if that is possible."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ticks = []
    for steps in _STEPS:
        ticks = [float(f"{step * 10.0**d:.6g}") for d in decades for step in steps if low <= step * 10.0**d <= high]
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
    (a, b), ends = coefficients, []
    (u_low, u_high), (v_low, v_high) = box
    if abs(b) > 0:
        ends += [(u, -(intercept + a * u) / b) for u in (u_low, u_high)]
    if abs(a) > 0:
        ends += [(-(intercept + b * v) / a, v) for v in (v_low, v_high)]
    slack_u, slack_v = 1e-9 * (u_high - u_low), 1e-9 * (v_high - v_low)
    inside = [(u, v) for u, v in ends
              if u_low - slack_u <= u <= u_high + slack_u and v_low - slack_v <= v <= v_high + slack_v]  # fmt: skip
    if len(inside) < 2:
        return np.zeros((0, 2))
    inside = sorted(inside)
    # A vertical line has equal u: the other coordinate then tells its ends apart.
    return np.array([inside[0], inside[-1]] if inside[0][0] != inside[-1][0] else
                    [min(inside, key=lambda p: p[1]), max(inside, key=lambda p: p[1])])  # fmt: skip


def _limits(values, log: bool) -> tuple[float, float]:
    values = np.log(values) if log else values
    low, high = float(values.min()), float(values.max())
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin


def _axes(ax, data, logs, labels, line) -> None:
    box = [_limits(values, log) for values, log in zip(data, logs, strict=True)]
    ends = crossing(*line, box)
    for k, (axis, setter) in enumerate(((ax.xaxis, ax.set_xlim), (ax.yaxis, ax.set_ylim))):
        shown = np.exp(box[k]) if logs[k] else box[k]
        if logs[k]:
            (ax.set_xscale if k == 0 else ax.set_yscale)("log")
            axis.set_major_locator(FixedLocator(log_ticks(*shown)))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        setter(*shown)
        ends[:, k] = np.exp(ends[:, k]) if logs[k] else ends[:, k]
    ax.plot(ends[:, 0], ends[:, 1], color=INK, lw=1.6, ls=(0, (5, 2)), label="Decision line", zorder=3)
    ax.set(xlabel=labels[0], ylabel=labels[1])


@matplotlib.rc_context(STYLE)
def draw_pair(data, label, classes, confidence, line, logs, labels, title: str, subtitle: str) -> Figure:
    """The cells in the plane of two measurements, twice side by side.

    Args:
        data: (x, y), each f [N], positive where its axis is logarithmic.
        label: i [N], 0 or 1.
        classes: the two names.
        confidence: f [N], calibrated probability of the predicted class; a cell with NaN is not in the right picture.
        line: ((a_x, a_y), c) of the decision line a_x u + a_y v + c = 0, where u is x, or ln x on a logarithmic axis.
        logs: two bool, whether each axis is logarithmic.
        labels: axis labels with units.
        title: of the figure.
        subtitle: of the left picture.
    """
    x, y = (np.asarray(values, np.float64) for values in data)
    label, confidence = np.asarray(label), np.asarray(confidence, np.float64)
    figure = Figure(figsize=(10.4, 5.3), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11.5)
    figure.get_layout_engine().set(wspace=0.05)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    # Drawn in a fixed shuffled order, so that the class drawn last does not hide the other.
    order = np.random.default_rng(0).permutation(len(x))
    size = float(np.clip(9000 / max(len(x), 1), 12, 34))
    for cells in np.array_split(order, 20):
        for k, colour in enumerate((BLUE, ORANGE)):
            these = cells[label[cells] == k]
            left.scatter(x[these], y[these], s=size, c=colour, marker=_MARKERS[k], lw=0.3, edgecolors="white")
    for k, colour in enumerate((BLUE, ORANGE)):
        left.scatter([], [], s=34, c=colour, marker=_MARKERS[k], label=f"{classes[k]} (n = {int((label == k).sum())})")
    order = np.argsort(-confidence, kind="stable")  # the least sure on top; NaN comes last and is left out
    order = order[np.isfinite(confidence[order])]
    paint, lowest = None, min(0.5, np.nanmin(confidence, initial=0.5))
    for k, marker in enumerate(_MARKERS):
        these = order[label[order] == k]
        paint = right.scatter(x[these], y[these], s=size, c=confidence[these], marker=marker, cmap="viridis",
                              vmin=lowest, vmax=1, lw=0.3, edgecolors="#777777")  # fmt: skip
    for ax in (left, right):
        _axes(ax, (x, y), logs, labels, line)
    right.set_ylabel("")
    left.set_title(subtitle)
    right.set_title(f"By the network's confidence (n = {len(order)})")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower left", ncols=3)
    bar = figure.colorbar(paint, ax=right, label="Calibrated confidence in the predicted class", pad=0.02)
    bar.outline.set_visible(False)
    return figure
