"""PySpark: a pandas_udf over Parquet, the model loaded once per Python worker."""

import os
from collections.abc import Iterator

import numpy as np
import onnxruntime as ort
import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql.functions import pandas_udf
from pyspark.sql.types import FloatType

COLUMNS = [f"f{place}" for place in range(16)]
MODEL = os.environ["PEER_MODEL"]


@pandas_udf(FloatType())
def score(batches: Iterator[tuple[pd.Series, ...]]) -> Iterator[pd.Series]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
    for columns in batches:
        features = np.stack([column.to_numpy() for column in columns], axis=1)
        (scores,) = session.run(["score"], {"features": features})
        yield pd.Series(scores)


if __name__ == "__main__":
    spark = (
        SparkSession.builder.master(f"local[{os.environ['PEER_CORES']}]")
        .config("spark.driver.memory", "4g")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", os.environ["PEER_BATCH"])
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    rows = spark.read.parquet(os.environ["PEER_INPUT"])
    rows.select("id", score(*COLUMNS).alias("score")).write.parquet(os.environ["PEER_OUTPUT"])
    spark.stop()
