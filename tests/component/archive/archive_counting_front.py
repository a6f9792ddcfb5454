"""A front that counts and records until it is killed, for the kill tests.

    python archive_counting_front.py ARCHIVE SEED

Each line is what it has done so far, as JSON, printed only after it was done.
"""

import json
import random
import sys
import threading
import time
from pathlib import Path

from archive_writer import made_decided

from muster.archive.layout import encode
from muster.archive.segments import SegmentWriter
from muster.vocabulary.request_ids import RequestIds


def main(archive: Path, seed: int) -> None:
    """Count until killed."""
    chance = random.Random(seed)
    writer = SegmentWriter(archive / "spool", 0, segment_bytes=100_000)
    ids = RequestIds(0)
    account = writer.account("churn")

    def file_away() -> None:
        while True:
            writer.rotate_if_due()
            time.sleep(0.002)

    threading.Thread(target=file_away, daemon=True).start()
    done = {"received": 0, "recorded": 0, "dropped": 0, "refused": 0}
    while True:
        batch = [made_decided(ids.next(writer.segment)) for _ in range(chance.randint(1, 20))]
        account.received(len(batch) + 2)
        done["received"] += len(batch) + 2
        account.dropped(1)
        done["dropped"] += 1
        account.refused(1)
        done["refused"] += 1
        writer.write([encode(event) for event in batch], [(account, len(batch))])
        done["recorded"] += len(batch)
        sys.stdout.write(json.dumps(done) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
