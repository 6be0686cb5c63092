"""Crops: of one split of a data set on disk, or of a new field."""

import dataclasses
import pathlib

import numpy as np

from cellcycle_jax import crop_file, files, old_names, schema, stored_config
from cellcycle_jax.dataset import tfds_reader
from cellcycle_jax.errors import InputRefused, StoredStateRefused, UsageError

PROVENANCE = "provenance.json"
METADATA = ("channels", "classes", "markers", "nucleus", "stains", "group_by")
LABELS = ("original", "permuted")  # which labels a model is trained on
ARRAYS = ("image", "image_scale", "compartments", "intensity_stats", "label")


@dataclasses.dataclass(frozen=True)
class Crops:
    """Crops of one split with all channels; N cells of S x S px and C channels.

    In memory; image and compartments may be `tfds_reader.StoredPixels` instead.

    Attributes:
        image: u16 [N, S, S, C], stored values.
        image_scale: f32 [N, C], pixel value = stored * image_scale + an offset that intensity_stats share.
        compartments: u8 [N, S, S], bits of schema.Compartment.
        compartments_present: u8 [N], which bits are known.
        label: i32 [N], index of the class, schema.NO_LABEL where labelling abstained.
        intensity_stats: f32 [N, C, 4], columns schema.INTENSITY_STATS.
        um_per_px: f32 [N], NaN where unknown.
        cell_id, group_id, field_id, well, plate, cell_line: text [N].
        channels: names of the C channels.
        classes: names of the P classes.
        markers: channels no model sees, since they made the labels.
        nucleus: channel that shows the nucleus.
        stains: channels of the other stains.
        group_by: what a group is: the unit of the split, or after `regrouped` that of intervals.
    """

    image: np.ndarray
    image_scale: np.ndarray
    compartments: np.ndarray
    compartments_present: np.ndarray
    label: np.ndarray
    intensity_stats: np.ndarray
    um_per_px: np.ndarray
    cell_id: np.ndarray
    group_id: np.ndarray
    field_id: np.ndarray
    well: np.ndarray
    plate: np.ndarray
    cell_line: np.ndarray
    channels: tuple[str, ...]
    classes: tuple[str, ...]
    markers: tuple[str, ...]
    nucleus: str
    stains: tuple[str, ...]
    group_by: str

    @property
    def known_um_per_px(self) -> float:
        """Size of a pixel, um, of the first crop of which it is known; NaN where it is of none."""
        sizes = self.um_per_px[np.isfinite(self.um_per_px)]
        return float(sizes[0]) if len(sizes) else float("nan")

    @property
    def pixel_bytes(self) -> int:
        """Bytes that image and compartments take in memory."""
        return self.image.nbytes + self.compartments.nbytes

    def __len__(self) -> int:
        return len(self.label)


def load_crops(data_dir, split: str, final: bool = False, pixels: bool = True) -> Crops:
    """Crops of a split of the data set in DATA/tfds.

    Args:
        data_dir: folder that `prepare` wrote.
        split: a name of `schema.SPLITS`.
        final: opens the test split, which is locked otherwise.
        pixels: whether to read image and compartments; else they stay on disk as `tfds_reader.StoredPixels`.

    Raises:
        UsageError: the split is the locked one, or no split at all.
        StoredStateRefused: the data set is missing, incomplete or damaged.
    """
    if split not in schema.SPLITS:
        raise UsageError(f"split {split!r} does not exist; allowed: {', '.join(schema.SPLITS)}")
    if split == "test" and not final:
        raise UsageError("the test split is locked until the final evaluation (--final); use 'validation'")
    folder = data_set_folder(data_dir)
    crops = tfds_reader.readable(folder, split, lambda: _stored_crops(*tfds_reader.read_split(folder, split)))
    _require_shapes(crops, f"{folder}: split {split!r}")
    return in_memory(crops) if pixels else crops


def _stored_crops(columns, metadata):
    """Crops of what is stored; KeyError or TypeError where another version stored other names."""
    columns = old_names.keys_of_today(columns, old_names.EXAMPLE_FEATURES)
    columns["label"] = columns["label"].astype(np.int32)
    vocabulary = {}
    for name in METADATA:
        value = metadata[name]
        vocabulary[name] = value if isinstance(value, str) else tuple(value)
    return Crops(**columns, **vocabulary)


def regrouped(crops: Crops, unit: str) -> Crops:
    """Crops whose groups are the plates or wells of their cells, as intervals want them.

    Args:
        crops: as they are stored.
        unit: "plate" or "well"; any other changes nothing.
    """
    if unit == "plate":
        return dataclasses.replace(crops, group_id=crops.plate, group_by=unit)
    if unit == "well":
        return dataclasses.replace(crops, group_id=schema.well_group(crops.plate, crops.well), group_by=unit)
    return crops


def interval_unit(data_dir) -> str:
    """What intervals leave out at a time, of provenance.json; "" where nothing is said, as in earlier versions."""
    path = pathlib.Path(data_dir) / PROVENANCE
    if not path.is_file():
        return ""
    return provenance(data_dir).get("intervals_by", "")


def data_set_folder(data_dir) -> pathlib.Path:
    """The folder of the TFDS data set in DATA, be it of this version or of the one before.

    Raises:
        StoredStateRefused: there is none.
    """
    for version in (schema.DATA_SET_VERSION, old_names.DATA_SET_VERSION):
        folder = pathlib.Path(data_dir) / schema.DATA_SET / version
        if (folder / "dataset_info.json").is_file():
            return folder
    place = f"{schema.DATA_SET}/{schema.DATA_SET_VERSION}"
    raise StoredStateRefused(f"{data_dir}: no data set found at {place}; make one with `launch.py prepare`")


def _require_shapes(crops, name):
    """Refuse stored crops whose arrays do not fit each other."""
    stored_channels = crops.image.shape[-1]
    fits = stored_channels == len(crops.channels) and np.isfinite(crops.intensity_stats).all()
    if len(crops) and not fits:
        raise StoredStateRefused(
            f"{name} has {stored_channels} channels for the names {list(crops.channels)}, "
            "or intensity_stats that are not finite; run `launch.py prepare`"
        )
    scales = crops.image_scale.shape
    if scales != (len(crops), len(crops.channels)):
        raise StoredStateRefused(
            f"{name} has an image_scale of shape {scales}, not a value per cell and channel: "
            "an older version wrote it; run `launch.py prepare` again"
        )


def identity(data_dir) -> str:
    """SHA-256 of DATA/provenance.json, which `prepare` writes last and which holds the hash of its table.

    Raises:
        StoredStateRefused: there is none, so the folder is no finished data set; or it is damaged.
    """
    provenance(data_dir)
    return files.sha256(pathlib.Path(data_dir) / PROVENANCE)


def is_data_set(data_dir) -> bool:
    """Whether a folder is what `prepare` finished, damaged or not."""
    return (pathlib.Path(data_dir) / PROVENANCE).is_file()


def provenance(data_dir) -> dict:
    """What DATA/provenance.json says of a data set, its preparation config with all fields of today.

    label_doubts is None where an earlier version did not ask for them.

    Raises:
        StoredStateRefused: there is none, it is damaged, or its config does not fit this version.
    """
    path = pathlib.Path(data_dir) / PROVENANCE
    if not path.is_file():
        raise StoredStateRefused(f"{path}: not there, so this is no finished data set; finish `launch.py prepare`")
    try:
        made = files.read_json(path)
    except ValueError as error:
        raise _damaged(path, error) from None
    for key in ("config", "channels"):
        if key not in made:
            raise _damaged(path, KeyError(key))
    config = stored_config.read(made["config"], stored_config.PREPARATION, f"{path}: config")
    return {"notes": [], "label_doubts": None, **made, "config": config}


def recorded_sha256(data_dir, name: str) -> str | None:
    """The SHA-256 that `prepare` wrote down of a file of the data set; None where nothing is written down.

    Raises:
        StoredStateRefused: DATA/provenance.json is damaged.
    """
    path = pathlib.Path(data_dir) / PROVENANCE
    if not path.is_file():
        return None
    try:
        return files.read_json(path).get("sha256", {}).get(name)
    except (ValueError, AttributeError) as error:
        raise _damaged(path, error) from None


def _damaged(path, error):
    return StoredStateRefused(
        f"{path}: damaged ({type(error).__name__}: {error}); restore it from a copy, or run `launch.py prepare` again"
    )


def crops_of_field(folder, field_id: str, rows, vocabulary: dict) -> Crops:
    """Cells of one field from the crops that preparation wrote, without labels.

    Args:
        folder: the work folder of preparation, see `crop_file`.
        field_id: name of the field.
        rows: of the N wanted cells in the table of objects, all of that field.
        vocabulary: the remaining fields of `Crops`; its channels are those of the file, in order.

    Raises:
        StoredStateRefused: the file is missing, damaged, lacks a cell, or has another number of channels.
    """
    stored = crop_file.index(folder, field_id)
    shared = stored.shared
    channels = vocabulary["channels"]
    n = len(rows)
    cell_ids = rows[schema.CELL_ID]
    numbers = cell_ids.map(stored.places())
    absent = cell_ids[numbers.isna()]
    if len(absent):
        raise _of_other_cells(stored, f"no cell {absent.iloc[0]!r}")
    if stored.cell_shape[-1] != len(channels):
        raise _of_other_cells(stored, f"{stored.cell_shape[-1]} channels")
    image, compartments = stored.read(numbers)
    field_stats = np.broadcast_to(shared.field_stats.T, (n, len(channels), len(shared.field_stats)))
    reference = rows[[schema.reference_column(name) for name in channels]].to_numpy(np.float32)
    return Crops(
        image=image,
        image_scale=np.tile(shared.image_scale, (n, 1)),
        compartments=compartments,
        compartments_present=np.full(n, shared.present, np.uint8),
        label=np.full(n, schema.NO_LABEL, np.int32),
        intensity_stats=np.concatenate([field_stats, reference[..., None]], axis=-1),
        um_per_px=np.full(n, shared.um_per_px, np.float32),
        cell_id=cell_ids.to_numpy(str),
        group_id=rows[schema.FIELD].to_numpy(str),  # no split has grouped these cells yet
        field_id=rows[schema.FIELD].to_numpy(str),
        well=rows[schema.WELL].to_numpy(str),
        plate=rows[schema.PLATE].to_numpy(str),
        cell_line=rows[schema.CELL_LINE].to_numpy(str),
        **vocabulary,
    )


def _of_other_cells(stored, reason):
    return StoredStateRefused(
        f"{stored.path}: {reason}, so these are not the crops of the cells in the table; cut them again"
    )


def join(parts) -> Crops:
    """The cells of several crops with the same vocabulary, one after another."""
    joined = {}
    for name, value in vars(parts[0]).items():
        if isinstance(value, np.ndarray):
            joined[name] = np.concatenate([getattr(part, name) for part in parts])
    return dataclasses.replace(parts[0], **joined)


def take(crops: Crops, rows) -> Crops:
    """The crops at `rows` (indices or a mask over the cells), in that order."""
    taken = {}
    for name, value in vars(crops).items():
        if isinstance(value, (np.ndarray, tfds_reader.StoredPixels)):
            taken[name] = value[rows]
    return dataclasses.replace(crops, **taken)


def rows_of_lines(crops: Crops, lines) -> np.ndarray:
    """Rows of the crops of some cell lines; of all for ().

    Raises:
        InputRefused: a line has no cell here.
    """
    if not lines:
        return np.arange(len(crops))
    present = sorted(set(crops.cell_line.tolist()))
    missing = [line for line in lines if line not in present]
    if missing:
        raise InputRefused(f"data.cell_lines: no cells of {', '.join(missing)}; found: {', '.join(present)}")
    return np.flatnonzero(np.isin(crops.cell_line, list(lines)))


def labelled_rows(crops: Crops, lines) -> np.ndarray:
    """Rows of the labelled crops of some cell lines; raises as `rows_of_lines`."""
    rows = rows_of_lines(crops, lines)
    return rows[crops.label[rows] != schema.NO_LABEL]


def take_lines(crops: Crops, lines) -> Crops:
    """The crops of some cell lines, all for (); raises as `rows_of_lines`."""
    return take(crops, rows_of_lines(crops, lines)) if lines else crops


def refuse_marker(name: str, markers) -> None:
    """Refuse to show a channel to a model that labels the cells.

    Raises:
        UsageError: names it.
    """
    if name in markers:
        raise UsageError(
            f"data.channels: {name!r} labels the cells and is never shown to a model; "
            "name others, or none for all but the markers"
        )


def channel_indices(crops: Crops, names=()) -> tuple[int, ...]:
    """Positions of the channels that a model sees.

    Args:
        crops: any crops of the data set.
        names: channels in the order the model sees them; () for all but the markers.

    Raises:
        UsageError: a marker is asked for, which made the labels, or a name stands twice.
        InputRefused: a channel is not in the data set, or all are markers.
    """
    allowed = [name for name in crops.channels if name not in crops.markers]
    if not allowed:
        raise InputRefused(
            f"data.channels: every channel labels the cells ({', '.join(crops.channels)}); nothing is left to show"
        )
    names = list(names) or allowed
    indices = []
    missing = []
    for name in names:
        refuse_marker(name, crops.markers)
        if name in allowed:
            indices.append(crops.channels.index(name))
        else:
            missing.append(name)
    if missing:
        raise InputRefused(f"data.channels: {', '.join(missing)} not in the data set; found: {', '.join(allowed)}")
    if len(set(names)) < len(names):
        raise UsageError(f"data.channels: {', '.join(names)} names a channel twice; name each once")
    return tuple(indices)


def rows_of_cells(crops: Crops, cell_ids) -> np.ndarray:
    """Row of each cell among the crops, i64 [n], in the order of the ids; KeyError where one is not there."""
    row_of_cell = dict(zip(crops.cell_id.tolist(), range(len(crops)), strict=True))
    return np.array([row_of_cell[cell] for cell in cell_ids], np.int64)


def with_labels(crops: Crops, labels: str) -> Crops:
    """The crops of a split with their original labels, or with 'permuted' ones: shuffled, always in the same way."""
    if labels == "original":
        return crops
    label = crops.label.copy()
    labelled = label != schema.NO_LABEL
    label[labelled] = np.random.default_rng(0).permutation(label[labelled])
    return dataclasses.replace(crops, label=label)


def in_memory(crops: Crops) -> Crops:
    """The crops with their pixels read, where these are on disk."""
    if not isinstance(crops.image, tfds_reader.StoredPixels):
        return crops
    return dataclasses.replace(crops, **tfds_reader.read_pixels(crops.image))


def keeping_pixels(crops: Crops) -> Crops:
    """The crops of a split, whose pixels stay in memory once they are read; as they are where all are in memory."""
    if not isinstance(crops.image, tfds_reader.StoredPixels):
        return crops
    kept = tfds_reader.room_to_keep(crops.image)
    image = dataclasses.replace(crops.image, kept=kept)
    compartments = dataclasses.replace(crops.compartments, kept=kept)
    return dataclasses.replace(crops, image=image, compartments=compartments)


def arrays_of(crops: Crops) -> dict[str, np.ndarray]:
    """The arrays that a training or prediction step reads, by name (`ARRAYS`); pixels on disk are read."""
    crops = in_memory(crops)
    return {name: getattr(crops, name) for name in ARRAYS}
