"""How well nuclei are found, one setting for all data sets, beside Otsu's threshold and a plain watershed.

    python bench/segmentation.py [--data DIR] [--out runs/bench/segmentation] [--every 1] [--fields 4] [--record]
        [--json FILE]

Scores are pooled over all images: F1 = 2 TP / (2 TP + FP + FN), a true and a found nucleus being a pair where their
overlap is more than the given share of their union. Intervals of 95 % come from resampling images (wells for BBBC039).
DIR holds bbbc039_u2os_hoechst/images and masks, dsb2018_fluorescence/images and labels.
A data set whose folder is not there is left out, and the script says so. The worst failures are drawn into
OUT/failures.png; bench/README.md says where results go.
"""

import os
import pathlib
import sys
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import scipy
import skimage
import tifffile
from PIL import Image
from scipy import ndimage
from skimage import feature, filters, io, measure, segmentation

from bench.command_line import script_parser
from bench.results import CPU_TIME, Section, publish
from bench.tables import Grid, Measure
from configs import base
from data_prep.segmentation.segment import segment_nuclei
from data_prep.simulation.simulate import simulate

LEVELS = np.arange(0.5, 0.91, 0.05)
KINDS = ("merged", "split", "missed", "spurious")
F1_OF_LEVEL = [Measure(f"{level:.2f}", larger_is_better=True, form=".3f") for level in LEVELS]
COUNTS = [Measure(name, form=".0f") for name in ("images", "true", "found")]
FAILURES = [Measure(kind, larger_is_better=False, form=".0f") for kind in KINDS]
SPENT = Measure("ms an image", "ms", larger_is_better=False, exact=False, form=".0f")
TRUE_COLOUR, FOUND_COLOUR = "#0072B2", "#E69F00"
TILE_PX = 96


def overlaps(truth, found) -> np.ndarray:
    """Common pixels of every true with every found object, i64 [true + 1, found + 1]; row and column 0: background."""
    width = found.max() + 1
    both = truth.ravel().astype(np.int64) * width + found.ravel()
    return np.bincount(both, minlength=(truth.max() + 1) * width).reshape(-1, width)


def hits(truth, found) -> np.ndarray:
    """Number of pairs with an overlap above each of LEVELS, i64 [9]; above one half a pair is unique."""
    common = overlaps(truth, found)
    union = common.sum(1, keepdims=True) + common.sum(0, keepdims=True) - common
    shares = (common / union)[1:, 1:]
    return np.array([(shares > level + 1e-9).sum() for level in LEVELS])


def failures(truth, found) -> dict[str, list[int]]:
    """Names of found objects that are merged or spurious, and of true ones that are split or missed.

    merged: covers more than half of two or more true nuclei. split: two or more found objects lie in it by more than
    half of themselves. missed, spurious: less than a tenth is covered by any object of the other side.
    """
    common = overlaps(truth, found)
    true_area, found_area = common.sum(1), common.sum(0)
    of_true, of_found = common[1:, 1:] / true_area[1:, None], common[1:, 1:] / found_area[1:]
    return {
        "merged": list(1 + np.flatnonzero((of_true > 0.5).sum(0) > 1)),
        "split": list(1 + np.flatnonzero((of_found > 0.5).sum(1) > 1)),
        "missed": list(1 + np.flatnonzero(of_true.sum(1) < 0.1)),
        "spurious": list(1 + np.flatnonzero(of_found.sum(0) < 0.1)),
    }


def f1(counts) -> np.ndarray:
    """F1 at each level from summed [..., hits at 9 levels, true, found]."""
    return 2 * counts[..., :9] / np.maximum(counts[..., 9:10] + counts[..., 10:11], 1)


def plain(image):
    """What most scripts do: Gaussian of 2 px, Otsu, distance transform, its peaks 10 px apart, watershed."""
    smooth = filters.gaussian(image.astype(np.float32), 2)
    mask = smooth > filters.threshold_otsu(smooth)
    distance = ndimage.distance_transform_edt(mask)
    peaks = feature.peak_local_max(distance, min_distance=10, labels=measure.label(mask), exclude_border=False)
    markers = np.zeros(mask.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return segmentation.watershed(-distance, markers, mask=mask)


WAYS = {"watershed": segment_nuclei, "otsu": lambda image: segment_nuclei(image, method="otsu"), "plain": plain}


def data_sets(folder, every, fields):
    """Yield (data set, image name, unit of resampling, image, truth)."""
    real = folder / "bbbc039_u2os_hoechst"
    for path in sorted((real / "images").glob("*.tif"))[::every]:
        truth = measure.label(io.imread(real / "masks" / f"{path.stem}.png")[..., 0], connectivity=1)
        yield "BBBC039", path.stem, path.stem.split("_")[1], io.imread(path), truth
    bowl = folder / "dsb2018_fluorescence"
    for path in sorted((bowl / "images").glob("*.png"))[::every]:
        truth = io.imread(bowl / "labels" / path.name).astype(np.int32)
        yield "DSB 2018", path.stem[:10], path.stem, io.imread(path)[..., 0], truth
    with tempfile.TemporaryDirectory() as made:
        config = base.simulation()
        config.fields_per_line, config.workers = fields, 1
        simulate(config, made)
        for path in sorted(pathlib.Path(made, "fields").glob("*.tif")):
            stem = path.name.removesuffix(".ome.tif")
            truth = tifffile.imread(pathlib.Path(made, "labels", f"{stem}.tif"))[0].astype(np.int32)
            yield "simulated", stem, stem, tifffile.imread(path)[0], truth


def score(folder, every, fields):
    """Counts per data set, way and unit {(set, way): {unit: [15]}}, CPU seconds, images, and the worst tiles."""
    counts, seconds, images, tiles = {}, {}, {}, []
    for name, title, unit, image, truth in data_sets(folder, every, fields):
        images[name] = images.get(name, 0) + 1
        for way, find in WAYS.items():
            start = time.process_time()
            found = find(image)
            seconds[name, way] = seconds.get((name, way), 0) + time.process_time() - start
            failed = failures(truth, found)
            row = np.array([*hits(truth, found), truth.max(), found.max(), *(len(failed[kind]) for kind in KINDS)])
            of_units = counts.setdefault((name, way), {})
            of_units[f"{name} {unit}"] = of_units.get(f"{name} {unit}", 0) + row
            if way == "watershed":
                tiles += worst_tiles(name, title, image, truth, found, failed)
    return counts, seconds, images, tiles


def worst_tiles(name, title, image, truth, found, failed):
    """Of each kind the largest failure of an image: (kind, area in typical nuclei, title, image, truth, found)."""
    tiles, typical = [], np.median(np.bincount(truth.ravel())[1:])
    for kind in KINDS:
        side = truth if kind in ("split", "missed") else found
        areas = np.bincount(side.ravel(), minlength=side.max() + 1)
        if failed[kind]:
            worst = max(failed[kind], key=lambda i, areas=areas: areas[i])
            y, x = (int(np.mean(axis)) for axis in np.nonzero(side == worst))
            box = tuple(slice(max(0, min(c - TILE_PX // 2, n - TILE_PX)), max(0, min(c - TILE_PX // 2, n - TILE_PX))
                              + TILE_PX) for c, n in zip((y, x), image.shape, strict=True))
            tiles.append((kind, areas[worst] / typical, f"{kind}: {name}\n{title[:22]}", image[box], truth[box],
                          found[box]))
    return tiles


def gallery(tiles, path, per_kind=6):
    """Draw the largest failures of each kind, one kind a row."""
    figure, axes = plt.subplots(len(KINDS), per_kind, figsize=(2 * per_kind, 2.45 * len(KINDS) + 0.5), squeeze=False)
    for row, kind in zip(axes, KINDS, strict=True):
        chosen = sorted((t for t in tiles if t[0] == kind), key=lambda t: -t[1])[:per_kind]
        for axis, (_, _, title, image, truth, found) in zip(row, chosen, strict=False):
            low, high = np.percentile(image, (1, 99.7))
            axis.imshow(np.clip((image - low) / max(high - low, 1), 0, 1) ** 0.6, cmap="gray")
            for labels, colour, width in ((truth, TRUE_COLOUR, 2.4), (found, FOUND_COLOUR, 1.1)):
                for label in np.unique(labels[labels > 0]):
                    axis.contour(labels == label, levels=[0.5], colors=colour, linewidths=width)
            axis.plot([4, 24], [image.shape[0] - 5] * 2, color="white", linewidth=3)
            axis.set_title(title, fontsize=8)
        for axis in row:
            axis.axis("off")
    lines = [plt.Line2D([], [], color=colour, linewidth=3) for colour in (TRUE_COLOUR, FOUND_COLOUR, "0.8")]
    figure.legend(lines, ["true outline", "found outline", "20 px"], loc="lower center", ncols=3, frameon=False)
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    plt.close(figure)
    Image.open(path).convert("RGB").quantize(48).save(path, optimize=True)  # a third of the size


def interval(units, rng, resamples=2000):
    """Percentiles 2.5 and 97.5 of the pooled F1 over IoU 0.5 when units are drawn again."""
    rows = np.stack(list(units.values()))
    drawn = rows[rng.integers(len(rows), size=(resamples, len(rows)))].sum(1)
    return np.percentile(f1(drawn)[:, 0], (2.5, 97.5))


def tables(counts, seconds, images):
    """The scores, and what went wrong."""
    rng = np.random.default_rng(0)
    sets = list(images)
    groups = {name: [name] for name in sets} | {"all": sets}
    scores = {}
    intervals = {}
    wrong = {}
    for group, members in groups.items():
        for way in WAYS:
            units = {unit: row for name in members for unit, row in counts[name, way].items()}
            total = sum(units.values())
            low, high = interval(units, rng)
            intervals[group, way] = f"{low:.3f} to {high:.3f}"
            number = sum(images[name] for name in members)
            spent = {SPENT.name: 1e3 * sum(seconds[name, way] for name in members) / number}
            counted = [number, *total[9:]]
            scores[group, way] = _by_name(F1_OF_LEVEL, f1(total))
            wrong[group, way] = _by_name([*COUNTS, *FAILURES], counted) | spent
    heads = ("data", "way")
    return [
        Grid("F1 by the least overlap (IoU)", heads, tuple(F1_OF_LEVEL), scores, {"95 % at 0.50": intervals}),
        Grid("What went wrong", heads, (*COUNTS, *FAILURES, SPENT), wrong),
    ]


def _by_name(measures, values):
    return {measure.name: value for measure, value in zip(measures, values, strict=True)}


def main():
    """Score, print, draw; record where that is asked for."""
    parser = script_parser(__doc__, rounds=None)
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("data"))
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/bench/segmentation"))
    parser.add_argument("--every", type=int, default=1, help="use each n-th real image only")
    parser.add_argument("--fields", type=int, default=4, help="simulated fields of each line")
    given = parser.parse_args()
    for name in ("bbbc039_u2os_hoechst", "dsb2018_fluorescence"):
        if not (given.data / name).is_dir():
            print(f"{given.data / name}: not there, left out")
    counts, seconds, images, tiles = score(given.data, given.every, given.fields)
    versions = {"NumPy": np.__version__, "SciPy": scipy.__version__, "scikit-image": skimage.__version__}
    publish(given, Section("Segmentation", tables(counts, seconds, images), versions, CPU_TIME))
    gallery(tiles, given.out / "failures.png")
    print(f"failures: {given.out / 'failures.png'}")


if __name__ == "__main__":
    main()
