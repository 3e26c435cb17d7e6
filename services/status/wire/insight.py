"""Burn-up, forecast and attention in the words of the contract.

Invariant: what is not known is absent, and a zero is sent.
"""

from services.common.dates import PartialDate
from services.status import domain
from services.status.forecast import Forecast
from services.status.wire.answers import date_out, effective_out
from tiendo.integration.v1 import integration_pb2
from tiendo.status.v1 import attention_pb2, burn_up_pb2, forecast_pb2
from tiendo.status.v1 import status_service_pb2 as pb


def burn_up_out(programme: str, as_of: PartialDate, burn_up: domain.BurnUp, ahead: Forecast) -> pb.GetBurnUpResponse:
    """Write how completion grew, and how it may go on; `programme` is a resource name."""
    return pb.GetBurnUpResponse(
        points=[
            burn_up_pb2.BurnUpPoint(
                date=date_out(PartialDate.of_day(point.day)), completed=point.completed, uncertain=point.uncertain
            )
            for point in burn_up.points
        ],
        programme=programme,
        as_of=date_out(as_of),
        facts_through=date_out(burn_up.facts_through),
        planned=ahead.planned,
        start_date=date_out(burn_up.programme.start),
        target_date=date_out(burn_up.programme.target),
        forecast=[
            burn_up_pb2.ForecastPoint(
                date=date_out(PartialDate.of_day(point.day)), low=point.low, middle=point.middle, high=point.high
            )
            for point in ahead.band
        ],
    )


def forecast_out(programme: str, as_of: PartialDate, forecast: Forecast) -> pb.GetForecastResponse:
    """Write when the plan may be complete; `programme` is a resource name."""
    basis = forecast.basis
    return pb.GetForecastResponse(
        state=int(forecast.state),  # type: ignore[arg-type]
        programme=programme,
        as_of=date_out(as_of),
        facts_through=date_out(forecast.facts_through),
        planned=forecast.planned,
        completed=forecast.completed,
        remaining=forecast.remaining,
        needed_per_month=forecast.needed_per_month,
        actual_per_month=forecast.actual_per_month,
        finish_dates=[
            forecast_pb2.FinishDate(percent=percent, date=date_out(date)) for percent, date in forecast.finish_dates
        ],
        target_chance=forecast.target_chance,
        basis=forecast_pb2.ForecastBasis(
            dated_completions=basis.dated_completions,
            distinct_dates=basis.distinct_dates,
            weeks=basis.weeks,
            minimum_distinct_dates=basis.minimum_distinct_dates,
            minimum_weeks=basis.minimum_weeks,
        ),
        target_date=date_out(forecast.programme.target),
    )


def attention_item_out(item: domain.Item) -> attention_pb2.AttentionItem:
    """Write one service and one reason."""
    return attention_pb2.AttentionItem(
        kind=int(item.kind),  # type: ignore[arg-type]
        service=f"services/{item.service}",
        alias=item.alias,
        display_name=item.display_name,
        plan_number=item.plan_number,
        stage=int(item.stage),  # type: ignore[arg-type]
        condition=int(item.condition),  # type: ignore[arg-type]
        since=effective_out(item.since),
        days=item.days,
        reason=item.reason,
        actor=item.actor,
        agency=item.agency,
        check=integration_pb2.Check.Value(f"CHECK_{item.check}") if item.check else integration_pb2.CHECK_UNSPECIFIED,
        portal=integration_pb2.Portal.Value(f"PORTAL_{item.portal}")
        if item.portal
        else integration_pb2.PORTAL_UNSPECIFIED,
        detail=item.detail,
        allowed_days=item.allowed_days,
        command=item.command,
    )


def attention_out(programme: str, as_of: PartialDate, attention: domain.Attention) -> pb.ListAttentionResponse:
    """Write what stands beside the items; `programme` is a resource name."""
    passed = attention.target_passed
    return pb.ListAttentionResponse(
        counts=[
            attention_pb2.AttentionCount(kind=int(kind), count=number)  # type: ignore[arg-type]
            for kind, number in attention.counts.items()
        ],
        not_reported=attention.not_reported,
        target_passed=attention_pb2.TargetPassed(
            target_date=date_out(passed.target),
            planned=passed.planned,
            completed=passed.completed,
            not_reported=passed.not_reported,
        )
        if passed
        else None,
        programme=programme,
        as_of=date_out(as_of),
    )
