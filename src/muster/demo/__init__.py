"""The story of a factory, played for real: `muster demo`.

It stands above every other room and is used by none: it starts a factory as a user would, with `muster init` and `muster up`,
and plays three people through the Python client and plain HTTP. Each chapter is a module: `lab`, `governance`, `scoring`,
`faults`, `evidence`; `load` sends the requests, `story` has the order. A step claims things, and every claim is checked in the run
itself: one that does not hold ends the demo with a non-zero exit code. All figures are measured, none is written down.
"""
