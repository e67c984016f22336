"""What the job queue on SQS stands on: a client, queues and their attributes, errors in one line."""
