"""A PostgreSQL table as an output."""
