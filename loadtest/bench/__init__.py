"""What the benchmarks share: the machine, the statistics, the report, the servers and the load."""
