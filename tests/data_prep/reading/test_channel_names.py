"""Channels are renamed by name or by position, whatever the file says, and never swapped without a word."""

import re

import pytest

from cellcycle_jax.errors import InputRefused, UsageError
from configs import base
from data_prep.fields_to_cells import config_checks
from data_prep.reading.channel_names import named

OWN = ("DAPI", "GFP", "RFP")


@pytest.mark.parametrize("wanted, own, names", [
    ((), OWN, OWN),
    (("DNA", "Golgi", "EB1"), OWN, ("DNA", "Golgi", "EB1")),
    (("DNA", "Golgi", "EB1"), (), ("DNA", "Golgi", "EB1")),
    (("DNA", "Golgi", "EB1"), ("Fluo", "Fluo", "Fluo"), ("DNA", "Golgi", "EB1")),
    (("Fluo", "Golgi", "EB1"), ("Fluo", "Fluo", "Fluo"), ("Fluo", "Golgi", "EB1")),
    (("DAPI", "Golgi", "RFP"), OWN, ("DAPI", "Golgi", "RFP")),
    (("GFP", "DAPI", "RFP"), ("DAPI", "GFP"), ("GFP", "DAPI", "RFP")),  # it is not known which channel has no name
    (("GFP=Golgi",), OWN, ("DAPI", "Golgi", "RFP")),
    (("GFP=RFP", "RFP=GFP"), OWN, ("DAPI", "RFP", "GFP")),
    (("ex=488=Golgi",), ("DNA", "ex=488", "x"), ("DNA", "Golgi", "x")),
    (("DAPI=DNA", "Hoechst=DNA"), OWN, ("DNA", "GFP", "RFP")),
    (("DAPI=DNA", "Hoechst=DNA"), ("x", "Hoechst", "y"), ("x", "DNA", "y")),
    (("H\u00f6chst=DNA",), ("Ho\u0308chst", " x ", "y"), ("DNA", "x", "y")),  # a letter and its dots, and spaces
])
def test_names_by_position_and_by_name(wanted, own, names):
    assert named(wanted, own, 3, "a.tif") == names


# What is refused, a word of why, and what the message advises: with it the channels are named.
ADVISED = [
    ((), (), "without names; give one name per channel", ("DNA", "Golgi", "EB1")),
    ((), ("Fluo", "Fluo", "DNA"), "one different name per channel", ("Fluo", "Golgi", "DNA")),
    ((), ("DNA", "Golgi"), "one different name per channel", ("DNA", "Golgi", "EB1")),
    (("DNA", "Golgi"), OWN, "3 channels, but config.channel_names gives 2", ("DNA", "Golgi", "EB1")),
    (("DNA", "DNA", "EB1"), OWN, "one different name per channel", ("DNA", "Golgi", "EB1")),
    (("GFP", "DAPI", "RFP"), OWN, "empty config.channel_names", ()),
    (("GFP", "RFP", "Far"), OWN, "rename single channels by name", ("RFP=Far",)),
    (("DNA", "Fluo", "Fluo2"), ("Fluo", "Fluo2", "DNA"), "empty config.channel_names", ()),
    (("Cy5=DNA",), OWN, "'Cy5', but the file has no channel of this name", ("DAPI=DNA",)),
    (("Fluo=DNA",), ("Fluo", "Fluo", "x"), "2 channels of this name.*one name per channel", ("DNA", "Fluo", "x")),
    (("DAPI=DNA",), (), "no names; give one name per channel", ("DNA", "Golgi", "EB1")),
    (("Hoechst=DNA", "Cy5=DNA"), OWN, "'Hoechst' or 'Cy5', but the file has no channel", ("Hoechst=DNA", "DAPI=DNA")),
    (("DAPI=DNA", "GFP=DNA"), OWN, "2 channels of this name", ("DAPI=DNA",)),
    (("DAPI=GFP",), OWN, "its channels are GFP, GFP, RFP.*one name per channel", ("DNA", "GFP", "RFP")),
]


@pytest.mark.parametrize("wanted, own, words, advised", ADVISED)
def test_what_cannot_be_is_refused_with_advice_that_helps(wanted, own, words, advised):
    with pytest.raises(InputRefused, match=f"^a.tif: .*{words}"):
        named(wanted, own, 3, "a.tif")
    assert len(set(named(advised, own, 3, "a.tif"))) == 3


@pytest.mark.parametrize("value", [("DNA", "GFP=Golgi"), ("DNA", "DNA"), ("",), ("=DNA",), ("DAPI=",), (1, 2),
                                   ("DAPI=DNA", "DAPI=Golgi")])
def test_values_of_the_config_field_that_cannot_work_are_named(value):
    config = base.preparation()
    config.channel_names = value
    with pytest.raises(UsageError, match=re.escape(f"config.channel_names={value!r}; allowed: ")):
        config_checks.refuse_values(config)


@pytest.mark.parametrize("value", [(), ("DNA", "Golgi"), ("DAPI=DNA", "GFP=Golgi"), ("ex=488=Golgi",),
                                   ("DAPI=DNA", "Hoechst=DNA")])
def test_values_of_the_config_field_that_can_work(value):
    config = base.preparation()
    config.channel_names = value
    config_checks.refuse_values(config)
