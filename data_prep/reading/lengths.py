"""Units of length, as files write them, in micrometres.

All units of OME-XML (UnitsLength of http://www.openmicroscopy.org/Schemas/OME/2016-06) that are lengths, and the words
that other programs use. "pixel" and "reference frame" are in that list too, but are no lengths.
"""

import re
import unicodedata

_POWERS = {"Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1, "": 0, "d": -1,
           "c": -2, "m": -3, "\u03bc": -6, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24}
_METRIC = {f"{prefix}m": float(f"1e{power + 6}") for prefix, power in _POWERS.items()}
_INCH = 25400.0
_METRE = 1e6
_OTHER = {"\u00c5": 1e-4, "thou": _INCH / 1000, "li": _INCH / 12, "in": _INCH, "ft": 12 * _INCH, "yd": 36 * _INCH,
          "mi": 63360 * _INCH, "pt": _INCH / 72, "ua": 149597870700 * _METRE, "ly": 9460730472580800 * _METRE,
          "pc": 3.0856775814913673e16 * _METRE}
_WORDS = {"micron": 1.0, "micrometer": 1.0, "micrometre": 1.0, "nanometer": 1e-3, "nanometre": 1e-3, "millimeter": 1e3,
          "millimetre": 1e3, "centimeter": 1e4, "centimetre": 1e4, "meter": 1e6, "metre": 1e6, "inch": _INCH,
          "angstrom": 1e-4}
_UM = _METRIC | _OTHER


def um_per(unit: str) -> float | None:
    r"""Micrometres in one `unit`, None where it is no length that is known here.

    The micro sign and the letter mu are the same, and so are the two letters for Angstrom. ImageJ writes such letters
    as \u00B5, and some programs read UTF-8 as Latin-1 before they write it again. Words may be plural and in capitals;
    symbols may not, as Mm is no mm.
    """
    text = re.sub(r"\\u([0-9a-fA-F]{4})", _character, unit.strip())
    text = unicodedata.normalize("NFKC", text).removeprefix("\u00c2")
    word = text.casefold()
    singular = word.removesuffix("es") if word.endswith("ches") else word.removesuffix("s")
    return _UM.get(text) or _WORDS.get(singular)


def _character(escape) -> str:
    """The character that a match of its code in hexadecimal digits stands for."""
    return chr(int(escape[1], 16))
