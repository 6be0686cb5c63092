"""Do pseudo-labels depend on whose outlines the DNA content is measured in?

    python -m experiments.bbbc039_labels --fields=bbbc039_u2os_hoechst --out=runs/bbbc039_labels

Nuclei of all fields are found twice, as annotated by humans (masks/) and by the default segmentation, and labelled by
DNA content both times. README.md holds question, command and result. A few minutes on 2 cores.
"""

import argparse
import pathlib

import numpy as np
import pandas as pd
from tqdm import tqdm

from cellcycle_jax import files, schema
from configs.data import bbbc039
from data_prep import prepare
from data_prep.fields_to_cells import all_fields

SAME = 0.5  # intersection over union above which two outlines are of the same nucleus
CLASSES = ("2N", "4N")
INSIDE = 0.5  # share of an object that has to lie in another one to count as part of it


def labelled(fields, out, masks=""):
    """Objects of all fields with their labels, and what was gathered of the fields."""
    config = bbbc039.get_config()
    config.labels_folder = str(masks)
    gathered = all_fields.process_fields(config, fields, out)
    table, labelled_cells = prepare.label(gathered.table, gathered.preprocessing)
    for note in labelled_cells.notes:
        print(note)
    table, _ = prepare.decide(table, labelled_cells, gathered.preprocessing, {})
    return table.set_index(schema.CELL_ID), gathered


def overlaps(truth, own) -> np.ndarray:
    """Pixels that each pair of objects shares.

    Args:
        truth, own: i [H, W], annotated nuclei and own objects of one field; 0 is background.

    Returns:
        i64 [number of annotated + 1, number of own + 1].
    """
    counts = np.zeros((truth.max() + 1, own.max() + 1), np.int64)
    np.add.at(counts, (truth.ravel(), own.ravel()), 1)
    return counts


def kinds(counts):
    """What became of each annotated nucleus, and of each own object.

    Args:
        counts: i64 [n + 1, m + 1], as `overlaps` returns them.

    Returns:
        Per annotated nucleus the number of the own object that is it (0: none), i64 [n]; per own object, text [m],
        'one', 'merged' (at least two nuclei lie in it), 'part' (it lies in a nucleus with another one), 'spurious'
        (touches none) or 'other'.
    """
    nucleus_px = counts.sum(axis=1)[1:]
    object_px = counts.sum(axis=0)[1:]
    shared = counts[1:, 1:]
    union = nucleus_px[:, None] + object_px - shared
    is_same = shared > SAME * union
    nuclei_inside = (shared > INSIDE * nucleus_px[:, None]).sum(axis=0)
    lies_in = shared > INSIDE * object_px
    is_divided = lies_in.sum(axis=1) >= 2
    is_part = (lies_in & is_divided[:, None]).any(axis=0)
    conditions = [nuclei_inside >= 2, is_part, is_same.any(axis=0), shared.sum(axis=0) == 0]
    kind = np.select(conditions, ["merged", "part", "one", "spurious"], "other")
    match = np.where(is_same.any(axis=1), is_same.argmax(axis=1) + 1, 0)
    return match, kind


def compare(truth, own, gathered_truth, gathered_own):
    """One row per own object with its kind and label, and for those that are one nucleus the label of that nucleus."""
    annotated_files = {file.field_id: file for file in gathered_truth.found}
    preprocessing = gathered_own.preprocessing
    rows = []
    for file in tqdm(gathered_own.found, desc="outlines compared", unit="field"):
        field = preprocessing.read(file)
        own_labels = preprocessing.labels(file, field, preprocessing.corrected(field))
        true_labels = gathered_truth.preprocessing.labels(annotated_files[file.field_id], field, field.image)
        match, kind = kinds(overlaps(true_labels, own_labels))
        nucleus_of = dict(zip(match.tolist(), range(1, len(match) + 1), strict=True))
        for number, what in enumerate(kind, start=1):
            nucleus = nucleus_of.get(number, 0)
            rows.append({
                "cell": f"{file.field_id}:{number}",
                "kind": what,
                "nucleus": f"{file.field_id}:{nucleus}",
            })
    rows = pd.DataFrame(rows)
    own_objects = own.loc[rows["cell"]]
    nuclei = truth.reindex(rows["nucleus"])
    rows["used"] = (own_objects[schema.REJECT_REASON] == "").to_numpy()
    rows["label"] = own_objects[schema.LABEL].to_numpy()
    rows["true_label"] = nuclei[schema.LABEL].where(nuclei[schema.REJECT_REASON] == "").to_numpy()
    rows["content"] = own_objects[schema.LABEL_SCORE].to_numpy() / nuclei[schema.LABEL_SCORE].to_numpy()
    return rows


def say(rows, truth) -> dict:
    """The comparison in numbers, printed and returned."""
    used = rows[rows["used"]]
    by_kind = pd.crosstab(used["kind"], used["label"].replace("", "no label"))
    print(f"\nOwn objects that are used, by what they are and how they are labelled:\n\n{by_kind.to_string()}")
    pairs = used[(used["kind"] == "one") & used["true_label"].notna()]
    table = pd.crosstab(pairs["true_label"].replace("", "no label"), pairs["label"].replace("", "no label"))
    print(f"\nNuclei found by both: rows labelled in annotated outlines, columns in our own:\n\n{table.to_string()}")
    has_both = pairs["true_label"].isin(CLASSES) & pairs["label"].isin(CLASSES)
    has_true_label = pairs["true_label"] != ""
    is_lost = (pairs["label"] == "") & has_true_label
    is_same = pairs["label"] == pairs["true_label"]
    content = pairs["content"]
    own_2n = used[used["label"] == "2N"]["kind"]
    own_4n = used[used["label"] == "4N"]["kind"]
    result = {
        "n_pairs": len(pairs),
        "same_of_labelled_by_both": float(is_same[has_both].mean()),
        "label_lost": float(is_lost.sum() / max(has_true_label.sum(), 1)),
        "content_ratio_median": float(content.median()),
        "content_ratio_sd_log2": float(np.log2(content[content > 0]).std()),
        "share_4N_annotated": _share_of_4n(truth[truth[schema.REJECT_REASON] == ""][schema.LABEL]),
        "share_4N_own": _share_of_4n(used["label"]),
        "merged_among_own_4N": float((own_4n == "merged").mean()),
        "merged_among_own_2N": float((own_2n == "merged").mean()),
        "parts_among_own_2N": float((own_2n == "part").mean()),
        "merged_that_are_used": float(rows[rows["kind"] == "merged"]["used"].mean()),
        "merged_labelled_4N": float((used[used["kind"] == "merged"]["label"] == "4N").mean()),
    }
    print()
    for name, value in result.items():
        print(f"{name:26} {value:.4g}")
    return result


def _share_of_4n(labels):
    counts = labels.value_counts()
    n_2n = counts.get("2N", 0)
    n_4n = counts.get("4N", 0)
    return float(n_4n / max(n_2n + n_4n, 1))


def main():
    """Both ways, the comparison, and OUT/objects.csv, result.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", required=True, help="folder with images/ and masks/")
    parser.add_argument("--out", required=True, help="folder to write")
    arguments = parser.parse_args()
    out = pathlib.Path(arguments.out)
    fields = pathlib.Path(arguments.fields) / "images"
    truth, gathered_truth = labelled(fields, out / "annotated", "../masks")
    own, gathered_own = labelled(fields, out / "own")
    rows = compare(truth, own, gathered_truth, gathered_own)
    files.write_csv(rows, out / "objects.csv")
    files.write_json(out / "result.json", say(rows, truth))


if __name__ == "__main__":
    main()
