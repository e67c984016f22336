"""Redis beside the store: notices, results that are read again, shared counters. Never the truth: it may be away, or emptied."""
