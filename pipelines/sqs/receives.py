"""How often SQS hands a message out before it gives it up."""

DEFAULT_RECEIVES = 100
"""Many: the neighbours of an item that takes its worker down are received again with it."""
MOST_RECEIVES = 1000
"""SQS's limit."""
