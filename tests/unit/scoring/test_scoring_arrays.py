"""Numbers between numpy and Arrow."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from pipelines.scoring.arrays import array_of, values_of

DTYPES = (
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
    "bool",
)


@pytest.mark.parametrize("dtype", DTYPES)
def test_there_and_back_as_pyarrow_does_it(dtype: str) -> None:
    values = np.array([0, 1, 1, 0, 1, 1, 0, 1, 0], dtype)
    for taken in (values, values[::2], values[3:], values[:0]):
        array = array_of(taken)
        array.validate(full=True)
        assert array.equals(pa.array(taken))
        for cut in (array, array[1:], array[2:4], array[:0]):
            assert values_of(cut).dtype == dtype
            assert values_of(cut).tolist() == cut.to_pylist()


def test_numbers_of_another_kind_are_made_of_that_kind() -> None:
    assert array_of(np.array([1, 2], np.int64), pa.int32()).equals(pa.array([1, 2], pa.int32()))
    assert array_of(np.array(["a", "b"], object), pa.string()).equals(pa.array(["a", "b"]))
    with pytest.raises(pa.ArrowInvalid, match="not in range"):
        array_of(np.array([1 << 40]), pa.int32())


def test_swapped_bytes_are_refused_rather_than_taken_for_other_numbers() -> None:
    with pytest.raises(pa.ArrowNotImplementedError, match=r"[Bb]yte-swapped"):
        array_of(np.array([1, 2], ">i4"))


def test_pandas_is_not_imported() -> None:
    code = (
        "import sys, numpy as np\n"
        "from pipelines.scoring.arrays import array_of, values_of\n"
        "assert values_of(array_of(np.arange(5))).sum() == 10\n"
        "sys.exit('pandas' in sys.modules)"
    )
    pytest.importorskip("pandas")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
