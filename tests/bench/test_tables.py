"""Tables of measured values: Markdown and records come from the same numbers."""

import numpy as np

from bench.tables import Grid, Measure, Table, Text, of_workers
from bench.workers import Results

RATES = Table("Sorting", "sheets/s", {"peer": [10.0, 20.0, 40.0], "ours": [30.0, 40.0, 60.0]}, reference="peer")


def test_a_ratio_is_taken_round_by_round():
    np.testing.assert_allclose(RATES.ratios("ours", "peer"), [3, 2, 1.5])


def test_where_smaller_is_better_half_the_time_is_twice_as_fast():
    times = Table("Sorting", "s", {"peer": [8.0], "ours": [4.0]}, larger_is_better=False)
    assert times.ratios("ours", "peer").tolist() == [2.0]


def test_different_numbers_of_rounds_are_held_against_the_median():
    uneven = Table("Sorting", "sheets/s", {"peer": [10.0, 20.0, 40.0], "ours": [40.0]})
    assert uneven.ratios("ours", "peer").tolist() == [2.0]


def test_markdown_shows_medians_ranges_and_ratios():
    assert RATES.markdown().splitlines()[2:] == [
        "| way | sheets/s | over the rounds | times as fast as peer | over the rounds |",
        "| --- | --- | --- | --- | --- |",
        "| peer | 20 | 10 to 40 | 1.00 | 1.00 to 1.00 |",
        "| ours | 40 | 30 to 60 | 2.00 | 1.50 to 3.00 |",
    ]


def test_a_record_holds_the_values_that_the_markdown_shows():
    (record,) = RATES.records()
    assert record["ways"][1] == {"way": "ours", "on": "", "values": [30.0, 40.0, 60.0], "median": 40.0}
    assert (record["title"], record["unit"], record["larger_is_better"]) == ("Sorting", "sheets/s", True)
    assert (record["reference"], record["exact"]) == ("peer", False)


def test_a_reference_that_gave_no_values_is_replaced_by_the_first_way():
    assert Table("Sorting", "sheets/s", {"ours": [1.0]}, reference="peer").held_against == "ours"
    assert Table("Sorting", "sheets/s", {}, reference="peer", left_out={"peer": "no paper"}).markdown() == (
        "Sorting\n\nLeft out: peer (no paper).")


def test_a_grid_is_one_table_to_read_and_a_record_for_each_measure():
    score = Measure("F1", larger_is_better=True, form=".3f")
    seconds = Measure("time", "s", larger_is_better=False, exact=False)
    rows = {("nuclei", "ours"): {"F1": 0.5, "time": [1.0, 2.0, 4.0]}, ("nuclei", "plain"): {"F1": 0.25}}
    grid = Grid("Scores", ("data", "way"), (score, seconds), rows, {"note": {("nuclei", "plain"): "slow"}})
    assert grid.markdown().splitlines()[2:] == [
        "| data | way | F1 | time | note |",
        "| --- | --- | --- | --- | --- |",
        "| nuclei | ours | 0.500 | 2 (1 to 4) |  |",
        "| nuclei | plain | 0.250 |  | slow |",
    ]
    of_score, of_time = grid.records()
    assert of_score["title"] == "Scores: F1" and of_score["exact"]
    assert [way["median"] for way in of_score["ways"]] == [0.5, 0.25]
    assert [way["way"] for way in of_time["ways"]] == ["nuclei, ours"]
    assert of_time["ways"][0]["values"] == [1.0, 2.0, 4.0] and not of_time["exact"]


def test_a_text_stands_in_markdown_only():
    assert Text("Beside it.").markdown() == "Beside it." and Text("Beside it.").records() == []


def test_what_workers_gave_becomes_a_table_with_devices_and_who_was_left_out():
    results = Results(rates={"ours": [3.0]}, info={"ours": {"device": "paper"}}, ready_s={"ours": 1.25},
                      left_out={"peer": "no paper"})
    table = of_workers("Sorting", "sheets/s", results, reference="peer")
    assert "| ours | paper | 3 | 3 to 3 | 1.00 | 1.00 to 1.00 | 1.2 |" in table.markdown()
    assert table.records()[0]["left_out"] == {"peer": "no paper"}
