"""`python -m services.catalog [serve|migrate|schema]`."""

from services.common.process import be

be("services.common.program", "catalog")
