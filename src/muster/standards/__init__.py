"""Standards: what a project asks of its models, as one versioned document that changes under four eyes.

The room reads the document (`document`), keeps its versions and changes them through a gate (`service`), and says what a bundle and
its evidence lack by it (`evaluation`, pure, the same in the lab and in the factory). It knows nothing of releases, nor how a check
is carried out: it is told what a certificate says.
"""
