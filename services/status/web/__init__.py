"""The dashboard: what status knows, as pages for people.

Invariant: a page counts nothing itself; each of its figures is the one that GetCompletion gives for the same question.
"""

from services.status.web.app import build_app
from services.status.web.desk import Desk
from services.status.web.server import Website

__all__ = ["Desk", "Website", "build_app"]
