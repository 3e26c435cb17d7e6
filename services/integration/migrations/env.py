"""Runs the migrations of integration on the connection that `tiendo migrate` holds."""

from alembic import context

from services.common.migrations import run_migrations
from services.integration.storage import metadata

run_migrations(context, metadata)
