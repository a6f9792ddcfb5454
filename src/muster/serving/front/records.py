"""The records form: rows as objects with one member per field, in; one answer per row, out.

    in    application/json      {"rows": [{…}, …], "deadline_ms": 50, "id": "…"}
          application/x-ndjson  one object a line
          text/csv              a line of field names, then one row a line
          application/vnd.apache.arrow.stream
    out   application/json, application/x-ndjson, application/vnd.apache.arrow.stream, by `Accept`

Where the form has no place for the deadline and the caller's id, they come as headers; see docs/reference/scoring.md.
"""

from collections.abc import Callable
from importlib import import_module

import msgspec

from muster.packaging.columns import Table
from muster.serving.errors import AnswerFormUnknown, FormUnknown, RequestMalformed
from muster.serving.front.compiled import compiled
from muster.serving.front.delimited import read_csv, read_lines
from muster.serving.front.forms import ARROW, CSV, JSON, JSON_NAMES, NDJSON, Asked, is_utf8, media_type, preferred
from muster.serving.plan import Plan
from muster.wire.inference import ScoreRequest

_read = msgspec.json.Decoder(ScoreRequest)


def _read_arrow(plan: Plan, body: bytes) -> Table:
    """Rows as Arrow; its library is loaded by the first caller who sends them, as a front without it is a fifth smaller."""
    table: Table = import_module("muster.serving.front.arrow").read_arrow(plan, body)
    return table


_OTHER_FORMS: dict[bytes, Callable[[Plan, bytes], Table]] = {
    NDJSON: read_lines,
    b"application/ndjson": read_lines,
    b"application/jsonl": read_lines,
    CSV: read_csv,
    ARROW: _read_arrow,
}
_ANSWER_FORMS = (JSON, NDJSON, ARROW)
_TEXTS = JSON_NAMES | {NDJSON, CSV}


def read(plan: Plan, body: bytes, content_type: bytes | None = None) -> Asked:
    """The checked request in a body.

    Args:
        plan: under which it is asked.
        body: the whole body, as it was before any `Content-Encoding`.
        content_type: the header `Content-Type`; None: JSON.

    Raises:
        FormUnknown: the content type is none that this form has.
        RequestMalformed: the body is not of the form that its content type names.
        ContractBroken: its rows do not keep the contract.
    """
    name, parameters = media_type(content_type)
    if parameters and name in _TEXTS and not is_utf8(parameters):
        raise FormUnknown("text comes in UTF-8; the body is in another charset")
    if not name or name in JSON_NAMES:
        return _read_json(plan, body)
    reader = _OTHER_FORMS.get(name)
    if reader is None:
        known = ", ".join(form.decode() for form in (JSON, NDJSON, CSV, ARROW))
        raise FormUnknown(f"the body is {name[:80].decode('latin-1')!r}; rows come as {known}")
    return Asked(reader(plan, body))


def answer_form(accept: bytes | None) -> bytes:
    """The media type of the answer; ask before scoring, so that nothing is computed for nobody.

    Raises:
        AnswerFormUnknown: the caller takes none that there is.
    """
    form = preferred(accept, _ANSWER_FORMS)
    if form is None:
        known = ", ".join(form.decode() for form in _ANSWER_FORMS)
        raise AnswerFormUnknown(f"answers come as {known}")
    return form


def _read_json(plan: Plan, body: bytes) -> Asked:
    usual = compiled(plan).records(body)
    if usual is not None:
        request, table = usual
    else:
        try:
            request = _read.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RequestMalformed(
                f'the body is not of the form {{"rows": [{{…}}, …], "deadline_ms": 50}}: {error}'
            ) from error
        table = None
    deadline_ms = request.deadline_ms
    if deadline_ms is not None and deadline_ms <= 0:
        raise RequestMalformed(f"deadline_ms is {deadline_ms!r}; it is a number of milliseconds above 0")
    if table is None:
        table = plan.checker.check_records(request.rows)
    return Asked(table, request.id, None if deadline_ms is None else deadline_ms / 1000)
