import pandas as pd
import pytest

from cellcycle_jax.errors import InputRefused
from data_prep.measurement.columns import Columns, beside


def test_columns_grow_and_keep_their_order():
    columns = Columns({"b": [1]})
    columns |= {"a": [2], "c": [3]}
    assert list(columns.items()) == [("b", [1]), ("a", [2]), ("c", [3])]


def test_a_column_that_is_there_is_refused_by_its_name_and_not_overwritten():
    columns = Columns({"Nuclei_AreaShape_Area": [160.0]})
    with pytest.raises(InputRefused, match="two columns of the table are called Nuclei_AreaShape_Area; rename"):
        columns |= {"Nuclei_AreaShape_Area": [26.0]}
    assert columns == {"Nuclei_AreaShape_Area": [160.0]}


def test_tables_are_put_side_by_side_unless_a_column_is_in_both():
    left, right = pd.DataFrame({"a": [1, 2]}, index=[5, 6]), pd.DataFrame({"b": [3, 4]}, index=[5, 6])
    pd.testing.assert_frame_equal(beside(left, right), pd.DataFrame({"a": [1, 2], "b": [3, 4]}, index=[5, 6]))
    with pytest.raises(InputRefused, match="are called a;"):
        beside(left, right.rename(columns={"b": "a"}))
