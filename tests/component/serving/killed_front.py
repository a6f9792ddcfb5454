"""A front that is killed at a chosen line: `python killed_front.py HOME POINT`, with POINT `claimed` or `recorded`.

It carries out one keyed request with real claims and a real spool, tells the request's id, and dies by SIGKILL.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from keyed_requests import PLAN, CountingEndpoints, asked, table_of
from muster.archive.finder import Finder
from muster.archive.segments import SegmentWriter, encode
from muster.packaging.columns import Table
from muster.serving.claims import Claims
from muster.serving.endpoint import Scored
from muster.serving.idempotency import Idempotency
from muster.serving.plan import Plan
from muster.vocabulary.request_ids import request_id_text
from muster.wire.records import Decided


class KilledEndpoints(CountingEndpoints):
    """Endpoints of a front that does not live to see the answer."""

    def __init__(self, writer: SegmentWriter, point: str) -> None:
        super().__init__(self._write)
        self._writer = writer
        self._point = point
        self.segment = writer.segment

    def _write(self, decided: Decided) -> None:
        self._writer.write([encode(decided)])
        self._die()

    async def score(self, plan: Plan, table: Table, **options: Any) -> Scored:
        sys.stdout.write(request_id_text(options["request_id"]) + "\n")
        sys.stdout.flush()
        if self._point == "claimed":
            self._die()
        return await super().score(plan, table, **options)

    @staticmethod
    def _die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)


async def main(home: Path, point: str) -> None:
    """Carry one request out, as far as it goes."""
    writer = SegmentWriter(home / "spool", 0)
    endpoints = KilledEndpoints(writer, point)
    front = Idempotency(endpoints.as_endpoints(), Claims(home / "claims"), Finder(home))
    await front.score("key", PLAN, table_of(1.0), **asked(deadline_s=3600.0))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
