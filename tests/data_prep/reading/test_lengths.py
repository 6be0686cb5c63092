"""Units of length in micrometres; numbers from the SI brochure, NIST SP 811 and IAU resolutions of 2012 and 2015."""

import pytest

from data_prep.reading.lengths import um_per

# UnitsLength of OME-XML 2016-06, without pixel and reference frame.
SCHEMA = {"Ym": 1e30, "Zm": 1e27, "Em": 1e24, "Pm": 1e21, "Tm": 1e18, "Gm": 1e15, "Mm": 1e12, "km": 1e9, "hm": 1e8,
          "dam": 1e7, "m": 1e6, "dm": 1e5, "cm": 1e4, "mm": 1e3, "\u00b5m": 1, "nm": 1e-3, "pm": 1e-6, "fm": 1e-9,
          "am": 1e-12, "zm": 1e-15, "ym": 1e-18, "\u00c5": 1e-4, "thou": 25.4, "li": 25400 / 12, "in": 25400,
          "ft": 304800, "yd": 914400, "mi": 1609344e3, "ua": 1.495978707e17, "ly": 9.4607304725808e21,
          "pc": 3.0856775814913673e22, "pt": 25400 / 72}


@pytest.mark.parametrize("unit", SCHEMA)
def test_every_length_of_the_ome_schema(unit):
    assert um_per(unit) == pytest.approx(SCHEMA[unit], rel=1e-12)


@pytest.mark.parametrize("unit", ["\u03bcm", "um", " \u00b5m ", "\\u00B5m", "\\u00b5m", "\u00c2\u00b5m", "micron",
                                  "microns", "Microns", "micrometer", "micrometres"])
def test_spellings_of_micrometre(unit):
    assert um_per(unit) == 1


@pytest.mark.parametrize("unit, um", [("\u212b", 1e-4), ("A\u030a", 1e-4), ("inch", 25400), ("Inches", 25400),
                                      ("nanometers", 1e-3), ("MILLIMETER", 1e3), ("metre", 1e6)])
def test_other_spellings(unit, um):
    assert um_per(unit) == um


@pytest.mark.parametrize("unit", ["pixel", "pixels", "reference frame", "", "MM", "PM", "s", "um/px", "\u00b5s"])
def test_what_is_no_length(unit):
    assert um_per(unit) is None
