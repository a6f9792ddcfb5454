"""From a fitted model to an answered, recorded, replayed request, in Python alone.

It starts a factory for one person in a folder of its own, on free ports, and ends it again. In a factory of several people
`accept` and `approve` are somebody else's, with a token of their own.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

import muster

folder = Path(tempfile.mkdtemp())

# In the lab.
X, y = load_diabetes(return_X_y=True, as_frame=True)
model = Ridge().fit(X, y)
bundle = muster.save(model, folder / "bundle", name="progression", sample=X, output="progression", owner="ana")

# A factory.
MUSTER = [sys.executable, "-m", "muster"]
made = subprocess.run([*MUSTER, "init", "--solo", folder / "home", "--json"], check=True, capture_output=True)
token = json.loads(made.stdout)["token"]
starting = [
    *MUSTER,
    "up",
    "--home",
    folder / "home",
    "--port",
    "0",
    "--scoring-port",
    "0",
    "--grpc-port",
    "0",
    "--json",
]
running = subprocess.Popen(starting, stdout=subprocess.PIPE)
try:
    said = ""
    while not said.endswith("}\n"):  # one JSON document, printed once the factory answers
        line = running.stdout.readline().decode()
        if not line:
            sys.exit("the factory did not come up")
        said += line
    addresses = json.loads(said)

    with muster.connect(addresses["control"], token) as factory:
        version = factory.register(bundle)
        verdict = factory.certify(version)
        for check in verdict.checks:
            print("passed" if check.passed else "FAILED", check.name, check.figure)
        factory.accept(version, reason="an example")
        release = factory.propose("progression", champion=version, deadline="300ms", reason="an example")
        live = factory.approve("progression", release.release, reason="an example")
        print("release", live.release, "is", live.state)

        with muster.scorer(addresses["scoring"], token) as scorer:
            scored = scorer.score("progression", X.head(3))
        print(scored["progression"], scored.variants, scored.reasons)
        assert abs(scored["progression"][0] - model.predict(X.head(1))[0]) < 1e-9

        record = factory.request(scored.request_id)
        print("answered after", record.elapsed_ms, "ms; replayed:", factory.replay(scored.request_id).identical)
        print("audit chain whole:", factory.audit_verify().valid)
finally:
    running.terminate()
    running.wait()
