"""A front that follows control tells every process of control what it has done, also one that came between two polls."""

import asyncio
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec

from muster.serving.front.follow import Follower
from muster.wire.plans import PROCESS_HEADER, Publications


class Reporting:
    """As much of a front's endpoints as following needs: counts how often they report again."""

    def __init__(self) -> None:
        self.reported = 0

    def report_again(self) -> None:
        self.reported += 1


async def followed(folder: Path, processes: list[str]) -> list[int]:
    """How often had been reported again after each poll; each is answered by the named process of control, without a break."""
    endpoints, seen = Reporting(), []
    asked = iter(processes)
    ended = asyncio.Event()

    async def answer(_: httpx.Request) -> httpx.Response:
        seen.append(endpoints.reported)
        process = next(asked, None)
        if process is None:
            ended.set()
            await asyncio.Event().wait()
        return httpx.Response(
            200, headers={PROCESS_HEADER: str(process)}, content=msgspec.json.encode(Publications(0, ()))
        )

    follower = Follower(url="http://control", token="t", front="front-0", cache=folder / "cache.json")
    await follower._client.aclose()
    follower._client = httpx.AsyncClient(base_url="http://control", transport=httpx.MockTransport(answer))
    follower.start(cast("Any", endpoints), cast("Any", None), lambda: None)
    await asyncio.wait_for(ended.wait(), 10)
    await follower.close()
    return seen[1:]


def test_another_process_of_control_is_told_what_was_reported(tmp_path: Path) -> None:
    """Once when control is reached, once for each process that answers in its place; never again to the same."""
    assert asyncio.run(followed(tmp_path, ["a", "a", "b", "b", "b", "c"])) == [1, 1, 2, 2, 2, 3]
