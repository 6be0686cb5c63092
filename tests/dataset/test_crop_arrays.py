import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from cellcycle_jax import files, schema
from cellcycle_jax.dataset import crop_arrays, model_input, tfds_reader
from cellcycle_jax.errors import InputRefused, StoredStateRefused, UsageError
from cellcycle_jax.schema import Compartment
from tests import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.write_data(tmp_path_factory.mktemp("data"), unlabelled=2)


def inputs(crops, channels=(0, 1), mask="none", scale="reference"):
    stored = (crops.image, crops.image_scale, crops.compartments, crops.intensity_stats)
    return np.asarray(model_input.model_inputs(*stored, channels, mask, scale))


def test_what_was_written_is_read(folder):
    found, wanted = crop_arrays.load_crops(folder, "train"), tiny.crops(32, unlabelled=2)
    order = np.argsort(found.cell_id), np.argsort(wanted.cell_id)
    for field in dataclasses.fields(wanted):
        left, right = getattr(found, field.name), getattr(wanted, field.name)
        if isinstance(right, np.ndarray):
            assert left.dtype.kind == right.dtype.kind
            np.testing.assert_array_equal(left[order[0]], right[order[1]])
        else:
            assert left == right


def test_reading_imports_no_tensorflow(folder):
    code = ("import sys; from cellcycle_jax.dataset import crop_arrays; crop_arrays.load_crops(sys.argv[1], 'train');"
            "sys.exit('tensorflow' in sys.modules)")
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)


def test_plates_and_wells_are_groups_where_intervals_leave_them_out():
    crops = tiny.crops(12, "train")
    assert crop_arrays.regrouped(crops, "field") is crops and crop_arrays.regrouped(crops, "") is crops
    by_plate = crop_arrays.regrouped(crops, "plate")
    assert by_plate.group_by == "plate" and set(by_plate.group_id) == {"P1"}
    by_well = crop_arrays.regrouped(crops, "well")
    assert by_well.group_by == "well" and sorted(set(by_well.group_id)) == ["P1/A0", "P1/A1", "P1/A2"]
    assert by_well.group_id[4] == "P1/A1" and by_well.field_id is crops.field_id


def test_test_split_is_locked(folder):
    with pytest.raises(UsageError, match="locked"):
        crop_arrays.load_crops(folder, "test")
    assert len(crop_arrays.load_crops(folder, "test", final=True)) == 8


def test_missing_and_damaged_data_are_refused(folder, tmp_path):
    with pytest.raises(StoredStateRefused, match="no data set"):
        crop_arrays.load_crops(tmp_path, "train")
    tiny.write_data(tmp_path)
    shard = next(crop_arrays.data_set_folder(tmp_path).glob("*train*"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 255
    shard.write_bytes(content)
    with pytest.raises(StoredStateRefused, match="cannot be read"):
        crop_arrays.load_crops(tmp_path, "train")
    shard.unlink()
    with pytest.raises(StoredStateRefused, match="cannot be read"):
        crop_arrays.load_crops(tmp_path, "train")


def test_marker_is_never_shown():
    crops = tiny.crops()
    assert crop_arrays.channel_indices(crops) == (0, 1)
    assert crop_arrays.channel_indices(crops, ("Golgi", "DNA")) == (1, 0)
    with pytest.raises(UsageError, match="CENPF"):
        crop_arrays.channel_indices(crops, ("DNA", "CENPF"))
    with pytest.raises(InputRefused, match="EB1.*found: DNA, Golgi"):
        crop_arrays.channel_indices(crops, ("EB1",))


def test_data_of_markers_only_leave_nothing_to_show():
    crops = dataclasses.replace(tiny.crops(), markers=tiny.CHANNELS)
    for names in ((), ("DNA",)):
        with pytest.raises(InputRefused, match=r"every channel labels the cells \(DNA, Golgi, CENPF\); nothing"):
            crop_arrays.channel_indices(crops, names)


def test_cell_lines_are_chosen_by_name():
    crops = tiny.crops()
    assert set(crop_arrays.take_lines(crops, ("RPE1",)).cell_line) == {"RPE1"}
    assert len(crop_arrays.take_lines(crops, ())) == len(crops)
    with pytest.raises(InputRefused, match="NIH3T3.*found: HeLa, RPE1"):
        crop_arrays.take_lines(crops, ("NIH3T3",))


def test_a_pixel_of_the_reference_is_one():
    crops = tiny.crops()
    pixel = tiny.BACKGROUND + tiny.REFERENCE * np.array([0.0, 1.0, 2.5])
    image = np.broadcast_to(pixel[:, None], (3, 3)).astype(np.uint16)
    crops = dataclasses.replace(crop_arrays.take(crops, [0]), image=np.tile(image[None, :, None], (1, 1, 3, 1)),
                                compartments=crops.compartments[:1, :3, :3])
    np.testing.assert_allclose(inputs(crops)[0, :, 0, 0], [0, 1, 2.5], rtol=1e-6)


def test_image_scale_gives_camera_units():
    crops = tiny.crops()
    halved = dataclasses.replace(crops, image=(crops.image * 2).astype(np.uint16), image_scale=crops.image_scale / 2)
    np.testing.assert_array_equal(inputs(halved), inputs(crops))


def test_each_channel_has_a_scale_of_its_own():
    crops = tiny.crops()
    wanted = inputs(crops, channels=(1, 0))
    factor = np.array([1, 2, 4], np.float32)
    other = dataclasses.replace(crops, image=(crops.image * factor).astype(np.uint16),
                                image_scale=crops.image_scale / factor)
    np.testing.assert_array_equal(inputs(other, channels=(1, 0)), wanted)


def test_data_with_one_scale_for_all_channels_are_refused(folder, monkeypatch):
    def older(*given, read=tfds_reader.read_split):
        columns, metadata = read(*given)
        return columns | {"image_scale": columns["image_scale"][:, 0]}, metadata

    monkeypatch.setattr(tfds_reader, "read_split", older)
    with pytest.raises(StoredStateRefused, match="image_scale.*launch.py prepare"):
        crop_arrays.load_crops(folder, "train")


@pytest.mark.parametrize("older", [
    lambda columns, metadata: (columns, {n: v for n, v in metadata.items() if n != "stains"}),
    lambda columns, metadata: ({n: v for n, v in columns.items() if n != "well"}, metadata),
    lambda columns, metadata: (columns | {"radius": columns["intensity_stats"]}, metadata),
], ids=["metadata", "column", "column too many"])
def test_data_of_another_version_are_refused(folder, monkeypatch, older):
    read = tfds_reader.read_split
    monkeypatch.setattr(tfds_reader, "read_split", lambda *given: older(*read(*given)))
    with pytest.raises(StoredStateRefused, match="cannot be read.*(stains|well|radius).*launch.py prepare"):
        crop_arrays.load_crops(folder, "train")


def test_nucleus_and_nucleus_max_ignore_gain_and_surroundings():
    crops = tiny.crops()
    want = inputs(crops, mask="nucleus", scale="nucleus_max")
    signal = crops.image.astype(np.float64) - tiny.BACKGROUND
    nucleus = (crops.compartments & int(Compartment.NUCLEUS) > 0)[..., None]
    brighter = np.where(nucleus, np.maximum(signal * 2 + tiny.BACKGROUND, 0), 7).astype(np.uint16)
    keep = np.all(np.where(nucleus, signal, 0) * 2 + tiny.BACKGROUND >= 0, axis=(1, 2, 3))
    assert keep.sum() > 2
    found = inputs(dataclasses.replace(crops, image=brighter), mask="nucleus", scale="nucleus_max")
    np.testing.assert_array_equal(found[keep], want[keep])
    assert want.max() == 1 and not want[~np.broadcast_to(nucleus, want.shape)].any()


def test_spread_and_reference_differ_by_their_ratio_only():
    crops = tiny.crops()
    stats = crops.intensity_stats[:, None, None, :2]
    spread, reference = (stats[..., schema.INTENSITY_STATS.index(n)] for n in ("spread", "reference"))
    np.testing.assert_allclose(inputs(crops, scale="spread") * spread, inputs(crops, scale="reference") * reference,
                               rtol=1e-5)


def test_cell_mask_keeps_the_own_body_and_nothing_else():
    crops = tiny.crops()
    body = (crops.compartments & int(Compartment.BODY) > 0)[..., None]
    assert 0 < body.mean() < 1
    np.testing.assert_array_equal(inputs(crops, mask="cell"), np.where(body, inputs(crops, mask="none"), 0))
    neighbours = dataclasses.replace(crops, image=np.where(body, crops.image, 60000).astype(np.uint16))
    np.testing.assert_array_equal(inputs(neighbours, mask="cell"), inputs(crops, mask="cell"))


def test_ring_keeps_what_is_far_from_the_middle_and_no_cell():
    crops = tiny.crops()
    size = crops.image.shape[1]
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    far = (np.hypot(y, x) > 1.05 * size / 2)[None, ..., None]
    body = (crops.compartments & int(Compartment.BODY) > 0)[..., None]
    assert 0.1 < far.mean() < 0.25
    np.testing.assert_array_equal(inputs(crops, mask="ring"), np.where(far & ~body, inputs(crops, mask="none"), 0))


def test_a_blank_channel_is_zero():
    crops = tiny.crops()
    stats = crops.intensity_stats.copy()
    stats[:, 1, 3] = 0
    assert not inputs(dataclasses.replace(crops, intensity_stats=stats))[..., 1].any()


def test_inputs_that_need_a_nucleus_refuse_crops_without():
    present = np.uint8([0, Compartment.NUCLEUS, 0, 255])
    model_input.require_compartments(present, "none", "reference")
    for mask, scale in (("nucleus", "reference"), ("none", "nucleus_max")):
        with pytest.raises(InputRefused, match="2 of 4"):
            model_input.require_compartments(present, mask, scale)
    model_input.require_compartments(present[[1, 3]], "nucleus", "nucleus_max")


def test_permuted_labels_are_the_same_ones_dealt_out_anew():
    crops = tiny.crops(40, unlabelled=6)
    dealt = crop_arrays.with_labels(crops, "permuted")
    assert (dealt.label[34:] == schema.NO_LABEL).all() and np.bincount(dealt.label[:34]).tolist() == [17, 17]
    assert 5 < (dealt.label[:34] != crops.label[:34]).sum() < 29  # about half of them have another one now
    assert crop_arrays.with_labels(crops, "permuted").label.tolist() == dealt.label.tolist()
    assert crop_arrays.with_labels(crops, "original") is crops and crops.label[:4].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("content", ["", "{", "null", "[]", '{"config": {}}'])
def test_a_damaged_provenance_is_noticed_before_training(tmp_path, content):
    folder = tiny.write_data(tmp_path)
    assert len(crop_arrays.identity(folder)) == 64
    (folder / "provenance.json").write_text(content)
    assert crop_arrays.is_data_set(folder)
    with pytest.raises(StoredStateRefused, match="provenance.json: "):
        crop_arrays.identity(folder)


def test_a_provenance_without_channels_is_damaged(tmp_path):
    folder = tiny.write_data(tmp_path)
    made = files.read_json(folder / "provenance.json")
    del made["channels"]
    files.write_json(folder / "provenance.json", made)
    with pytest.raises(StoredStateRefused, match="damaged .KeyError: 'channels'."):
        crop_arrays.provenance(folder)
