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
INSIDE = 0.5  # share of an object that has to lie in another one to count as part of it


def labelled(fields, out, masks=""):
    """Objects of all fields with their labels, and the recipe that finds them again."""
    config = bbbc039.get_config()
    config.labels_folder = str(masks)
    found = all_fields.gather(config, fields, out)
    table, _, _ = prepare.decide(found.table, found.recipe, {})
    return table.set_index(schema.CELL_ID), found


def overlaps(truth, own) -> np.ndarray:
    """Pixels that each pair of objects shares, i64 [number of annotated + 1, number of own + 1]."""
    counts = np.zeros((truth.max() + 1, own.max() + 1), np.int64)
    np.add.at(counts, (truth.ravel(), own.ravel()), 1)
    return counts


def kinds(counts):
    """What became of each annotated nucleus, and of each own object.

    Returns:
        Per annotated nucleus the number of the own object that is it (0: none); per own object 'one', 'merged' (at
        least two nuclei lie in it), 'part' (it lies in a nucleus with another one), 'spurious' (touches none) or
        'other'.
    """
    nuclei, objects = counts.sum(axis=1)[1:], counts.sum(axis=0)[1:]
    shared = counts[1:, 1:]
    union = nuclei[:, None] + objects - shared
    same = shared > SAME * union
    contained = (shared > INSIDE * nuclei[:, None]).sum(axis=0)
    part_of = shared > INSIDE * objects
    pieces = part_of & (part_of.sum(axis=1) >= 2)[:, None]
    kind = np.select([contained >= 2, pieces.any(axis=0), same.any(axis=0), shared.sum(axis=0) == 0],
                     ["merged", "part", "one", "spurious"], "other")
    return np.where(same.any(axis=1), same.argmax(axis=1) + 1, 0), kind


def compare(truth, own, true_found, own_found):
    """One row per own object with its kind and label, and for those that are one nucleus the label of that nucleus."""
    rows, by_id = [], {f.field_id: f for f in true_found.found}
    for file in tqdm(own_found.found, desc="outlines compared", unit="field"):
        field = own_found.recipe.read(file)
        mine = own_found.recipe.labels(file, field, own_found.recipe.corrected(field))
        theirs = true_found.recipe.labels(by_id[file.field_id], field, field.image)
        match, kind = kinds(overlaps(theirs, mine))
        nucleus = {o: n for n, o in enumerate(match, start=1) if o}
        rows += [{"cell": f"{file.field_id}:{o}", "kind": k, "nucleus": f"{file.field_id}:{nucleus.get(o, 0)}"}
                 for o, k in enumerate(kind, start=1)]
    rows = pd.DataFrame(rows)
    rows["used"] = (own.loc[rows["cell"], schema.REJECT] == "").to_numpy()
    rows["label"] = own.loc[rows["cell"], schema.LABEL].to_numpy()
    known = truth.reindex(rows["nucleus"])
    rows["true_label"] = known[schema.LABEL].where(known[schema.REJECT] == "").to_numpy()
    rows["content"] = (own.loc[rows["cell"], schema.MARKER].to_numpy() / known[schema.MARKER].to_numpy())
    return rows


def say(rows, truth) -> dict:
    """The comparison in numbers, printed and returned."""
    used, classes = rows[rows["used"]], ["2N", "4N"]
    by_kind = pd.crosstab(used["kind"], used["label"].replace("", "no label"))
    print(f"\nOwn objects that are used, by what they are and how they are labelled:\n\n{by_kind.to_string()}")
    pairs = used[(used["kind"] == "one") & used["true_label"].notna()]
    table = pd.crosstab(pairs["true_label"].replace("", "no label"), pairs["label"].replace("", "no label"))
    print(f"\nNuclei found by both: rows labelled in annotated outlines, columns in our own:\n\n{table.to_string()}")
    both = pairs[pairs["true_label"].isin(classes) & pairs["label"].isin(classes)]
    result = {
        "n_pairs": len(pairs), "same_of_labelled_by_both": float((both["label"] == both["true_label"]).mean()),
        "label_lost": float(((pairs["label"] == "") & (pairs["true_label"] != "")).sum()
                            / max((pairs["true_label"] != "").sum(), 1)),
        "content_ratio_median": float(pairs["content"].median()),
        "content_ratio_sd_log2": float(np.log2(pairs["content"][pairs["content"] > 0]).std()),
        "share_4N_annotated": _share(truth[truth[schema.REJECT] == ""][schema.LABEL]),
        "share_4N_own": _share(used["label"]),
        "merged_among_own_4N": float((used[used["label"] == "4N"]["kind"] == "merged").mean()),
        "merged_among_own_2N": float((used[used["label"] == "2N"]["kind"] == "merged").mean()),
        "parts_among_own_2N": float((used[used["label"] == "2N"]["kind"] == "part").mean()),
        "merged_that_are_used": float(rows[rows["kind"] == "merged"]["used"].mean()),
        "merged_labelled_4N": float((used[used["kind"] == "merged"]["label"] == "4N").mean()),
    }
    print("\n" + "\n".join(f"{name:26} {value:.4g}" for name, value in result.items()))
    return result


def _share(labels):
    counts = labels.value_counts()
    return float(counts.get("4N", 0) / max(counts.get("2N", 0) + counts.get("4N", 0), 1))


def main():
    """Both ways, the comparison, and OUT/objects.csv, result.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", required=True, help="folder with images/ and masks/")
    parser.add_argument("--out", required=True, help="folder to write")
    arguments = parser.parse_args()
    out, masks = pathlib.Path(arguments.out), pathlib.Path(arguments.fields).absolute() / "masks"
    truth, true_found = labelled(arguments.fields, out / "annotated", masks)
    own, own_found = labelled(arguments.fields, out / "own")
    rows = compare(truth, own, true_found, own_found)
    files.write_csv(rows, out / "objects.csv")
    files.write_json(out / "result.json", say(rows, truth))


if __name__ == "__main__":
    main()
