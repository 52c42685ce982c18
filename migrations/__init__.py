"""The history of the tables, as Alembic revisions; run by service/store/schema.py.

A change of the tables needs a revision. With the database of HOOKWRIGHT_DATABASE_URL (or
the data directory's) at the newest one, this writes it:

    alembic revision --autogenerate --rev-id 0002 -m "what changes"

tests/migrations/ says whether it is complete. A revision must work while the release before it is
still running, and it is committed alone.
"""
