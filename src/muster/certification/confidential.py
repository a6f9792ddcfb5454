"""The host that is asked rows of which a model's author must not learn: those that judge it, and what callers have asked.

A model's code can remember what it is asked, and tell it wherever its author may read: in the answers to questions of an own check, in
messages, in its log. So such rows are asked of a host apart, whose parent has loaded the model for it alone: no memory, pipe, folder or
log is common to it and the host that everything else is asked of. What goes wrong in it is told by a code, never in the model's words.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from muster.certification.errors import FailedInConfidence
from muster.runtimes.channel import Answer, Channel
from muster.runtimes.errors import HostGone, HostTimedOut, ProtocolBroken, TableRefused
from muster.runtimes.host import Succession

#: What a host says of a request that it does not answer. The model's code could put other words there, which are not repeated.
_CODES = frozenset({"model-raised", "output-broken"})
_OTHER = "error"


class Confidential:
    """A host apart, begun when first wanted.

    Args:
        begins: starts hosts of the model, in processes of their own, that write to the log that is named.
        folder: where that log lies as long as the host is there.
    """

    def __init__(self, begins: Callable[[Path], AbstractContextManager[Succession]], folder: Path) -> None:
        self._begins = begins
        self._folder = folder
        self._running = ExitStack()
        self._channel: Channel | None = None

    @contextmanager
    def asked(self) -> Iterator[Channel]:
        """The connection to it; a block that fails ends it, and the next one has another.

        Raises:
            HostNotStarted, OrderBroken, HostLoadFailed: there is none; it has seen no rows yet, and the message says why.
            FailedInConfidence: it did not answer in the block.
        """
        channel = self._channel or self._begun()
        try:
            with told_by_code():
                yield channel
        except FailedInConfidence:
            self.end()
            raise

    def _begun(self) -> Channel:
        with ExitStack() as halfway:
            log = halfway.enter_context(log_apart(self._folder))
            self._channel = halfway.enter_context(self._begins(log)).start()
            self._running.push(halfway.pop_all())
        return self._channel

    def end(self) -> None:
        """End it, with all that it has written."""
        self._channel = None
        self._running.close()


@contextmanager
def log_apart(folder: Path) -> Iterator[Path]:
    """A log that no other host can read, and that is gone after the block: hosts may read what they have written, and what others did."""
    with tempfile.TemporaryDirectory(prefix="confidential-", dir=folder) as place:
        yield Path(place, "host.log")


@contextmanager
def told_by_code() -> Iterator[None]:
    """Whatever a host fails with in the block, its message is not repeated: it may hold the rows.

    Raises:
        FailedInConfidence: in its place.
    """
    try:
        yield
    except (HostGone, HostTimedOut, ProtocolBroken, TableRefused) as error:
        raise FailedInConfidence(
            f"the host that was asked them failed with {error.code}; in which words is not told, for it has seen the rows",
            why=error.code,
        ) from None


def code_of(answer: Answer) -> str:
    """Why the first request of an answer has none, in a word that no model chooses."""
    code = next(iter(answer.errors.values())).code
    return code if code in _CODES else _OTHER
