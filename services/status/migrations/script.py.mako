"""${message}"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    """Make the newer schema."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Refused: a journal is never cut back; restore a back-up instead."""
    raise RuntimeError("there is no way back from this schema: restore the back-up taken before the upgrade")
