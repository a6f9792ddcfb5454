"""Role by verb of a gate by whose work it is, with the Python client."""

import pytest

from muster.vocabulary.errors import NotAllowed
from rights_matrix import ASKERS, OTHERS, ROWS, VERBS, Named, Own, World, documented_rights

DOCUMENTED = documented_rights()


@pytest.mark.parametrize("name", VERBS)
def test_each_verb_is_done_by_whom_the_page_says_and_never_for_ones_own_work(world: World, name: str) -> None:
    """NotAllowed for every role without the right, and for whoever has part in it; nothing of that is on record."""
    row, verb, control = ROWS[name], VERBS[name], world.control
    roles = frozenset().union(*(DOCUMENTED[right] for right in row.rights))
    allowed = [asker for asker, role in ASKERS.items() if role in roles]
    thing = Named(row.make(world, "vera", OTHERS))
    own = Named(row.make(world, "ada", Own(("ada",), row.own[-1]))) if row.own else None
    before = world.events()
    for asker in ASKERS.keys() - set(allowed):
        with pytest.raises(NotAllowed):
            verb.client(control.as_(asker), thing)
    if own is not None:
        with pytest.raises(NotAllowed) as refused:
            verb.client(control.as_("ada"), own)
        assert refused.value.code in row.own_codes
    assert world.events() == before
    verb.client(control.as_(allowed[0]), thing)
    assert world.events() > before
