"""Logs as JSON lines on stderr: the event in past tense, facts as fields, the process's name bound once."""

import contextlib
import logging
import sys
from typing import TextIO, cast

import structlog


class _Forgiving:
    """A stream that drops what cannot be written: a full disk must not end the process that says so."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


def set_up_logs(process: str, *, level: int = logging.INFO) -> None:
    """Send this process's logs to stderr, one JSON object per line.

    Args:
        process: its kind and number, `front-0`.
        level: events below it are left out.
    """
    stream = cast("TextIO", _Forgiving(sys.stderr))
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=structlog.processors.JSONRenderer())
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
