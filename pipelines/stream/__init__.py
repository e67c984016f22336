"""The stream lane: Kafka → model → Kafka, exactly once, in transactions that span many batches (KIP-447)."""
