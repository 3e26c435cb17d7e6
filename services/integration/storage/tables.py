"""Integration's tables.

Invariant: a row's `body` is the very message that a journal row or a reply carries.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, LargeBinary
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from services.common.db import Sequence64, UtcDateTime
from services.common.journal import Journal


class Base(SQLModel, registry=registry()):
    """Integration's own tables, apart from those of other services in one process."""


class IntegrationRow(Base, table=True):
    """An integration."""

    __tablename__ = "integration"
    __table_args__ = (
        CheckConstraint("stage BETWEEN 1 AND 7", name="integration_stage"),
        CheckConstraint("condition BETWEEN 1 AND 4", name="integration_condition"),
    )

    id: str = Field(primary_key=True, max_length=63)
    stage: int
    condition: int
    version: int = Field(sa_type=Sequence64)
    update_actor: str = Field(max_length=200)
    change: str = Field(max_length=200)
    body: bytes = Field(sa_type=LargeBinary)


class TransitionRow(Base, table=True):
    """An entry of a history; never changed."""

    __tablename__ = "transition"
    __table_args__ = (CheckConstraint("kind BETWEEN 1 AND 9", name="transition_kind"),)

    integration_id: str = Field(primary_key=True, max_length=63)
    number: int = Field(primary_key=True)
    kind: int
    body: bytes = Field(sa_type=LargeBinary)


class PortalCheckRow(Base, table=True):
    """One look at what a portal answers; of each portal of an integration the newest are kept."""

    __tablename__ = "portal_check"
    __table_args__ = (CheckConstraint("portal BETWEEN 1 AND 2", name="portal_check_portal"),)

    integration_id: str = Field(primary_key=True, max_length=63)
    portal: int = Field(primary_key=True)
    number: int = Field(primary_key=True)
    check_time: datetime = Field(sa_type=UtcDateTime, index=True)
    body: bytes = Field(sa_type=LargeBinary)


class CheckpointRow(Base, table=True):
    """How far another service's journal was followed."""

    __tablename__ = "checkpoint"

    source: str = Field(primary_key=True, max_length=32)
    epoch: str = Field(max_length=64)
    sequence: int = Field(sa_type=Sequence64)
    digest: str = Field(max_length=64)


class DeadLetterRow(Base, table=True):
    """A row of another journal that could not be read, put aside with its reason."""

    __tablename__ = "dead_letter"

    source: str = Field(primary_key=True, max_length=32)
    epoch: str = Field(primary_key=True, max_length=64)
    sequence: int = Field(primary_key=True, sa_type=Sequence64)
    payload: bytes = Field(sa_type=LargeBinary)
    reason: str = Field(max_length=500)


metadata = Base.metadata
journal = Journal(metadata)
