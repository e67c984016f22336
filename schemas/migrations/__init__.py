"""Alembic migrations of the store. Each raises `store_level.level`; `oldest_code` rises only when old code must stop."""
