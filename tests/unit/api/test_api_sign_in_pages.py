"""The pages that a browser is shown at the end of a sign-in: what somebody else wrote stands in them as text."""

from muster.access.signing.records import Confirmed
from muster.api.convert_sign_in import confirmed_page, failed_page

EVIL = "<script>alert('x')</script>\"&"


def test_what_a_provider_claims_is_text() -> None:
    """A name with markup in it is shown as it is, and the code stands beside it."""
    page = confirmed_page(Confirmed(provider="corp", claimed=EVIL, code="ABCD-2345"))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<code>ABCD-2345</code>" in page
    assert "vouches for you.<" in confirmed_page(Confirmed(provider="corp", claimed=None, code="ABCD-2345"))


def test_why_it_failed_is_text() -> None:
    """So is a message."""
    assert "<script" not in failed_page(EVIL)


def test_a_page_loads_and_runs_nothing() -> None:
    """There is neither script, style, image, form nor link on them."""
    for page in (confirmed_page(Confirmed(provider="corp", claimed="ana", code="ABCD-2345")), failed_page("No")):
        assert not [
            tag for tag in ("<script", "<style", "<img", "<link", "<form", "<iframe", "<a ", "http") if tag in page
        ]
