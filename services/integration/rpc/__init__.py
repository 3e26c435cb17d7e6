"""Integration's endpoints.

Invariant: NOT_FOUND for a service is said only after the catalog's head was reached.
"""

from services.integration.rpc.service import Rpc

__all__ = ["Rpc"]
