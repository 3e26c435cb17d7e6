"""`python -m services.integration [serve|migrate|schema|attach]`."""

from services.common.runtime import main
from services.integration.app import serve
from services.integration.config import IntegrationSettings
from services.integration.consumers import attach
from services.integration.storage import journal

main("integration", IntegrationSettings, serve, journal, {"attach": attach})
