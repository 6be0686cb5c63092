"""Tables and the verdict of bench/gpu.py, from measurements with known answers."""

import pytest

from bench.gpu_sections import COHORTS, HEADINGS, matmul_rates, sections_of, verdict
from bench.gpu_work import EMPTY_LAYER

ON = {"on": "A card"}


def cohort(form, members, *values, network="small", **changed):
    return {"kind": "cohort", "network": network, "form": form, "members": members, "batch": 64, "dtype": "float32",
            "values": list(values), "peak_bytes": 2**30} | ON | changed


def rate(precision, *values, library="JAX", tf32=False):
    return {"kind": "rate", "library": library, "precision": precision, "size": 8192, "tf32": tf32,
            "values": list(values)} | ON


def training(way, dtype, *values):
    return {"kind": "training", "network": "paper", "way": way, "batch": 89, "dtype": dtype, "gflop": 0.5,
            "values": list(values), "peak_bytes": 3 * 2**29} | ON


def layer(library, *values, name="conv1", direction="forward", gflop=1.0):
    return {"kind": "layer", "library": library, "network": "paper", "layer": name, "direction": direction,
            "batch": 256, "gflop": gflop, "values": list(values)} | ON


def markdown(*measurements, failures=None):
    sections = sections_of(list(measurements), failures or {}, {"Clock": "1"})
    return "\n".join(section.markdown() for section in sections)


ALONE = cohort("alone", 1, 10, 11, 12)


@pytest.mark.parametrize("grouped, patches, conclusion", [
    ((40, 44, 48), (20, 22, 24), "Cohorts stay as they are, grouped convolutions"),
    ((20, 22, 24), (40, 44, 48), "Cohorts should change to batched matrix products"),
    ((4, 5, 6), (7, 8, 9), "Cohorts should be trained one after another: no form as one program is faster"),
    ((40, 44, 48), (45, 46, 47), "Whether cohorts stay as they are is undecided: the rounds of the two fastest"),
])
def test_the_verdict_is_that_of_the_form_whose_rounds_are_all_faster(grouped, patches, conclusion):
    found = verdict([ALONE, cohort("grouped", 35, *grouped), cohort("patches", 35, *patches)])
    assert found.startswith(conclusion)


def test_the_verdict_names_its_numbers():
    found = verdict([ALONE, cohort("grouped", 35, 20, 22, 24), cohort("patches", 35, 50, 55, 60)])
    assert found == (
        "Cohorts should change to batched matrix products: 35 models of 'small' in float32 see 11 (10 to 12) models x "
        "crops/s one after another, 22 (20 to 24) as grouped convolutions, which is 2.00 x and 55 (50 to 60) as "
        "batched matrix products, which is 5.00 x (wanted: 5 x)."
    )


def test_the_most_models_of_each_network_decide_and_networks_may_disagree():
    small = [ALONE, cohort("grouped", 8, 90, 91), cohort("patches", 8, 50, 51), cohort("grouped", 35, 20, 21),
             cohort("patches", 35, 40, 41)]
    assert verdict(small).startswith("Cohorts should change")
    other = [measured | {"network": "resnet"} for measured in (ALONE, cohort("grouped", 35, 40, 41),
                                                               cohort("patches", 35, 20, 21))]
    assert verdict(small + other).startswith("Whether cohorts stay as they are depends on the network: ")


def test_without_all_three_forms_nothing_is_decided():
    assert "undecided: no number of models was measured in all three forms" in verdict([ALONE])
    assert "undecided" in verdict([ALONE, cohort("grouped", 35, 1, 2), cohort("patches", 8, 1, 2)])


def test_a_cpu_decides_nothing():
    found = verdict([ALONE | {"on": "cpu"}, cohort("grouped", 35, 20, 21), cohort("patches", 35, 40, 41)])
    assert found.startswith("Measured on a CPU, which decides nothing for a GPU.")


def test_cohorts_are_held_against_one_after_another():
    text = markdown(ALONE, cohort("grouped", 8, 20, 22, 24), cohort("patches", 8, 40, 44, 48))
    assert "8 models of the network 'small', float32, batches of 64" in text
    assert "| batched matrix products | A card | 44 | 40 to 48 | 4.00 | 4.00 to 4.00 | 1.00 |" in text


def test_training_is_a_share_of_the_rate_of_matrices_in_its_own_dtype():
    """100 crops/s of half a GFLOP are 50 of 200 GFLOP/s in bfloat16, and of 100 in float32."""
    text = markdown(rate("bfloat16", 100, 200, 300), rate("float32", 100), training("ours, bfloat16", "bfloat16", 100),
                    training("ours, float32", "float32", 100))
    assert "| ours, bfloat16 | A card | 100 | 100 to 100 | 1.00 | 1.00 to 1.00 | 25.0% | 1.50 |" in text
    assert "| ours, float32 | A card | 100 | 100 to 100 | 1.00 | 1.00 to 1.00 | 50.0% | 1.50 |" in text


def test_shares_are_not_taken_of_the_rate_of_another_library_or_precision():
    others = [rate("bfloat16", 900, library="PyTorch"), rate("float32, highest precision", 900)]
    assert matmul_rates([*others, rate("bfloat16", 100)]) == {"bfloat16": 100.0}


def test_it_is_told_whether_factors_were_rounded():
    text = markdown(rate("float32", 100, tf32=True), rate("float32, highest precision", 50), rate("bfloat16", 200))
    assert "| JAX, float32 | A card | 100 | 100 to 100 | 1.00 | 1.00 to 1.00 | yes |" in text
    assert "| JAX, float32, highest precision | A card | 50 | 50 to 50 | 0.50 | 0.50 to 0.50 | no |" in text
    assert "| JAX, bfloat16 | A card | 200 | 200 to 200 | 2.00 | 2.00 to 2.00 |  |" in text


def test_layers_stand_beside_those_of_the_peer():
    """1 GFLOP in 1000 us is 1 TFLOP/s; the peer takes twice as long."""
    text = markdown(layer("JAX", 0.5, name=EMPTY_LAYER, direction="", gflop=0.0), layer("JAX", 900, 1000, 1100),
                    layer("PyTorch", 2000))
    assert "| conv1 | forward | 1,000 (900 to 1,100) | 2,000 | 2.00 | 1 |" in text
    assert f"| {EMPTY_LAYER} |  | 0.5 |  |  |  |" in text


def test_resuming_says_whether_bits_are_the_same():
    found = {"kind": "resume", "network": "resnet", "dtype": "float32", "stop": "two processes", "condition": "flag",
             "same_bits": True, "largest_difference": 0.0} | ON
    text = markdown(found, found | {"condition": "neither", "same_bits": False, "largest_difference": 0.25})
    assert "| resnet | float32 | two processes | flag | 1 | 0 |" in text
    assert "| resnet | float32 | two processes | neither | 0 | 0.25 |" in text


def test_what_was_left_out_is_told_even_where_nothing_was_measured():
    assert "Left out: cohorts of 'small' (out of memory)." in markdown(failures={COHORTS: {"cohorts of 'small'":
                                                                                           "out of memory"}})


def test_every_section_is_one_of_a_gpu():
    assert len(set(HEADINGS)) == 6 and all(heading.startswith("On a GPU: ") for heading in HEADINGS)
