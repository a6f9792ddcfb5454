"""Role by verb of a gate by whose work it is, as it is typed."""

from collections.abc import Callable

import pytest
from running_cli import Shell

from rights_matrix import ASKERS, OTHERS, ROWS, VERBS, Named, Own, World, documented_rights

DOCUMENTED = documented_rights()
NOT_ALLOWED = 5


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", VERBS)
def test_each_verb_is_typed_by_whom_the_page_says_and_never_for_ones_own_work(
    world: World, as_: Callable[[str], Shell], name: str
) -> None:
    """Exit code 5 for an admin who has part in it, or for a scientist where nobody's part matters; 0 for whoever may."""
    row, verb = ROWS[name], VERBS[name]
    roles = frozenset().union(*(DOCUMENTED[right] for right in row.rights))
    assert ASKERS["sara"] not in roles
    allowed = next(asker for asker, role in ASKERS.items() if role in roles)
    refused, own, codes = (
        ("ada", Own(("ada",), row.own[0]), row.own_codes) if row.own else ("sara", OTHERS, row.refusals)
    )
    thing = Named(row.make(world, refused, own))
    before = world.events()
    assert as_(refused).problem(*verb.words(thing), "--reason", "so", code=NOT_ALLOWED)["code"] in codes
    assert world.events() == before
    others = Named(row.make(world, allowed, OTHERS)) if row.own else thing
    as_(allowed).type(*verb.words(others), "--reason", "so")
    assert world.events() > before
