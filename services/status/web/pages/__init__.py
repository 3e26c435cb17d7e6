"""What stands on each page, worded; the templates only lay it out.

Invariant: a page is made from one state, and names the day and the data it is made of.
"""

from services.status.web.pages.attention import attention
from services.status.web.pages.burn_up import drawing
from services.status.web.pages.frame import frame
from services.status.web.pages.live import event_view, live
from services.status.web.pages.overview import overview
from services.status.web.pages.service import service
from services.status.web.pages.services import services

__all__ = ["attention", "drawing", "event_view", "frame", "live", "overview", "service", "services"]
