"""`python -m services.status [serve|migrate|schema|rebuild]`."""

from services.common.runtime import main
from services.status.app import serve
from services.status.config import StatusSettings
from services.status.consumers import rebuild
from services.status.storage import journal

main("status", StatusSettings, serve, journal, {"rebuild": rebuild})
