"""`python -m services.integration [serve|migrate|schema|attach]`."""

from services.common.process import be

be("services.common.program", "integration", "attach")
