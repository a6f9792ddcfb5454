"""`muster.scorer`: asks endpoints, and hands back answers with their request ids.

scorer = muster.scorer("http://localhost:8601", token="mst_…")
scored = scorer.score("churn", customers)          # a DataFrame, an Arrow table, a list of dicts
scored["churn_probability"], scored.request_id, scored.reasons
"""

import ssl
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import httpx
import msgspec

from muster.client.durations import Duration, milliseconds_of
from muster.client.errors import AnswerNotUnderstood, RowsNotUnderstood, error_of_inference, shortened
from muster.client.login import DEFAULT_SCORING_URL, find_login
from muster.client.rows import rows_of
from muster.client.transport import Transport, is_loopback
from muster.vocabulary.errors import MusterError
from muster.vocabulary.names import checked_name
from muster.wire import control
from muster.wire.inference import ModelMetadata

Document = TypeVar("Document")
_WHY = ("variant", "role", "reason")


class _Reply(msgspec.Struct, frozen=True):
    request_id: str
    release: int
    answers: list[dict[str, Any]]
    weights: dict[str, float] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """The answers to one request."""

    request_id: str
    """Names the decision record: `muster request ID`."""
    release: int
    answers: tuple[dict[str, Any], ...]
    """One per row, in the order of the rows: each output, and `variant`, `role` and `reason`."""
    solo: bool = False
    """The factory is for one person: its gates are passed without a second one."""
    weights: dict[str, float] = field(default_factory=dict)
    """Of a combined answer: the weight that each version had in it."""

    def __len__(self) -> int:
        return len(self.answers)

    def __getitem__(self, output: str) -> list[Any]:
        """The values of an output, one per row."""
        return [answer[output] for answer in self.answers]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs."""
        if not self.answers:
            return ()
        facts = {_key_of(fact, self.answers[0]) for fact in _WHY}
        return tuple(name for name in self.answers[0] if name not in facts)

    @property
    def variants(self) -> list[str]:
        """Which version gave each answer; `default` for the default answer, `combined` for one made from several."""
        return self._facts("variant")

    @property
    def reasons(self) -> list[str]:
        """Why each answer is the one that was given."""
        return self._facts("reason")

    def _facts(self, fact: str) -> list[str]:
        return self[_key_of(fact, self.answers[0])] if self.answers else []


def _key_of(fact: str, answer: dict[str, Any]) -> str:
    """Under which name an answer holds a fact: an output of that name has it under a longer one."""
    while f"muster_{fact}" in answer:
        fact = f"muster_{fact}"
    return fact


def scorer(
    url: str | None = None,
    token: str | None = None,
    *,
    control_url: str | None = None,
    timeout_s: float = 30.0,
    transport: httpx.BaseTransport | None = None,
    tls: ssl.SSLContext | None = None,
) -> "Scorer":
    """The scoring side of a factory.

    Args:
        url: its address; None: MUSTER_SCORING_URL, or what the factory that `muster.connect()` finds says.
        token: who asks; None: as for `muster.connect`.
        control_url: the factory to ask for the address; None: the one that `muster.connect()` finds.
        timeout_s: how long one answer may take at most, whatever its deadline.
        transport: httpx's own, for tests; None: the network.
        tls: whom to trust and which certificate to show, where the scoring side speaks TLS; None: nothing is shown, and trusted are those
            that everybody trusts, or whom the variable SSL_CERT_FILE names.
    """
    login = find_login(control_url, token)
    found = url or login.scoring_url or _asked_of_control(login.url, transport)
    return Scorer(Transport(found, login.token, timeout_s=timeout_s, transport=transport, tls=tls))


def _asked_of_control(url: str, transport: httpx.BaseTransport | None) -> str:
    """Where the factory at an address takes requests; port 8601 beside it while control cannot be asked."""
    asking = Transport(url, None, timeout_s=5.0, transport=transport)
    try:
        told = asking.get("/api/v1/health", control.Health).scoring_url
    except MusterError:
        told = None  # scoring works while control is down
    finally:
        asking.close()
    return beside(url, told or DEFAULT_SCORING_URL)


def beside(control_url: str, told: str) -> str:
    """The scoring side's address as it is reached from here: a factory elsewhere knows itself as 127.0.0.1."""
    if is_loopback(control_url) or not is_loopback(told):
        return told
    there, here = urlsplit(told), urlsplit(control_url).hostname or ""
    host = f"[{here}]" if ":" in here else here
    return urlunsplit((there.scheme, f"{host}:{there.port}", "", "", ""))


class Scorer:
    """The scoring side of a factory, as one caller sees it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def url(self) -> str:
        """Where requests go."""
        return self._transport.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._transport.close()

    def score(
        self, endpoint: str, rows: Any, *, deadline: Duration | None = None, client_id: str | None = None
    ) -> Scored:
        """Ask an endpoint about some rows, as one request.

        Args:
            endpoint: which.
            rows: a pandas or polars DataFrame, an Arrow table, one dict per row, or a dict of columns.
            deadline: within which the answer is wanted: `50ms`, a `timedelta`, or milliseconds; the release's own
                deadline still holds. None: the release's.
            client_id: your own name for the request; it is kept with the decision record.

        Raises:
            Invalid: the rows break the endpoint's contract; the message names field, row and value.
            TimedOut: nothing could be given by the deadline, and the release has no default answer.
        """
        table = rows_of(rows)
        if not table:
            raise RowsNotUnderstood("there are no rows to score")
        body: dict[str, Any] = {"rows": table}
        if deadline is not None:
            body["deadline_ms"] = milliseconds_of(deadline)
        if client_id is not None:
            body["id"] = client_id
        path = f"/score/{quote(checked_name(endpoint, of='endpoint'))}"
        answer = self._transport.exchange("POST", path, msgspec.json.encode(body))
        reply = _read(answer, _Reply)
        return Scored(
            request_id=reply.request_id,
            release=reply.release,
            answers=tuple(reply.answers),
            solo=answer.headers.get("muster-solo") == "true",
            weights=reply.weights,
        )

    def metadata(self, endpoint: str) -> ModelMetadata:
        """What an endpoint takes and gives, in the words of the Open Inference Protocol."""
        path = f"/v2/models/{quote(checked_name(endpoint, of='endpoint'))}"
        return _read(self._transport.exchange("GET", path), ModelMetadata)

    def is_ready(self) -> bool:
        """Whether every endpoint can be answered now."""
        return self._transport.exchange("GET", "/v2/health/ready").is_success


def _read(answer: httpx.Response, kind: type[Document]) -> Document:
    if answer.is_error:
        raise error_of_inference(answer.content, answer.status_code, answer.headers.get("muster-error-code"))
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise AnswerNotUnderstood(
            f"{answer.url} answered something else than Muster: {error}; it begins {shortened(answer.content)}"
        ) from error
