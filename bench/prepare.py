"""How fast fields become measurements and crops, beside what one would write with scikit-image or OpenCV.

    python bench/prepare.py [--rounds 5] [--fields 3] [--nuclei DIR] [--record] [--json FILE]

a) measurements against `regionprops_table` with the same properties: values, then time;
b) 2048 x 2048 x 3 fields to crops against a plain script of full-resolution steps: masks, then time;
c) `extract_field` on simulated fields, stage by stage.

All that is compared runs in one process with one thread, in turns; times are the process' CPU time, which other
programs on the machine disturb least; a ratio is the median over the rounds of one round's ratio. `--nuclei` names a
folder with images/*.tif and masks/*.png (BBBC039) for a) on real nuclei; bench/README.md says where results go.
"""

import cProfile
import os
import pathlib
import pstats
import sys
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import numpy as np
import scipy
import skimage
from scipy import ndimage
from skimage import filters, io, measure

from bench.command_line import script_parser
from bench.results import CPU_TIME, Section, publish
from bench.tables import Grid, Measure, Table
from bench.turns import in_turns
from configs import base
from configs.data import simulated
from data_prep.cells import crop
from data_prep.fields_to_cells import one_field
from data_prep.fields_to_cells.preprocessing import Preprocessing
from data_prep.measurement.measure import intensity
from data_prep.measurement.regions import Regions
from data_prep.measurement.shape import centres, shape
from data_prep.segmentation import segment
from data_prep.simulation.simulate import simulate
from data_prep.sources import source_of

try:
    import cv2
    cv2.setNumThreads(1)
except ImportError:  # a peer only; SciPy stands in
    cv2 = None

SIZE, CELLS, CROP = 2048, 60, 150
DIAMETER = 55.0  # px, what the segmenters are told: their blur is then the 11 px of the script
SHAPES = {"area": "Area", "perimeter": "Perimeter", "eccentricity": "Eccentricity", "solidity": "Solidity",
          "extent": "Extent", "axis_major_length": "MajorAxisLength", "axis_minor_length": "MinorAxisLength",
          "equivalent_diameter_area": "EquivalentDiameter"}
INTENSITIES = {"intensity_mean": "MeanIntensity", "intensity_max": "MaxIntensity", "intensity_std": "StdIntensity"}
STAGES = ("read", "corrected", "segment_nuclei", "cell_bodies", "field_background", "stain_mask", "measure_cells",
          "_rows", "_write_crops")
DIFFERENCE = Measure("largest relative difference", larger_is_better=False, form=".1g")
CROPS = Measure("crops", form=".0f")
AGREEMENT = Measure("IoU of its mask with Otsu's of all pixels after the same blur", larger_is_better=True, form=".4f")
SPENT = Measure("ms (under a profiler)", "ms", larger_is_better=False, exact=False)
SHARE = Measure("share", form=".0%", exact=False)


def times(title, seconds, count, unit, note=""):
    """The table of what `in_turns` returned for `count` things; the others are held against the first way."""
    milliseconds = {way: [1e3 * s / count for s in of_rounds] for way, of_rounds in seconds.items()}
    return Table(title, f"ms per {unit}", milliseconds, larger_is_better=False, note=note)


def synthetic_field(seed):
    """Elliptic nuclei with soft edges on camera noise, u16 [H, W, 3], channel 0 nuclear; labels as drawn, i32."""
    rng = np.random.default_rng(seed)
    image, labels = rng.normal(300, 12, (SIZE, SIZE, 3)).astype(np.float32), np.zeros((SIZE, SIZE), np.int32)
    for number in range(1, CELLS + 1):
        middle, radii, angle = rng.uniform(0, SIZE, 2), rng.uniform(25, 45, 2), rng.uniform(0, np.pi)
        low, high = np.maximum(middle - 60, 0).astype(int), np.minimum(middle + 60, SIZE).astype(int)
        y, x = np.mgrid[low[0]:high[0], low[1]:high[1]] - middle[:, None, None]
        along, across = np.cos(angle) * y + np.sin(angle) * x, np.cos(angle) * x - np.sin(angle) * y
        distance = np.hypot(along / radii[0], across / radii[1])
        box = np.s_[low[0]:high[0], low[1]:high[1]]
        glow = 1 / (1 + np.exp(12 * (distance - 1)))
        image[box] += glow[..., None] * rng.uniform(0.7, 1.3, 3) * (2000, 900, 600)
        labels[box][(distance < 1) & (labels[box] == 0)] = number
    return np.clip(image, 0, 65535).astype(np.uint16), labels


def library_table(image, labels):
    """What scikit-image measures of our columns."""
    return measure.regionprops_table(labels, image, properties=(*SHAPES, *INTENSITIES))


def our_table(image, labels):
    """The same by this project, {column: [n]}."""
    regions = Regions.of(labels)
    columns = shape(regions, 1.0)
    for c in range(image.shape[-1]):
        columns |= intensity(image[..., c], regions, "Nuclei", str(c))
    return columns


def measurements(fields, title, rounds):
    """Part a): how far values are from the library's, and how long both take."""
    worst = {}
    for image, labels in fields:
        theirs, ours = library_table(image, labels), our_table(image, labels)
        pairs = [(p, theirs[p], ours[f"Nuclei_AreaShape_{n}"]) for p, n in SHAPES.items()]
        for p, n in INTENSITIES.items():
            pairs += [(p, theirs.get(f"{p}-{c}", theirs.get(p)), ours[f"Nuclei_Intensity_{n}_{c}"])
                      for c in range(image.shape[-1])]
        for name, a, b in pairs:
            worst[name] = max(worst.get(name, 0), float(np.max(np.abs(a - b) / np.maximum(np.abs(a), 1e-12))))
    n = sum(len(np.unique(labels)) - 1 for _, labels in fields)
    seconds = in_turns({"regionprops_table": library_table, "ours": our_table}, fields, rounds)
    rows = {(name,): {DIFFERENCE.name: difference} for name, difference in worst.items()}
    note = f"{n} nuclei in {len(fields)} fields."
    return [
        Grid(f"Measurements, {title}: values", ("property",), (DIFFERENCE,), rows, note=note),
        times(f"Measurements, {title}: times", seconds, n, "nucleus"),
    ]


def whole(middles):
    """Those of `middles` [n, 2] around which a crop lies within the field."""
    return middles[np.all((middles >= CROP // 2) & (middles <= SIZE - CROP // 2), axis=1)]


def full_resolution_script(planes, _):
    """Standardise all pixels of u16 [3, H, W], blur, threshold, label, cut: (crops f32 [n, S, S, 3], mask)."""
    planes = [(plane - plane.mean()) / plane.std() * 16 + 64 for plane in planes]
    picture = np.stack([plane / 255 for plane in planes], axis=-1)
    if cv2:
        smooth = cv2.GaussianBlur(planes[0], (35, 35), 11).astype(int).astype(np.uint8)
        _, mask = cv2.threshold(smooth, 0, 255, cv2.THRESH_OTSU)
        middles = cv2.connectedComponentsWithStats(mask)[3][1:, ::-1]
    else:
        smooth = ndimage.gaussian_filter(planes[0], 11, radius=17).astype(int).astype(np.uint8)
        mask = smooth > filters.threshold_otsu(smooth)
        labels, n = ndimage.label(mask, np.ones((3, 3)))
        middles = np.array(ndimage.center_of_mass(mask, labels, np.arange(1, n + 1))).reshape(-1, 2)
    corners = np.round(whole(middles)).astype(int) - CROP // 2
    return np.array([picture[y:y + CROP, x:x + CROP] for y, x in corners], np.float32), mask


def our_crops(method, standardise=False):
    """A way from a field u16 [H, W, 3] to (crops [n, S, S, 3], labels) with a segmenter of ours.

    Crops are u16 as `prepare` stores them, or f32 with the values that the script gives.
    """
    def way(_, image):
        labels = segment.SEGMENTERS[method](image[..., 0].astype(np.float32), DIAMETER)
        middles = whole(np.stack(centres(Regions.of(labels)), axis=1))
        found = crop.pictures(image, middles, CROP, 1.0, 0)
        if standardise:
            mean, spread = mean_and_spread(image)
            factor = 16 / 255 / spread
            # Rows of CROP * 3 values: NumPy is slow where the innermost axis has three.
            rows = found.reshape(len(found), CROP, -1) * np.tile(factor, CROP)
            rows += np.tile(64 / 255 - mean * factor, CROP)
            found = rows.reshape(found.shape)
        return found, labels
    return way


def mean_and_spread(image, block=64):
    """Mean and standard deviation of each channel of u16 [H, W, C], two f32 [C], in blocks that stay in the cache."""
    total, squares = np.zeros((2, image[0].size))  # of each column and channel
    for rows in np.split(image.reshape(len(image), -1), range(block, len(image), block)):
        values = rows.astype(np.float32)
        total += values.sum(axis=0)
        squares += np.einsum("ij,ij->j", values, values)
    pixels = image.shape[0] * image.shape[1]
    mean, square = (sums.reshape(-1, image.shape[2]).sum(axis=0) / pixels for sums in (total, squares))
    return mean.astype(np.float32), np.sqrt(square - mean**2).astype(np.float32)


def overlap(one, other):
    """Intersection over union of what is not 0 in two masks."""
    return np.sum((one > 0) & (other > 0)) / np.sum((one > 0) | (other > 0))


def crops(images, rounds):
    """Part b): how many crops, how true the masks, and how long each way takes."""
    name = f"full-resolution script ({'OpenCV' if cv2 else 'SciPy in the place of OpenCV'})"
    ways = {name: full_resolution_script} | {f"ours, {m}": our_crops(m) for m in segment.SEGMENTERS}
    if "otsu" in segment.SEGMENTERS:
        ways["ours, otsu, standardised as by the script"] = our_crops("otsu", standardise=True)
    # Each way gets the field as it would read it: a file per channel, or channels last.
    given = [(np.ascontiguousarray(np.moveaxis(image, -1, 0)), image) for image in images]
    smooth = [ndimage.gaussian_filter(planes[0].astype(np.float32), 11) for planes, _ in given]
    masks = [plane > filters.threshold_otsu(plane) for plane in smooth]
    rows = {}
    for label, way in ways.items():
        found = [way(*field) for field in given]
        agreed = np.mean([overlap(mine, mask) for (_, mine), mask in zip(found, masks, strict=True)])
        rows[label,] = {CROPS.name: sum(len(pictures) for pictures, _ in found), AGREEMENT.name: agreed}
    title = f"Fields to crops of {CROP} px, {len(images)} fields of {SIZE} x {SIZE} x 3"
    return [
        Grid(f"{title}: crops", ("way",), (CROPS, AGREEMENT), rows),
        times(f"{title}: times", in_turns(ways, given, rounds), len(images), "field"),
    ]


def stages(n, rounds):
    """Part c): how long a field takes, and which share each stage of it."""
    with tempfile.TemporaryDirectory() as folder:
        folder, made = pathlib.Path(folder), base.simulation()
        made.lines, made.fields_per_line, made.workers = ("HeLa",), n, 1
        simulate(made, folder)
        config = simulated.get_config()
        source = source_of(config.source)
        found = source.find_fields(folder, config)
        preprocessing = Preprocessing(config, folder, folder, source.read(found[0], config).channels, {})
        seconds = in_turns({"all": one_field.extract_field}, [(file, preprocessing) for file in found], rounds)["all"]
        profile = cProfile.Profile(time.process_time)
        for file in found:
            profile.runcall(one_field.extract_field, file, preprocessing)
    calls = sorted((values[3], where[2]) for where, values in pstats.Stats(profile).stats.items()
                   if "data_prep" in where[0] and where[2] in (*STAGES, "extract_field"))
    spent = {name: seconds for seconds, name in calls}  # of functions of one name the outermost
    total = spent.pop("extract_field")
    rows = {}
    for stage in STAGES:
        if stage in spent:
            name = stage.strip("_")
            rows[name,] = {SPENT.name: 1e3 * spent[stage] / n, SHARE.name: spent[stage] / total}
    title = f"`extract_field`, {n} simulated fields of {made.field_size_px} x {made.field_size_px} x 4, one process"
    return [
        times(title, {"all stages": seconds}, n, "field"),
        Grid(f"{title}: its stages", ("stage",), (SPENT, SHARE), rows),
    ]


def main():
    """All three parts."""
    parser = script_parser(__doc__)
    parser.add_argument("--fields", type=int, default=3)
    parser.add_argument("--nuclei", type=pathlib.Path)
    given = parser.parse_args()
    fields = [synthetic_field(seed) for seed in range(given.fields)]
    versions = {"NumPy": np.__version__, "SciPy": scipy.__version__, "scikit-image": skimage.__version__}
    if cv2:
        versions["OpenCV"] = cv2.__version__
    parts = []
    if given.nuclei:
        masks = sorted((given.nuclei / "masks").glob("*.png"))[:4 * given.fields]
        real = [(io.imread(given.nuclei / "images" / f"{path.stem}.tif")[..., None],
                 measure.label(io.imread(path)[..., 0], connectivity=1)) for path in masks]
        parts += measurements(real, "real nuclei (BBBC039, 520 x 696 x 1)", given.rounds)
    parts += measurements(fields, f"synthetic fields of {SIZE} x {SIZE} x 3", given.rounds)
    parts += crops([image for image, _ in fields], given.rounds)
    parts += stages(2 * given.fields, given.rounds)
    publish(given, Section("Measurements, crops and whole fields", parts, versions, CPU_TIME))


if __name__ == "__main__":
    main()
