"""The report of a small run folder that is made up here."""

import base64
import functools
import html
import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from cellcycle_jax import files, schema
from cellcycle_jax.errors import StoredStateRefused
from cellcycle_jax.figures import gallery, style
from cellcycle_jax.report import page, sentences
from cellcycle_jax.runs import passport_file
from cellcycle_jax.runs.passport_file import FORMAT
from tests import tiny

CLASSES = ["G1/S", "G2"]
RUN_ID = tiny.run_record_of("", classes=CLASSES)["run_id"]
KEPT_STEP = 1000  # the last of `_log`


def _score(value, width=0.03):
    return {"value": value, "low": value - width, "high": min(1.0, value + width)}


def _scores(value):
    names = {"balanced_accuracy": value, "accuracy": value + 0.01, "mcc": 2 * value - 1, "auroc": value + 0.04}
    rest = {"average_precision": value + 0.03, "ece": 0.03, "brier": 0.4 * (1 - value)}
    return {name: _score(v, 0.02) for name, v in {**names, **rest}.items()}


def make_evaluation(split, shift=0.0):
    """An evaluation as `evaluate` writes it, with plausible numbers."""
    values = {"nuclear_area": 0.77, "integrated_dna": 0.861, "area_and_dna": 0.874, "all_features": 0.903}
    baselines = {name: _scores(v + shift) for name, v in values.items()}
    differences = {name: {"balanced_accuracy": _score(0.9317 - v), "auroc": _score(0.02)} for name, v in values.items()}
    bins = np.linspace(0.525, 0.975, 10)
    count = (400 * bins**6).astype(int).tolist()
    curve = {"confidence": bins.tolist(), "accuracy": (bins - 0.06 * (bins - 0.5)).tolist(), "count": count}
    raw = {**curve, "accuracy": (bins - 0.3 * (bins - 0.5)).tolist()}
    raw["accuracy"][0], raw["count"][0] = None, 0
    columns = ["Nuclei_AreaShape_Area", "Nuclei_Intensity_IntegratedIntensity_DNA"]
    return {
        "split": split, "step": KEPT_STEP, "classes": CLASSES,
        "n_cells": 812, "n_fields": 18, "n_groups": 18, "group_by": "field",
        "interval_level": 0.95, "temperature": 1.37, "model": _scores(0.9317 + shift), "baselines": baselines,
        "differences": differences, "confusion": [[421, 29], [27, 335]],
        "reliability": {"raw": raw, "calibrated": curve}, "notes": ["Three fields had no G1 peak and are not scored."],
        "baseline_features": {"nuclear_area": columns[:1], "integrated_dna": columns[1:], "area_and_dna": columns,
                              "all_features": [f"Nuclei_Texture_{i}_DNA" for i in range(57)]},
        "model_calibrated": {"ece": _score(0.0177), "brier": _score(0.1)},
        "calibration_by_class": {"G1/S": {"mean_probability": 0.552, "share": 0.554},
                                 "G2": {"mean_probability": 0.448, "share": 0.446}},
        "truth": {"label_agreement": 0.987, "label_abstained": 0.2,
                  "n_cells": 1003, "n_fields": 18, "model": _scores(0.884), "baselines": baselines,
                  "oracle": _scores(0.936), "differences": differences, "confusion": [[500, 61], [52, 390]]},
    }


def make_cells(rng, n=1500):
    """A table of cells with all that the report counts."""
    field = rng.integers(0, 40, n)
    split = np.array(["train", "validation", "test"])[np.digitize(field, (24, 30))]
    reject = rng.choice(["", "border", "small", "out_of_focus", "mitotic"], n, p=[0.8, 0.1, 0.04, 0.03, 0.03])
    label = rng.choice(["G1/S", "G2", ""], n, p=[0.55, 0.3, 0.15])
    lines = np.array(["HeLa", "RPE1", "NIH3T3"])[field % 3]
    named = [f"field{f:02d}" for f in field]
    return pd.DataFrame({
        schema.CELL_ID: [f"cell{i}" for i in range(n)], schema.FIELD: named, schema.GROUP: named, schema.SPLIT: split,
        schema.REJECT_REASON: reject, schema.LABEL: np.where(reject == "", label, ""), schema.CELL_LINE: lines,
        schema.TRUE_PHASE: np.where(label == "", "G2", label),
    })


def _log(rng):
    rows = []
    for step in range(25, 1001, 25):
        decay = np.exp(-step / 260)
        loss = 0.25 + 0.45 * decay + 0.12 * max(0, step - 600) / 400
        rows.append({"step": step, "train_loss": 0.22 + 0.5 * decay + rng.normal(0, 0.015),
                     "train_accuracy": 0.92 - 0.35 * decay + rng.normal(0, 0.01), "validation_loss": loss,
                     "validation_accuracy": 0.91 - 0.3 * decay, "validation_balanced_accuracy": 0.9 - 0.3 * decay,
                     "seconds": step / 10})
    return rows


def _picture(path, title):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_drawn(title))


@functools.lru_cache  # every run folder that is made up has the same pictures
def _drawn(title):
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    ax = figure.subplots()
    ax.plot(np.random.default_rng(len(title)).normal(size=60).cumsum())
    ax.set_title(title)
    return style.png(figure, dpi=90)


def make_gallery_cells(rng, n=8, side=64):
    """Blobs that look a little like cells: DNA in the middle, scattered Golgi beside it."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    cells = []
    for i in range(n):
        nucleus = (x / rng.uniform(10, 15)) ** 2 + (y / rng.uniform(9, 13)) ** 2 < 1
        dna = nucleus * rng.uniform(0.6, 1.2) + rng.normal(0, 0.04, (side, side))
        spots = [np.exp(-((x - sx) ** 2 + (y - sy) ** 2) / 5) for sx, sy in rng.normal((14, 6), 4, (9, 2))]
        image = np.stack([dna, np.sum(spots, 0) + rng.normal(0, 0.03, (side, side))], -1).astype(np.float32)
        maps = np.stack([np.exp(-((x - 14) ** 2 + (y - 6) ** 2) / 90), 0.4 * np.exp(-(x**2 + y**2) / 120)])
        words = f"G1/S, called {CLASSES[i > 5]}\np = {0.99 - 0.05 * i:.2f}"
        cells.append(gallery.Cell(image, nucleus, maps, words, i > 5, 0.5))
    return cells


def make_run(root, test=False, line=None):
    """A run folder beside a data folder, with everything that the commands leave behind."""
    rng = np.random.default_rng(0)
    run, data = root / "run", root / "data"
    cells = make_cells(rng)
    if line:
        cells[schema.CELL_LINE] = line
    files.write_table(cells, data / "cells.parquet")
    files.write_json(data / "provenance.json", {"command": "prepare", "quarantined": ["broken.tif"]})
    for name in ("outlines_HeLa_A01_s1", "contact_G1S", "contact_G2", "marker_HeLa", "label_values",
                 "illumination_plate1_DNA"):
        _picture(data / "qc" / f"{name}.png", name)
    files.write_json(run / "config.json", tiny.run_record_of(data, classes=CLASSES))
    files.write_json(run / "env.json", {"python": "3.12.1", "packages": {"jax": "0.10.2"}})
    event = {"event": "final_opened", "step": KEPT_STEP, "time": "2031-05-04T10:00:00Z"}
    opened = [event] if test else []
    files.write_text(run / "metrics.jsonl", "\n".join(map(json.dumps, _log(rng) + opened)) + '\n{"event": "tra')
    for split in ["validation"] + ["test"] * test:
        files.write_json(run / f"evaluation_{split}.json", make_evaluation(split, -0.0123 if split == "test" else 0.0))
    _explained(run)
    _discovered(run)
    return run


def _explained(run):
    places = ("nucleus", "other nuclei", "organelle", "cell body", "background", "nuclear rim")
    rows = [{"class": c, "compartment": p, "ratio": r, "low": r * 0.9, "high": r * 1.1}
            for c, ratios in zip(CLASSES, ((1.4, 0.5, 2.3, 1.0, 0.4, 1.7), (2.1, 0.4, 1.9, 0.9, 0.3, 1.5)), strict=True)
            for p, r in zip(places, ratios, strict=True)]
    words = {
        c: f"For {c} the relevance at the Golgi is 2.3 times that of an uninformative map."
        for c in CLASSES
    }
    size = {"step": KEPT_STEP, "run_id": RUN_ID, "n_cells": 312, "n_groups": 18, "group_by": "field",
            "interval_level": 0.95, "classes": CLASSES}
    notes = ["One pixel of the map covers 4 by 4 pixels of the crop."]
    summary = {**size, "stain": "Golgi", "rows": rows, "sentences": words, "notes": notes}
    files.write_json(run / "explain" / "summary.json", summary)
    _passport(run)
    for name, picture in _galleries().items():
        (run / "figures" / f"{name}.png").write_bytes(picture)


@functools.lru_cache
def _galleries():
    """The pictures of maps by name, as PNG."""
    cells = make_gallery_cells(np.random.default_rng(0))
    figures = {}
    for slug, name in (("g1-s", "G1/S"), ("g2", "G2")):
        figures[f"gradcam_{slug}"] = gallery.gallery(cells, ["DNA", "Golgi"], CLASSES, f"Cells labelled {name}")
    images = np.stack([np.mean([c.image for c in cells], 0)] * 2)
    maps = np.stack([np.mean([c.maps[p] / c.maps[p].mean() for c in cells], 0) for p in (0, 1)])
    figures["gradcam_mean"] = gallery.mean_maps(images, maps, [170, 142], CLASSES, 0.5)
    return {name: style.png(figure) for name, figure in figures.items()}


def _passport(run):
    """As `explain` leaves it: a check of each outcome."""
    checks = []
    answers = [("faithful", "passed", 7), ("depends on weights", "failed", 3), ("seeds", "unknown", 0)]
    for name, answer, number in answers:
        remedy = "Another seed would tell." if answer == "unknown" else ""
        sentence = f"{name}: {number} of 8."
        checks.append({"name": name, "answer": answer, "sentence": sentence, "alarm": False, "remedy": remedy})
    verdict = ["With caution: a check was not passed.", "What tells G1/S from G2 apart is read at the Golgi.",
               "Its output follows amount of Golgi.", "The map points at: nothing.", "Not passed: depends on weights."]
    passport = {"format": FORMAT, "status": "caution", "verdict": verdict, "checks": checks}
    files.write_json(run / "explain" / "passport.json", passport)
    for name in passport_file.PICTURES:
        _picture(run / "figures" / f"{name}.png", name)


def _accuracy(value):
    return {"value": value, "low": value - 0.02, "high": value + 0.02}


RULE = {
    "sentence": "A rule of 1 cut keeps 99 %.",
    "sentences": ["G2 where Golgi area > 31 um^2", "G1/S where Golgi area ≤ 31 um^2"],
    "lengths": [
        {
            "cuts": 1,
            "measurements": ["Cells_AreaShape_ObjectArea_Golgi"],
            "accuracy": _accuracy(0.89),
            "of_network": _accuracy(0.9),
            "kept": _accuracy(0.97),
        }
    ],
    "test": {"n_cells": 4321, "kept": _accuracy(0.88)},
}


def _discovered(run):
    names = ["Cells_AreaShape_ObjectArea_Golgi", "Nuclei_Intensity_IntegratedIntensity_DNA", "Nuclei_AreaShape_Area"]
    bounds = {"low": 0.8, "high": 0.95, "balanced_accuracy_low": 0.81, "balanced_accuracy_high": 0.94}
    score = {"validation_auroc": 0.93, "validation_balanced_accuracy": 0.9123}
    ranking = pd.DataFrame({"feature": names * 7, **score, **bounds, "higher_in": "G2", "cut": 151.3, "unit": "um^2",
                            "n_validation": 812})
    files.write_csv(ranking, run / "features" / "ranking.csv")
    pairs = pd.DataFrame({"feature_x": names[:2], "feature_y": names[1:], **score, "auroc_low": 0.8, "auroc_high": 0.9,
                          **bounds, "abs_spearman": 0.21, "n_validation": 812})
    files.write_csv(pairs, run / "features" / "pairs.csv")
    _picture(run / "features" / "pair.png", "pair")
    files.write_json(run / "features" / "pair.json", {"step": KEPT_STEP, "run_id": RUN_ID})
    files.write_json(run / "features" / "rule.json", RULE)


def _sources(text):
    return re.findall(r'(?:src|href)="([^"]*)"', text)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    run = make_run(tmp_path_factory.mktemp("report"))
    return run, page.write_report(run).read_text(encoding="utf-8")


def test_page_is_one_file(written):
    _, text = written
    assert all(source.startswith(("#", "data:image/png;base64,")) for source in _sources(text))
    assert not re.search(r"url\(|@import|<script|<link", text)


def test_the_rule_is_shown_with_what_it_keeps(written):
    _, text = written
    for said in (RULE["sentence"], "<li>G2 where Golgi area &gt; 31 um^2</li>", "4,321 cells", "88 % (86 to 90)"):
        assert said in text
    row = re.search(r"<th scope=\"row\">1</th>.*?</tr>", text)[0]
    shown = re.findall(r"<td[^>]*>(.*?)</td>", row)
    assert shown == ["Golgi area", "89 % (87 to 91)", "90 % (88 to 92)", "97 % (95 to 99)"]


def test_links_of_the_contents_lead_somewhere(written):
    _, text = written
    targets = [s[1:] for s in _sources(text) if s.startswith("#")]
    assert len(targets) == 13 and all(f'id="{target}"' in text for target in targets)


def test_embedded_figures_are_pictures_and_saved(written):
    run, text = written
    embedded = [base64.b64decode(s.split(",")[1]) for s in _sources(text) if s.startswith("data:")]
    assert len(embedded) == 21
    for data in embedded:
        picture = Image.open(io.BytesIO(data))
        picture.load()
        assert picture.format == "PNG"
    saved = {path.read_bytes() for path in (run / "figures").glob("*.png")}
    assert len(saved & set(embedded)) == 14


def section(text, name):
    return text.split(f'<section id="{name}">')[1].split("</section>")[0]


def test_the_passport_is_shown_with_its_verdict_checks_and_pictures(written):
    run, text = written
    shown, passport = section(text, "passport"), files.read_json(run / "explain" / "passport.json")
    at = [shown.index(sentence) for sentence in passport["verdict"]]
    assert at == sorted(at)
    rows = re.findall(r"<tr><th[^>]*>([^<]*)</th><td[^>]*>([^<]*)</td><td[^>]*>([^<]*)</td></tr>", shown)
    assert rows == [
        ("faithful", "passed", "faithful: 7 of 8."),
        ("depends on weights", "failed", "depends on weights: 3 of 8."),
        ("seeds", "not known", "seeds: 0 of 8. Another seed would tell."),
    ]
    pictures = [base64.b64decode(s.split(",")[1]) for s in _sources(shown)]
    assert pictures == [(run / "figures" / f"{n}.png").read_bytes() for n in ("edits", "faithfulness", "residuals")]
    assert _sources(section(text, "where"))[0].endswith(
        base64.b64encode((run / "figures" / "region_shares.png").read_bytes()).decode())
    for check in passport["checks"]:  # in full: numbers of other tables stay on one line, which a sentence would leave
        assert f'<td class="text">{check["sentence"]}' in shown
    assert " ".join(passport["verdict"][:3]) in section(text, "summary")


def test_without_a_passport_the_command_that_makes_it_is_named(tmp_path):
    run = make_run(tmp_path)
    (run / "explain" / "passport.json").unlink()
    text = page.write_report(run).read_text(encoding="utf-8")
    shown = section(text, "passport")
    assert f"python launch.py explain --workdir={run}" in html.unescape(shown) and "<table" not in shown
    assert "Which regions drive the prediction has not been worked out yet." in section(text, "summary")
    assert "not been worked out" not in shown and "Grad-CAM" in section(text, "where")  # maps of an older call


def test_numbers_are_those_of_the_evaluation(written):
    run, text = written
    model = files.read_json(run / "evaluation_validation.json")["model"]
    for score in model.values():
        value, low, high = (sentences.number(score[name]) for name in ("value", "low", "high"))
        assert f"{value}<small>{low} to {high}</small>" in text
    assert "balanced accuracy is 0.932 (95 % interval 0.912 to 0.952)" in text
    assert "best baseline (All measurements) reaches 0.903 (0.883 to 0.923)" in text
    assert "the two cannot be distinguished" in text


def test_what_the_probabilities_say_on_average_stands_beside_how_frequent_a_class_is(written):
    said = "On average it gives G2 a probability of 0.448; 0.446 of the labelled cells are G2."
    assert said in written[1]


def test_counts_are_those_of_the_table(written):
    run, text = written
    cells = pd.read_parquet(run.parent / "data" / "cells.parquet")
    used = cells[cells[schema.REJECT_REASON] == ""]
    assert f"{len(cells):,} objects in 40 fields; {len(used):,} are used" in text
    border = (cells[schema.REJECT_REASON] == "border").sum()
    assert re.search(rf"border</th><td>{border}</td>", text)


def test_nothing_of_the_test_split_before_it_is_opened(written):
    run, text = written
    assert 'id="scores-test"' not in text and "Test split:" not in text and "The test split is closed" in text
    assert not list((run / "figures").glob("*_test*"))
    assert html.escape("never opened") in text


def test_opened_test_split_comes_first(tmp_path):
    text = page.write_report(make_run(tmp_path, test=True)).read_text(encoding="utf-8")
    assert text.index('id="scores-test"') < text.index('id="scores-validation"')
    assert "of the test split, the network&#39;s balanced accuracy is 0.919" in text
    assert "opened 2031-05-04T10:00:00Z" in text


def test_sizes_that_do_not_fit_stand_before_the_answer(tmp_path):
    run = make_run(tmp_path)
    provenance = tmp_path / "data" / "provenance.json"
    files.write_json(provenance, files.read_json(provenance) | {"sizes": ["The median nucleus is 90 um across."]})
    text = page.write_report(run).read_text()
    said = text.index("The median nucleus is 90 um across.")
    assert text.index("<h1>") < said < text.index('class="summary"')


def test_text_from_data_is_not_run(tmp_path):
    text = page.write_report(make_run(tmp_path, line="<script>alert(1)</script>")).read_text(encoding="utf-8")
    assert "<script" not in text and "&lt;script&gt;alert(1)" in text


def test_empty_run_names_the_commands(tmp_path):
    files.write_json(tmp_path / "config.json", tiny.run_record_of(tmp_path / "absent"))
    text = page.write_report(tmp_path).read_text(encoding="utf-8")
    for command in ("train", "evaluate", "explain", "discover"):
        assert f"python launch.py {command} " in text


def test_a_data_set_that_is_gone_is_said_with_the_flag_that_names_its_place(tmp_path, capsys):
    gone = tmp_path / "absent"
    files.write_json(tmp_path / "config.json", tiny.run_record_of(gone))
    text = page.write_report(tmp_path).read_text(encoding="utf-8")
    advice = f"launch.py report --workdir={tmp_path} --data=DIR"
    assert text.count(advice) == 2
    said = capsys.readouterr().err
    assert str(gone) in said and advice in said


def test_no_run_folder_is_refused(tmp_path):
    with pytest.raises(StoredStateRefused, match="config.json"):
        page.write_report(tmp_path)


def test_damaged_file_is_named(tmp_path):
    files.write_json(tmp_path / "config.json", tiny.run_record_of(tmp_path))
    files.write_text(tmp_path / "evaluation_validation.json", "{")
    with pytest.raises(StoredStateRefused, match="evaluation_validation.json"):
        page.write_report(tmp_path)


def test_damaged_table_of_cells_is_named(tmp_path):
    files.write_json(tmp_path / "config.json", tiny.run_record_of(tmp_path))
    files.write_text(tmp_path / "cells.parquet", "damaged")
    with pytest.raises(StoredStateRefused, match="cells.parquet"):
        page.write_report(tmp_path)


def test_same_run_gives_the_same_page(written):
    run, text = written
    assert page.write_report(run).read_text(encoding="utf-8") == text


def test_results_of_other_weights_are_marked_in_their_section(written, tmp_path):
    assert "Caution" not in written[1]
    run = make_run(tmp_path)
    for name, changes in (("evaluation_validation", {"step": 75}), ("explain/summary", {"step": 100}),
                          ("features/pair", {"run_id": "other"})):
        files.write_json(run / f"{name}.json", {**files.read_json(run / f"{name}.json"), **changes})
    text = page.write_report(run).read_text(encoding="utf-8")
    parts = {name: text.split(f'<section id="{name}">')[1].split("</section>")[0]
             for name in ("summary", "scores", "passport", "where", "features")}
    assert "Caution, validation split: this is of the weights after step 75, but" in parts["scores"]
    kept = f"the weights that the run kept are those after step {KEPT_STEP}"
    assert f"weights after step 100, but {kept}" in parts["where"]
    assert "weights after step 100" in parts["passport"]
    assert "this was made in another run (other)" in parts["features"]
    assert text.count("Caution") == 4


def test_a_changed_record_of_the_run_is_refused(tmp_path):
    run = make_run(tmp_path)
    record = files.read_json(run / "config.json")
    record["training"]["evaluate"]["interval_level"] = 0.5
    files.write_json(run / "config.json", record)
    with pytest.raises(StoredStateRefused, match="config.json: damaged or changed"):
        page.write_report(run)


@pytest.mark.parametrize("content", ['{"data_dir": "x', "[]", "null", "3", "{}", "[" * 100_000])
def test_a_damaged_record_of_the_run_is_named(tmp_path, content):
    files.write_text(tmp_path / "config.json", content)
    with pytest.raises(StoredStateRefused, match="config.json"):
        page.write_report(tmp_path)


def test_unknown_scores_are_dashes(tmp_path):
    run = make_run(tmp_path)
    evaluation = make_evaluation("validation")
    for score in evaluation["model"].values():
        score["low"] = score["high"] = None
    evaluation["baselines"]["nuclear_area"]["auroc"] = {"value": None, "low": None, "high": None}
    files.write_json(run / "evaluation_validation.json", evaluation)
    text = page.write_report(run).read_text(encoding="utf-8")
    assert "0.932 (too few groups for an interval)" in text and "<td>–</td>" in text


@pytest.mark.parametrize("classes", [2, 4])
def test_figures_take_any_number_of_classes(classes):
    names = [f"class {i}" for i in range(classes)]
    assert style.confusion(np.eye(classes, dtype=int) * 7, names, "title").axes[0].texts[0].get_text() == "7\n100 %"
    left = style.scores({"model": _scores(0.9)}, classes, "title", 0.95).axes[0].get_xlim()[0]
    assert left < 1 / classes


def test_a_curve_holds_the_steps_at_which_its_score_was_logged():
    log = pd.DataFrame([{"event": "final_opened", "step": 3}, {"step": 75, "train_loss": 0.6, "validation_loss": 0.5}])
    assert style.logged(log, "train_loss").to_dict() == {75: 0.6}
    assert style.logged(log, "train_accuracy").empty


def test_the_kept_step_is_the_last_or_has_the_lowest_validation_loss():
    losses = {10: 0.5, 20: 0.3, 30: 0.4, 40: None}
    log = pd.DataFrame({"step": losses.keys(), "validation_loss": losses.values()})
    assert style.kept_step(log, "best") == 20
    assert style.kept_step(log, "last") == 30
    assert style.kept_step(pd.DataFrame([]), "last") is None


def test_scale_bar_is_ten_um_where_the_pixel_size_is_known():
    assert gallery.scale_bar(0.5) == (20.0, "10 µm")
    assert gallery.scale_bar(float("nan")) == (20.0, "20 px")
    assert gallery.scale_bar(0.25)[0] == 40.0


def test_overlay_without_relevance_is_grey():
    image = np.full((4, 4, 2), 0.5, np.float32)
    picture = gallery.overlay(image, np.ones(2), np.zeros((4, 4)))
    np.testing.assert_allclose(picture, 0.375)
