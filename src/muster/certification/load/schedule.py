"""When requests come: moments fixed before the first is sent, so that a slow host cannot slow its own load down."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from muster.vocabulary.digests import Digest, hex_of

Arrivals = Literal["poisson", "uniform"]
#: More requests than this are not scheduled, whatever is declared: the moments of all of them are kept.
MOST_REQUESTS = 200_000


def moments(rate_per_s: float, seconds: float, arrivals: Arrivals, seed: int) -> Sequence[float]:
    """Seconds after the start at which a request is due, rising; at least one.

    Args:
        rate_per_s: requests a second, on average.
        seconds: for how long.
        arrivals: `uniform`: one after another at equal distances; `poisson`: independent of each other, as many callers who
            know nothing of each other send them.
        seed: of the random distances; the same seed gives the same moments.

    Raises:
        ValueError: rate or time are not above 0.

    Source:
        Poisson arrivals have exponentially distributed distances: Kleinrock, Queueing Systems I, 1975, section 2.4.
    """
    if not (rate_per_s > 0 and seconds > 0):
        raise ValueError(f"a rate of {rate_per_s} for {seconds} s is no load")
    count = max(1, min(MOST_REQUESTS, round(rate_per_s * seconds)))
    if arrivals == "uniform":
        due = np.arange(count) / rate_per_s
    else:
        # As many as the rate says, spread over the time: sorted uniform moments are a Poisson process of that many arrivals.
        due = np.sort(np.random.default_rng(seed).random(count)) * (count / rate_per_s)
    found: list[float] = due.tolist()
    return found


def seed_of(digest: Digest) -> int:
    """A seed that belongs to a version: examined again, it meets the same moments."""
    return int(hex_of(digest)[:12], 16)
