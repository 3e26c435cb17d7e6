"""Both journals fold into one model, and each fact is told once to the programmes it concerns."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import count as numbers

from services.status.domain import CheckReport, Entry, EventKind, Stage, StepKind
from services.status.projection import (
    CheckReported,
    CompletionSummary,
    CorrectionSummary,
    Fact,
    IntegrationKnown,
    ProgressDraft,
    ReadModel,
    apply,
    fold,
    follow,
)
from tests.support.status_facts import (
    BY_SEPTEMBER,
    LATER,
    PLAN,
    annulled,
    by,
    condition_step,
    on,
    redated,
    reverted,
    service_version,
    stage_step,
)
from tests.support.status_folding import (
    PAPER,
    TODAY,
    kinds,
    listed,
    origin,
    programme,
    seed_catalog,
    seed_integration,
    seeded,
    step_by_step,
    told,
)
from tests.support.surveys import count


def test_the_seed_folds_to_eleven_of_227() -> None:
    """After both journals of the seed the programme has 11 completed and 216 not reported."""
    model = seeded()

    assert model.summary(PLAN, TODAY) == CompletionSummary(planned=227, completed=11, not_reported=216)
    assert count(model.programme(PLAN), model.services.values(), date(2022, 9, 15)).total.uncertain == 11


def test_each_source_folds_by_itself() -> None:
    """Whichever journal is read first, or in whatever turns, the model is the same."""
    catalog, integration = seed_catalog(), seed_integration()
    in_turns = [fact for pair in zip(integration, catalog, strict=False) for fact in pair]
    in_turns += integration[len(catalog) :]

    assert fold(ReadModel(), integration + catalog) == seeded()
    assert fold(ReadModel(), in_turns) == seeded()


def test_an_integration_the_catalog_has_not_listed_waits() -> None:
    """Its steps are kept, count nothing and are told to nobody until the catalog lists the service."""
    early: list[Fact] = [programme(planned=2), told(1, 1, stage_step(1, Stage.INTEGRATED, BY_SEPTEMBER))]
    model, drafts = step_by_step(ReadModel(), early)

    assert drafts == []
    assert model.summary(PLAN, TODAY) == CompletionSummary(2, 0, 2)
    model, drafts = step_by_step(model, [listed(1, 2)])
    assert kinds(drafts) == [
        "service.added",
        "programme.milestone 10",
        "programme.milestone 25",
        "programme.milestone 50",
    ]
    assert model.summary(PLAN, TODAY) == CompletionSummary(2, 1, 1)


def test_a_fact_leaves_the_model_before_it_alone() -> None:
    """Whoever holds an older model keeps its answers, also those worked out late."""
    before = seeded()
    after = apply(before, told(12, 239, stage_step(1, Stage.INTEGRATED, on("2022-10-05"), LATER)))

    assert after.summary(PLAN, TODAY) == CompletionSummary(227, 12, 215)
    assert before.summary(PLAN, TODAY) == CompletionSummary(227, 11, 216)
    assert before == seeded()
    assert before != after


def test_a_step_is_told_with_the_counts_after_it() -> None:
    """Naming a slot and integrating it gives two events, each with its cause, its names and the figure after it."""
    named = replace(service_version(12, LATER, name="Đăng ký tạm trú"), alias="dang-ky-tam-tru")
    name = listed(12, 229, named, named_now=True)
    integrate = told(12, 239, stage_step(1, Stage.INTEGRATED, on("2022-10-05"), LATER))

    assert step_by_step(seeded(), [name, integrate])[1] == [
        ProgressDraft(
            kind=EventKind.SERVICE_NAMED,
            programme="bca-2022",
            cause="catalog/00000000000000aa/229/bca-2022",
            origin=origin("catalog", 229),
            completion=CompletionSummary(227, 11, 216),
            service="bca-012",
            alias="dang-ky-tam-tru",
            display_name="Đăng ký tạm trú",
            plan_number=12,
        ),
        ProgressDraft(
            kind=EventKind.SERVICE_INTEGRATED,
            programme="bca-2022",
            cause="integration/00000000000000aa/239/bca-2022",
            origin=origin("integration", 239),
            completion=CompletionSummary(227, 12, 215),
            service="bca-012",
            alias="dang-ky-tam-tru",
            display_name="Đăng ký tạm trú",
            plan_number=12,
            from_stage=Stage.SELECTED,
            to_stage=Stage.INTEGRATED,
            effective=on("2022-10-05"),
            evidence=PAPER,
        ),
    ]


def test_an_annulment_is_told_with_what_it_undid() -> None:
    """It names the entry and the date it had, has none of its own, and gives the figure without it."""
    facts = [
        told(12, 239, stage_step(1, Stage.INTEGRATED, on("2022-10-05"), LATER)),
        told(12, 240, annulled(2, 1, LATER + timedelta(hours=1))),
    ]
    corrected = step_by_step(seeded(), facts)[1][-1]

    assert corrected.kind is EventKind.SERVICE_CORRECTED
    assert corrected.correction == CorrectionSummary(transition=1, annulled=True, previous_date=on("2022-10-05"))
    assert (corrected.from_stage, corrected.to_stage) == (Stage.INTEGRATED, Stage.SELECTED)
    assert corrected.effective is None
    assert corrected.reason == "ghi nhầm dịch vụ"
    assert corrected.completion == CompletionSummary(227, 11, 216)


def test_a_re_dating_is_told_with_both_dates() -> None:
    """The date that now holds is its effective date; the one that held last, also by a correction, is named beside."""
    facts = [
        told(12, 239, stage_step(1, Stage.BUILT, on("2022-10-05"), LATER)),
        told(12, 240, redated(2, 1, on("2022-10-06"), LATER)),
        told(12, 241, redated(3, 1, by("2022-11"), LATER)),
    ]
    corrected = step_by_step(seeded(), facts)[1][-1]

    assert corrected.correction == CorrectionSummary(1, annulled=False, previous_date=on("2022-10-06"))
    assert corrected.effective == by("2022-11")
    assert (corrected.from_stage, corrected.to_stage) == (None, None)


def test_one_step_is_one_event() -> None:
    """Every kind of step has its event; only those that set the stage name stages."""
    steps: list[Entry] = [
        stage_step(1, Stage.BUILT, on("2022-01-01")),
        condition_step(2, StepKind.BLOCKED, on("2022-01-02")),
        condition_step(3, StepKind.UNBLOCKED, on("2022-01-03")),
        stage_step(4, Stage.INTEGRATED, on("2022-01-04")),
        condition_step(5, StepKind.SUSPENDED, on("2022-01-05")),
        condition_step(6, StepKind.RESUMED, on("2022-01-06")),
        condition_step(7, StepKind.WITHDRAWN, on("2022-01-07")),
        condition_step(8, StepKind.REINSTATED, on("2022-01-08")),
        reverted(9, Stage.TESTED, on("2022-01-09")),
    ]
    drafts = step_by_step(seeded(), [told(20, 300 + step.number, step) for step in steps])[1]

    assert kinds(drafts) == [
        "service.advanced",
        "service.blocked",
        "service.unblocked",
        "service.integrated",
        "service.suspended",
        "service.resumed",
        "service.withdrawn",
        "service.reinstated",
        "service.reverted",
    ]
    assert [(draft.from_stage, draft.to_stage) for draft in drafts if draft.to_stage] == [
        (Stage.SELECTED, Stage.BUILT),
        (Stage.BUILT, Stage.INTEGRATED),
        (Stage.INTEGRATED, Stage.TESTED),
    ]
    assert drafts[1].reason == "vướng mắc"


def test_each_programme_that_counts_the_service_is_told() -> None:
    """One step of a service in two plans gives one event for each, with its own number, figure and cause."""
    both = replace(service_version(12), memberships=((PLAN, 12), ("bca-2023", 3)))
    model = fold(seeded(), [programme(229, 4, "bca-2023"), listed(12, 230, both)])
    drafts = step_by_step(model, [told(12, 239, stage_step(1, Stage.BUILT, on("2022-10-05")))])[1]

    assert [(draft.programme, draft.plan_number, draft.completion, draft.cause) for draft in drafts] == [
        ("bca-2022", 12, CompletionSummary(227, 11, 215), "integration/00000000000000aa/239/bca-2022"),
        ("bca-2023", 3, CompletionSummary(4, 0, 3), "integration/00000000000000aa/239/bca-2023"),
    ]


def test_a_row_that_adds_and_names_gives_two_causes() -> None:
    """Added and named by one catalog row, the service is told of twice and neither repeats the other."""
    version = service_version(2, name="Thông báo lưu trú")
    outside = replace(version, memberships=(), display_name="")
    model = fold(ReadModel(), [programme(planned=2), listed(2, 2, outside)])
    drafts = step_by_step(model, [listed(2, 3, version, named_now=True)])[1]

    assert [(draft.kind.type, draft.cause) for draft in drafts] == [
        ("service.added", "catalog/00000000000000aa/3/bca-2022"),
        ("service.named", "catalog/00000000000000aa/3/bca-2022/named"),
    ]


def test_other_changes_of_a_service_are_told_to_nobody() -> None:
    """A change that neither adds nor names, a check or a new integration is no progress event."""
    report = CheckReport("PAYMENT", "PENDING", LATER, on("2022-05-05"))
    facts: list[Fact] = [
        listed(12, 229, service_version(12, LATER, field="Cư trú")),
        CheckReported(origin("integration", 239), "bca-012", report),
        IntegrationKnown(origin("integration", 240), "bca-012"),
    ]
    model, drafts = step_by_step(seeded(), facts)

    assert drafts == []
    assert model.summary(PLAN, TODAY) == CompletionSummary(227, 11, 215)


def test_following_is_folding_and_telling() -> None:
    """A batch gives the model and the drafts that its facts give one by one, each cause once."""
    facts = seed_catalog() + seed_integration()
    model, drafts = follow(ReadModel(), facts, TODAY)
    alone, every = step_by_step(ReadModel(), facts)

    assert model == alone == seeded()
    assert drafts == list(_first_of_each_cause(every))
    assert len(drafts) == 227 + 11


def _first_of_each_cause(drafts: list[ProgressDraft]) -> Iterator[ProgressDraft]:
    seen: set[str] = set()
    for draft in drafts:
        if draft.cause not in seen:
            seen.add(draft.cause)
            yield draft


def test_a_programme_that_could_not_be_read_loses_no_event() -> None:
    """Its events go out without figures where the row that told of the programme was put aside."""
    facts = [listed(1, 2), told(1, 1, stage_step(1, Stage.BUILT, on("2022-03-01")))]
    drafts = step_by_step(ReadModel(), facts)[1]

    assert kinds(drafts) == ["service.added", "service.advanced"]
    assert [draft.completion for draft in drafts] == [None, None]


def test_causes_of_a_burst_are_unique() -> None:
    """No two events of a long run share a cause."""
    sequence = numbers(300)
    facts: list[Fact] = []
    for round_number in range(1, 9):
        kind = StepKind.BLOCKED if round_number % 2 else StepKind.UNBLOCKED
        facts += [told(n, next(sequence), condition_step(round_number, kind, on("2022-05-01"))) for n in range(12, 228)]
    drafts = step_by_step(seeded(), facts)[1]

    assert len({draft.cause for draft in drafts}) == len(drafts) == 8 * 216
    assert drafts[-1].completion == CompletionSummary(227, 11, 0)
