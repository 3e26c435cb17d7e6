"""Runs the migrations of catalog on the connection that `tiendo migrate` holds."""

from alembic import context

from services.catalog.storage import metadata
from services.common.migrations import run_migrations

run_migrations(context, metadata)
