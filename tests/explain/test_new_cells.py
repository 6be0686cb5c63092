import numpy as np
import pandas as pd

from cellcycle_jax.explain import new_cells


def predicted(n=30):
    """Cells of two classes, the surer the lower their number, and one that is rejected."""
    cells = pd.DataFrame({
        "predicted": ["a", "b"] * (n // 2) + [""],
        "confidence": [*np.linspace(0.99, 0.51, n), np.nan],
    })
    return cells.sample(frac=1, random_state=0)


def test_the_surest_and_the_least_sure_of_each_class_are_chosen():
    chosen = new_cells.choose(predicted(), ("a", "b"))
    assert chosen.index.tolist() == [0, 2, 4, 6, 8, 10, 26, 28, 1, 3, 5, 7, 9, 11, 27, 29]


def test_no_cell_is_chosen_twice_where_there_are_few():
    chosen = new_cells.choose(predicted(14), ("a", "b"))
    assert chosen.index.tolist() == [0, 2, 4, 6, 8, 10, 12, 1, 3, 5, 7, 9, 11, 13]


def test_of_rejected_cells_none_is_chosen():
    assert not len(new_cells.choose(predicted().query("predicted == ''"), ("a", "b")))


def test_what_an_earlier_call_wrote_is_removed_and_nothing_else(tmp_path):
    for name in ("grad-cam_a.png", "maps.npz", "notes.txt"):
        (tmp_path / name).write_text("x")
    new_cells.remove(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
