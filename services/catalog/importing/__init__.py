"""Lists of services that come as a file: read, matched with the catalog, applied all or nothing, reported row by row.

Invariant: a row is a service because of its code, its exact name or somebody's word, never because it looks alike.
"""

from services.catalog.importing.running import Imports

__all__ = ["Imports"]
