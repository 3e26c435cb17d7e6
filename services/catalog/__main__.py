"""`python -m services.catalog [serve|migrate|schema]`."""

from services.catalog.app import serve
from services.catalog.config import CatalogSettings
from services.catalog.storage import journal
from services.common.runtime import main

main("catalog", CatalogSettings, serve, journal)
