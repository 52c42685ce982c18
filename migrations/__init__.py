"""The history of the tables, as Alembic revisions; run by service/store/schema.py."""
