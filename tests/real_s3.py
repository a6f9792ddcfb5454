"""An object store that speaks S3: moto's server, as a process of its own."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def running_s3() -> Iterator[str]:
    """The address of a server that lives as long as the block."""
    command = [sys.executable, "-u", "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    with server:  # closes the pipe and waits
        try:
            said = []
            for line in server.stderr:
                said.append(line)
                if "Running on " in line:
                    break
            else:
                raise RuntimeError(f"moto's server did not start:\n{''.join(said)}")
            # It logs every request: nobody reading, it would stand still once the pipe is full.
            reader = threading.Thread(target=server.stderr.read)
            reader.start()
            yield said[-1].split("Running on ")[1].strip()
        finally:
            server.terminate()
        reader.join()
