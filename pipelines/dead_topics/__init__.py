"""Dead letters on a topic, as the stream lane writes them: looked at, replayed to their input, discarded."""
