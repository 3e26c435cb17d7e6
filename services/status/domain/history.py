"""One service's history, and the steps of it that stand.

Invariant: catalog versions and integration entries are kept side by side, so the order in which the two arrive never
shows; and what stood at an earlier `known_at` stands there whatever is recorded later.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property, reduce

from services.common.dates import EffectiveDate, PartialDate
from services.status.domain.facts import (
    EVERYTHING,
    CheckReport,
    Condition,
    Correction,
    Entry,
    LinkReport,
    PortalReport,
    ServiceVersion,
    Stage,
    Step,
    latest_known,
)

BEGINNING = (Stage.SELECTED, Condition.ACTIVE)
"""The state before the first step."""

_PRECISIONS = ("year", "month", "day")


def _weight(when: PartialDate) -> tuple[date, int]:
    return when.last_day(), _PRECISIONS.index(when.precision)


def latest_date(one: PartialDate | None, other: PartialDate | None) -> PartialDate | None:
    """Give the date with the later last day, the more precise one when those are equal."""
    if one is None or other is None:
        return one or other
    return one if one == other or _weight(one) >= _weight(other) else other


@dataclass(frozen=True, slots=True)
class Link:
    """A step that stands: its date after corrections, the day that makes it certain, the state after it.

    `through` is the latest date among it and the steps before it.
    """

    step: Step
    effective: EffectiveDate
    certain: date
    stage: Stage
    condition: Condition
    through: PartialDate

    @property
    def state(self) -> tuple[Stage, Condition]:
        """Stage and condition after the step."""
        return self.stage, self.condition


def certain_of(chain: Sequence[Link], day: date) -> int:
    """Give how many of the steps that stand are certain on the day: they happen in order, so each makes those before so."""
    certain = len(chain)
    while certain and chain[certain - 1].certain > day:
        certain -= 1
    return certain


def _link(before: Link | None, step: Step, effective: EffectiveDate, recorded: datetime) -> Link:
    stage, condition = before.state if before else BEGINNING
    return Link(
        step,
        effective,
        effective.certain_from(recorded),
        step.stage or stage,
        step.condition or condition,
        latest_date(before.through if before else None, effective.date) or effective.date,
    )


def standing(entries: Sequence[Entry], known_at: datetime = EVERYTHING) -> tuple[Link, ...]:
    """Give the steps that stood at `known_at`, in order: annulled ones left out, re-dated ones with their last date.

    A re-dated step is certain by its new date or by the day the correction was recorded: that the step was told
    earlier says nothing any more, for what was told was wrong.
    """
    known = [entry for entry in entries if entry.recorded <= known_at]
    corrections = [entry for entry in known if isinstance(entry, Correction)]
    annulled = {correction.target for correction in corrections if correction.annul}
    redated = {
        correction.target: (correction.effective, correction.recorded)
        for correction in corrections
        if correction.effective
    }
    chain: list[Link] = []
    for step in known:
        if isinstance(step, Step) and step.number not in annulled:
            effective, recorded = redated.get(step.number, (step.effective, step.recorded))
            chain.append(_link(chain[-1] if chain else None, step, effective, recorded))
    return tuple(chain)


@dataclass(frozen=True)
class ServiceHistory:
    """Everything recorded of one service: by the catalog, and by integration. Each in the order recorded."""

    id: str
    versions: tuple[ServiceVersion, ...] = ()
    entries: tuple[Entry, ...] = ()
    check_reports: tuple[CheckReport, ...] = ()
    link_reports: tuple[LinkReport, ...] = ()
    portal_reports: tuple[PortalReport, ...] = ()

    @cached_property
    def chain(self) -> tuple[Link, ...]:
        """The steps that stand as known now."""
        return standing(self.entries)

    @cached_property
    def _corrected(self) -> datetime | None:
        """When the last correction was recorded; from then on a step once told stays as it is."""
        return next((entry.recorded for entry in reversed(self.entries) if isinstance(entry, Correction)), None)

    def chain_at(self, known_at: datetime) -> tuple[Link, ...]:
        """Give the steps that stood at `known_at`; recorded times never go back."""
        if not self.entries or self.entries[-1].recorded <= known_at:
            return self.chain
        if self._corrected is None or self._corrected <= known_at:
            return self.chain[: bisect_right(self.chain, known_at, key=lambda link: link.step.recorded)]
        return standing(self.entries, known_at)

    def version_at(self, known_at: datetime) -> ServiceVersion | None:
        """Give what the catalog said at `known_at`; None while it had not listed the service."""
        return latest_known(self.versions, known_at)

    @property
    def state(self) -> tuple[Stage, Condition]:
        """Stage and condition after the last step, as known now, whatever its date."""
        return self.chain[-1].state if self.chain else BEGINNING

    def checks_at(self, known_at: datetime) -> dict[str, CheckReport]:
        """Give how each connection check stood that was told of up to `known_at`, the latest report of each."""
        return {report.check: report for report in self.check_reports if report.recorded <= known_at}

    def links_at(self, known_at: datetime) -> dict[str, LinkReport]:
        """Give the portal links that were known at `known_at`, by portal."""
        latest = {report.portal: report for report in self.link_reports if report.recorded <= known_at}
        return {portal: report for portal, report in latest.items() if report.uri}

    def portals_at(self, known_at: datetime = EVERYTHING) -> dict[str, PortalReport]:
        """Give what each portal answered last for the link known at `known_at`; a link set anew was not asked yet."""
        links = self.links_at(known_at)
        return {
            report.portal: report
            for report in self.portal_reports
            if report.recorded <= known_at
            and (link := links.get(report.portal))
            and report.uri == link.uri
            and report.recorded >= link.recorded
        }

    def unreachable_at(self, known_at: datetime) -> dict[str, tuple[PortalReport, datetime]]:
        """Give what those portals answered last that do not show the service, each with when they first did not."""
        found: dict[str, tuple[PortalReport, datetime]] = {}
        for portal, last in self.portals_at(known_at).items():
            if not last.reachable:
                since = last.recorded
                for report in reversed(self.portal_reports):
                    if report.portal == portal and report.recorded <= since:
                        if report.reachable or report.uri != last.uri:
                            break
                        since = report.recorded
                found[portal] = last, since
        return found

    def checks_on(self, day: date, known_at: datetime) -> dict[str, CheckReport]:
        """Give how each connection check certainly stood on that day, by what was known at `known_at`.

        A check set back to UNKNOWN takes its earlier reports with it.
        """
        certain: dict[str, CheckReport] = {}
        for report in self.check_reports:
            if report.recorded > known_at:
                break
            if report.effective is None:
                certain.pop(report.check, None)
            elif report.effective.certain_from(report.recorded) <= day:
                certain[report.check] = report
        return certain

    def checked_through(self, day: date, known_at: datetime) -> PartialDate | None:
        """Give the latest date of the checks that `checks_on` gives; None where it gives none."""
        dates = (report.effective.date for report in self.checks_on(day, known_at).values() if report.effective)
        return reduce(latest_date, dates, None)

    def with_version(self, version: ServiceVersion) -> "ServiceHistory":
        """Give the history with one more version of the catalog's."""
        longer = replace(self, versions=(*self.versions, version))
        return longer._standing_as(self.chain)  # noqa: SLF001 (its own class)

    def with_report(self, report: CheckReport) -> "ServiceHistory":
        """Give the history with one more report of a connection check."""
        longer = replace(self, check_reports=(*self.check_reports, report))
        return longer._standing_as(self.chain)  # noqa: SLF001 (its own class)

    def with_link(self, report: LinkReport) -> "ServiceHistory":
        """Give the history with one more report of a portal link."""
        longer = replace(self, link_reports=(*self.link_reports, report))
        return longer._standing_as(self.chain)  # noqa: SLF001 (its own class)

    def with_portal(self, report: PortalReport) -> "ServiceHistory":
        """Give the history with one more change of what a portal answers."""
        longer = replace(self, portal_reports=(*self.portal_reports, report))
        return longer._standing_as(self.chain)  # noqa: SLF001 (its own class)

    def with_entry(self, entry: Entry) -> "ServiceHistory":
        """Give the history with one more step or correction."""
        longer = replace(self, entries=(*self.entries, entry))
        if isinstance(entry, Correction):
            return longer
        added = _link(self.chain[-1] if self.chain else None, entry, entry.effective, entry.recorded)
        return longer._standing_as((*self.chain, added))  # noqa: SLF001 (its own class)

    def _standing_as(self, chain: tuple[Link, ...]) -> "ServiceHistory":
        # A burst of steps would otherwise work out the whole chain again for each of them.
        vars(self)["chain"] = chain
        return self
