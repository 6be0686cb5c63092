import numpy as np
import pytest
import tifffile

from cellcycle_jax.errors import InputRefused
from configs import base
from data_prep.reading import sidecar
from data_prep.sources import folder

PATTERN = r"(?P<plate>[^/]+)/(?P<well>[A-P]\d\d)_s(?P<site>\d+)_w(?P<channel>\d)"


@pytest.fixture
def config():
    c = base.preparation()
    c.sidecar = "table.csv"
    return c


@pytest.fixture
def plates(tmp_path):
    """Two plates, two wells each, two channels per field."""
    for plate in ("P1", "P2"):
        (tmp_path / plate).mkdir()
        for well in ("B02", "B03"):
            for channel in (1, 2):
                tifffile.imwrite(tmp_path / plate / f"{well}_s1_w{channel}.tif", np.ones((4, 5), np.uint16))
    return tmp_path


@pytest.fixture
def plain(tmp_path):
    for name in ("a", "b"):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.ones((4, 5), np.uint16))
    return tmp_path


def find(place, config, text, encoding="utf-8"):
    (place / "table.csv").write_bytes(text.encode(encoding))
    return folder.find_fields(place, config)


def test_file_rows_fill_what_names_do_not_say(plain, config):
    a, b = find(
        plain,
        config,
        "file,line,plate,well,site,label,pixel_um,Metadata_drug\na.tif,HeLa,P1,B02,3,G1,0.25,DMSO\nb,RPE1,,,,,,\n",
    )
    assert (a.cell_line, a.plate, a.well, a.site, a.label) == ("HeLa", "P1", "B02", "3", "G1")
    assert a.pixel_um == 0.25 and a.extra == (("drug", "DMSO"),)
    assert (b.cell_line, b.plate, b.well, b.pixel_um, b.extra) == ("RPE1", "RPE1", "b", None, (("drug", ""),))
    config.channel_names, config.pixel_um = ("DNA",), 0.5
    assert folder.read(a, config).pixel_um == 0.25 and folder.read(b, config).pixel_um == 0.5


def test_rows_by_plate_and_well_are_for_all_their_fields(plates, config):
    config.name_pattern = PATTERN
    found = find(plates, config, "plate,Well,line,dose\nP1,B2,HeLa,1\nP1,B03,HeLa,2\nP2,b02,RPE1,1\nP2,B03,RPE1,2\n")
    assert [(f.plate, f.well, f.cell_line, f.extra) for f in found] == [
        ("P1", "B02", "HeLa", (("dose", "1"),)), ("P1", "B03", "HeLa", (("dose", "2"),)),
        ("P2", "B02", "RPE1", (("dose", "1"),)), ("P2", "B03", "RPE1", (("dose", "2"),))]


def test_a_row_per_channel_file_is_one_field(plates, config):
    config.name_pattern = PATTERN
    rows = [f"P1\\B02_s1_w{c}.tif,HeLa" for c in (1, 2)]
    (file,) = find(plates, config, "file,line\n" + "\n".join(rows))
    assert file.cell_line == "HeLa" and len(file.paths) == 2
    with pytest.raises(InputRefused, match="rows 2 and 3 are both for field 'P1_B02_s1'"):
        find(plates, config, f"file,line\n{rows[0]}\nP1/B02_s1_w2.tif,RPE1\n")
    with pytest.raises(InputRefused, match="rows 2 and 3 are both for field"):
        find(plates, config, f"file,line\n{rows[0]}\n{rows[0]}\n")


@pytest.mark.parametrize("text, encoding", [("\ufefffile,line\r\na.tif,HéLa\r\nb.tif,HéLa\r\n", "utf-8"),
                                            ("file;line\na.tif;HéLa\nb.tif;HéLa\n", "utf-8"),
                                            ("file\tline\n\n a.tif \tHéLa\n\"b.tif\"\tHéLa\n\t\n", "utf-8")])
def test_tables_as_spreadsheets_write_them(plain, config, text, encoding):
    assert [f.cell_line for f in find(plain, config, text, encoding)] == ["HéLa"] * 2


def test_a_decimal_comma_is_understood(plain, config):
    assert find(plain, config, "file;pixel_um\na.tif;0,65\n")[0].pixel_um == 0.65


def test_fields_without_a_row_and_rows_without_a_field_are_told(plain, config, capsys):
    (file,) = find(plain, config, "file,line\na.tif,HeLa\nold.tif,HeLa\n")
    said = capsys.readouterr().err
    assert file.field_id == "a"
    assert "1 rows of" in said and "row 3, file 'old.tif'" in said
    assert "1 fields have no row" in said and "b.tif" in said


def test_a_name_and_a_row_that_differ_are_refused_with_both(plates, config):
    config.name_pattern = PATTERN
    with pytest.raises(InputRefused, match=r"row 2: plate is 'P9', but the name of .*P1/B02_s1_w1.tif says 'P1'"):
        find(plates, config, "file,plate\nP1/B02_s1_w1.tif,P9\n")
    with pytest.raises(InputRefused, match="is the name of 2 files"):
        find(plates, config, "file\nB02_s1_w1.tif\n")


@pytest.mark.parametrize("name", ["../a.tif", "/etc/a.tif", "C:\\a.tif", "x/../../a.tif", "\\\\host\\a.tif"])
def test_files_outside_the_folder_are_refused(plain, config, name):
    with pytest.raises(InputRefused, match="row 2: file .* is not inside"):
        find(plain, config, f"file\n{name}\n")


def test_a_row_is_for_a_file_that_is_reached_by_a_link(tmp_path, config):
    (tmp_path / "fields").mkdir()
    for place in (tmp_path / "store", tmp_path / "other"):
        place.mkdir()
        tifffile.imwrite(place / "a.tif", np.ones((4, 5), np.uint16))
    (tmp_path / "fields" / "b.tif").symlink_to(tmp_path / "other" / "a.tif")
    (tmp_path / "fields" / "plate").symlink_to(tmp_path / "store")
    found = find(tmp_path / "fields", config, "file,line\nb.tif,HeLa\nplate/a.tif,RPE1\n")
    assert [(f.field_id, f.cell_line) for f in found] == [("b", "HeLa"), ("plate_a", "RPE1")]


@pytest.mark.parametrize("row", ["Z\u00e9.tif,HeLa", "Ze\u0301.tif,HeLa"])
@pytest.mark.parametrize("name", ["Z\u00e9.tif", "Ze\u0301.tif"])
def test_both_unicode_forms_of_a_name_are_the_same_file(tmp_path, config, row, name):
    tifffile.imwrite(tmp_path / name, np.ones((4, 5), np.uint16))
    (file,) = find(tmp_path, config, f"file,line\n{row}\n")
    assert file.cell_line == "HeLa" and file.field_id == "Z\u00e9"


@pytest.mark.parametrize("text, word", [
    ("file,line\n", "no rows"), ("", "no rows"), ("line\nHeLa\n", "no column says which field"),
    ("file,file\na.tif,b\n", "two columns are named 'file'"), ("file,\na.tif,b\n", "row 2 has 2 cells"),
    ("file,Metadata_CellID\na.tif,b\n", "column 'CellID'"),
    ("file,Background_DNA\na.tif,b\n", "column 'Background_DNA'"),
    ("file\na.tif,more\n", "row 2 has 2 cells"), ("file,pixel_um\na.tif,-1\n", "pixel_um is '-1'"),
    ("file,pixel_um\na.tif,half\n", "pixel_um is 'half'"),
    ("file,pixel_um\na.tif,6.5e-7\n", "allowed: 0.01 to 100 um"),
    ("file,pixel_um\na.tif,0_65\n", "pixel_um is '0_65'"), ("file\nnone.tif\n", "no row is for a field"),
])
def test_tables_that_cannot_be_used_are_refused_in_a_line(plain, config, text, word):
    with pytest.raises(InputRefused, match=f"table.csv: .*{word}"):
        find(plain, config, text)


def test_no_table(plain, config):
    config.sidecar = "none.csv"
    with pytest.raises(InputRefused, match="none.csv: cannot be read"):
        folder.find_fields(plain, config)


def test_a_size_in_the_table_that_the_file_contradicts_is_refused(tmp_path, config):
    tifffile.imwrite(tmp_path / "a.ome.tif", np.ones((4, 5), np.uint16), ome=True,
                     metadata={"axes": "YX", "Channel": {"Name": ["DNA"]}, "PhysicalSizeX": 0.5})
    (file,) = find(tmp_path, config, "file,pixel_um\na,0.65\n")
    with pytest.raises(InputRefused, match="sidecar's pixel_um says 0.65, the file says 0.5"):
        folder.read(file, config)


def test_a_row_for_a_file_of_several_pictures_is_for_all_of_them(tmp_path, config):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        for _ in range(2):
            writer.write(np.ones((4, 5), np.uint16), metadata={"axes": "YX", "Channel": {"Name": ["DNA"]}})
    assert [f.cell_line for f in find(tmp_path, config, "file,line\na.ome.tif,HeLa\n")] == ["HeLa"] * 2
    assert [f.field_id for f in find(tmp_path, config, "file,line\na_p2,HeLa\n")] == ["a_p2"]


@pytest.mark.parametrize("text", ["B03", "b3", "B - 03", "r02c03", "R2C3"])
def test_a_well_is_the_same_however_a_microscope_writes_it(text):
    assert sidecar.same(text) == sidecar.same("B03")


@pytest.mark.parametrize("one, other, same", [
    ("AA02", "r27c02", True), ("AF - 03", "r32c03", True), ("Z1", "r26c01", True), ("1", "01", True),
    ("d0.05", "d0.5", False), ("0,05", "0,5", False), ("100", "1", False),
])
def test_what_is_the_same_place(one, other, same):
    assert (sidecar.same(one) == sidecar.same(other)) is same


def test_columns_are_named_as_in_the_table_of_cells_or_shorter(plain, config):
    (file, *_) = find(plain, config, "file,Metadata_Plate,,\na.tif,P7,,\n")
    assert file.plate == "P7"


def test_other_names_are_left_as_they_are():
    assert sidecar.same("r33c01") == "r33c1" and sidecar.same("AB12") == "ab12" and sidecar.same("day-01") == "day-1"
