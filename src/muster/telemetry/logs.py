"""Logs as JSON lines: the event in past tense, facts as fields, the process's name bound once."""

import contextlib
import logging
import sys
from typing import TextIO, cast

import structlog


class _Forgiving:
    """A stream that drops what cannot be written: a full disk, or a file closed at the end, must not end the process that says so."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write if that can be done; gives the number of characters either way."""
        with contextlib.suppress(OSError, ValueError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush if that can be done."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def set_up_logs(process: str, *, level: int = logging.INFO, to: TextIO | None = None) -> None:
    """Have this process log one JSON object per line; without it logs would go to stdout, which belongs to a command's document.

    Args:
        process: its kind and number, `front-0`.
        level: events below it are left out.
        to: where to; None: stderr.
    """
    stream = cast("TextIO", _Forgiving(sys.stderr if to is None else to))
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
        cache_logger_on_first_use=False,  # a process may be set up twice, and what is logged is seldom
    )
    structlog.contextvars.bind_contextvars(process=process)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=structlog.processors.JSONRenderer())
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
