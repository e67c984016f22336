"""What the queue on Kafka, the stream lane and dead letters on topics share: options, topics, errors in one line."""
