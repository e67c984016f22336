"""The claim check: what is too large for a row or a message is kept elsewhere, and named by a key."""
