"""Ray Data and PySpark, each from an environment of its own (loadtest/peers/ray, loadtest/peers/spark)."""

from pathlib import Path

from loadtest.bench.peer import Peer

RAY = Peer("ray", "Ray Data", (), ("ray", "pyarrow", "onnxruntime"))
SPARK = Peer("spark", "PySpark", (), ("pyspark", "pyarrow", "pandas", "onnxruntime"))
BATCH = 65_536
"""Rows: the quickest of those that were tried for either, since each batch goes from one process to another."""
_ACTORS = 1
"""Two leave no core to those who read and write."""


def environment(input: Path, output: Path, model: Path, cores: int) -> dict[str, str]:
    """What both read."""
    return {
        "PEER_INPUT": str(input),
        "PEER_OUTPUT": str(output),
        "PEER_MODEL": str(model),
        "PEER_CORES": str(cores),
        "PEER_BATCH": str(BATCH),
        "PEER_ACTORS": str(_ACTORS),
        "PYSPARK_PYTHON": str(SPARK.venv / "bin" / "python"),
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
