"""What may happen to a small installation, at random: commands, time, rows carried, restarts, questions."""

from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.support.catalog_commands import catalog_commands, programmes
from tests.support.commands import integration_commands, whens
from tests.support.installation import SERVICES


class Act(NamedTuple):
    """Something that happens: a method of the state machine, and what it is given."""

    what: str
    told: tuple[Any, ...]


_WAYS = [("catalog", "integration"), ("catalog", "status"), ("integration", "status")]
# One of the instants or days of which something was told, or one just beside it.
_BESIDE = st.tuples(st.integers(0, 200), st.integers(-1, 1))
_DAYS = st.lists(whens | _BESIDE, min_size=1, max_size=6)
# How often what comes, against each other.
acts = st.one_of(
    *(
        st.builds(Act, st.just(what), told.map(lambda one: one))
        for what, times, told in (
            ("wait", 2, st.tuples(st.integers(1, 20 * 24))),
            ("integrate", 6, st.tuples(st.lists(integration_commands, min_size=1, max_size=5))),
            ("describe", 2, st.tuples(st.lists(catalog_commands, min_size=1, max_size=3))),
            ("carry", 4, st.tuples(st.sampled_from(_WAYS), st.integers(1, 12), st.integers(0, 3))),
            ("question", 4, st.tuples(programmes, _DAYS, st.none() | _BESIDE, st.integers(0, 4))),
            ("repeat", 1, st.tuples(st.integers(0, 99), st.integers(0, 99))),
            ("restart", 1, st.tuples(st.sampled_from(SERVICES))),
            ("look_back", 1, st.just(())),
        )
        for _ in range(times)
    )
)
