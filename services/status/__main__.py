"""`python -m services.status [serve|migrate|schema|rebuild]`."""

from services.common.process import be

be("services.common.program", "status", "rebuild")
