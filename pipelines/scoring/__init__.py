"""The scoring lane: a Parquet data set in, a Parquet data set or a table out, the same model folder as online."""
