"""Runs the migrations of status on the connection that `tiendo migrate` holds."""

from alembic import context

from services.common.migrations import run_migrations
from services.status.storage import metadata

run_migrations(context, metadata)
