"""What deploy/ says to the services, they understand; and it tells nobody a secret."""

import re

from services.catalog.config import CatalogSettings
from services.common.config import Settings, names
from services.common.stream_specs import stream_specs
from services.integration.config import IntegrationSettings
from services.status.config import StatusSettings
from tests.support.deployment import texts

SETTINGS = names(Settings, CatalogSettings, IntegrationSettings, StatusSettings)
STREAMS = {spec.name for spec in stream_specs()}  # named like settings


def test_every_setting_named_exists() -> None:
    """A TIENDO_ variable in any file of deploy/ is a setting of the code; a mistyped one would stop the start."""
    unknown = {
        (file, name)
        for file, text in texts()
        for name in re.findall(r"\bTIENDO_[A-Z_]*[A-Z]\b", text)
        if name not in SETTINGS | STREAMS
    }

    assert unknown == set()


def test_no_secret_is_written_down() -> None:
    """Passwords come by reference: no file gives one a value, and none holds a key."""
    given = {
        (file, line.strip())
        for file, text in texts()
        for line in text.splitlines()
        if (shown := re.sub(r"\$(\w+|\{\w+:\?\})|:'\w+'", "$", line))
        and re.search(
            r"(?i)password\w*[\"']?\s*[:=]\s*[\"']?(?!p\$\()[^\s\"'$]|://\w+:(?!PASSWORD@|\$@)[^@/\s]+@|private key",
            shown,
        )
    }

    assert given == set()
