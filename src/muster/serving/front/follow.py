"""Following control: a long poll that brings plans and access list, reports that go back, and the cache that starts a front alone.

The file is only the cache: control's word always replaces it. It is written before a publication is applied, so that a front which
is killed starts with what it last served.
"""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import httpx
import msgspec
import structlog

from muster.serving.endpoint import Endpoints
from muster.serving.front.tokens import Tokens
from muster.vocabulary.clock import SystemClock, rfc3339
from muster.wire.plans import PROCESS_HEADER, AccessList, FrontReport, Publication, Publications, Shadow

_WAIT_S = 4.0
_AGAIN_AFTER_S = 0.2
_AGAIN_AT_MOST_S = 3.0
log = structlog.get_logger()


class Follower:
    """Keeps one front up to date.

    Args:
        url: control's address.
        token: the fronts' service token.
        front: this front's name.
        cache: the file to start from when control is away; mode 0600.
    """

    def __init__(self, *, url: str, token: str, front: str, cache: Path) -> None:
        self._front = front
        self._cache = cache
        self._held: dict[str, Publication] = {}
        self._number = 0
        self._numbers: dict[str, int] = {}
        self._contact = time.monotonic()
        self._reports: asyncio.Queue[FrontReport] = asyncio.Queue()
        self._client = httpx.AsyncClient(
            base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=httpx.Timeout(_WAIT_S + 10, connect=5)
        )
        self._process = ""
        self._has_cache = False
        self._tasks: list[asyncio.Task[None]] = []
        self._endpoints: Endpoints | None = None
        self._tokens: Tokens | None = None
        self._informed: Callable[[], None] = lambda: None

    def offline_s(self) -> float:
        """How long control has not been reached, seconds."""
        return time.monotonic() - self._contact

    def report(
        self,
        endpoint: str,
        release: int,
        state: Literal["loaded", "golden_failed", "load_failed", "serving"],
        message: str,
    ) -> None:
        """Tell control, as soon as it can be reached."""
        now = rfc3339(SystemClock().now())
        number = self._numbers.get(endpoint, 0)
        self._reports.put_nowait(FrontReport(self._front, endpoint, release, state, now, message, number))

    def report_shadow(
        self, endpoint: str, shadow: Shadow, state: Literal["loaded", "golden_failed", "load_failed"], message: str
    ) -> None:
        """Tell control of a version on trial, as soon as it can be reached."""
        now = rfc3339(SystemClock().now())
        number = self._numbers.get(endpoint, 0)
        report = FrontReport(self._front, endpoint, shadow.release, state, now, message, number, shadow.live_test)
        self._reports.put_nowait(report)

    def start(self, endpoints: Endpoints, tokens: Tokens, informed: Callable[[], None]) -> None:
        """Apply the cache, then follow; `informed` is called once there is something to serve by."""
        self._endpoints, self._tokens, self._informed = endpoints, tokens, informed
        self._read_cache()
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._follow_for_ever(), name="control.follow"),
            loop.create_task(self._report_for_ever(), name="control.report"),
        ]

    async def close(self) -> None:
        """Stop following."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    async def _follow_for_ever(self) -> None:
        pause_s = _AGAIN_AFTER_S
        reached, reported_to = False, ""
        while True:
            try:
                news = await self._poll(0 if not reached else _WAIT_S)
                self._contact = time.monotonic()
                self._take(news)
            except Exception as error:  # noqa: BLE001 - whatever control says, a front goes on asking
                if reached:
                    log.warning("control.lost", error=repr(error))
                reached = False
                if self._has_cache:  # control is away: what was last heard is good enough to begin with
                    self._informed()
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 1.5, _AGAIN_AT_MOST_S)
                continue
            if not reached:
                log.info("control.reached", number=news.number)
                pause_s = _AGAIN_AFTER_S
            # Another process has never heard our reports. One that was killed between two polls breaks neither of them.
            if self._endpoints is not None and (not reached or self._process != reported_to):
                self._endpoints.report_again()
            reached, reported_to = True, self._process

    async def _poll(self, wait_s: float) -> Publications:
        response = await self._client.get(
            "/api/v1/follow", params={"front": self._front, "after": self._number, "wait": wait_s}
        )
        response.raise_for_status()
        self._process = response.headers.get(PROCESS_HEADER, "")
        return msgspec.json.decode(response.content, type=Publications)

    def _take(self, news: Publications) -> None:
        if news.number < self._number:  # control's database was put back: begin again with its word
            log.warning("control.went_back", had=self._number, number=news.number)
            self._number = 0
            self._held.clear()
            assert self._endpoints is not None
            self._endpoints.begin_again()
            return
        if news.publications:
            self._held.update({publication.subject: publication for publication in news.publications})
            self._write_cache(news.number)
        self._number = news.number
        for publication in news.publications:
            self._apply(publication)
        self._informed()

    def _apply(self, publication: Publication) -> None:
        assert self._endpoints is not None
        assert self._tokens is not None
        document = publication.document
        if isinstance(document, AccessList):
            self._tokens.replace(document)
            return
        self._numbers[document.endpoint] = publication.number
        try:
            self._endpoints.apply(document, publication.number)
        except Exception as error:  # a plan this front cannot read must not stop it from following
            log.exception("plan.unusable", endpoint=document.endpoint)
            if document.loading is not None:
                self.report(
                    document.endpoint, document.loading.release, "load_failed", f"the plan is unusable: {error}"
                )

    async def _report_for_ever(self) -> None:
        while True:
            report = await self._reports.get()
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    response = await self._client.post(
                        "/api/v1/fronts/reports",
                        content=msgspec.json.encode(report),
                        headers={"content-type": "application/json"},
                    )
                    if not response.is_server_error:
                        if response.is_error:
                            log.error("report.refused", status=response.status_code, body=response.text[:500])
                        break
                await asyncio.sleep(_AGAIN_AFTER_S)

    # The cache.

    def _read_cache(self) -> None:
        try:
            cached = msgspec.json.decode(self._cache.read_bytes(), type=Publications)
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError) as error:
            log.error("cache.unreadable", path=str(self._cache), error=str(error))
            return
        log.info("cache.read", number=cached.number)
        for publication in cached.publications:
            self._held[publication.subject] = publication
            self._apply(publication)
        self._number = cached.number
        self._has_cache = True

    def _write_cache(self, number: int) -> None:
        content = msgspec.json.encode(Publications(number, tuple(self._held.values())))
        try:
            handle, name = tempfile.mkstemp(dir=self._cache.parent, prefix=".publications-")
            with os.fdopen(handle, "wb") as stream:  # mkstemp gives mode 0600
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).replace(self._cache)
        except OSError as error:  # serving goes on; only a start without control would miss this
            log.error("cache.not_written", path=str(self._cache), error=str(error))
