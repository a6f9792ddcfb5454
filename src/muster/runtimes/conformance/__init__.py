"""The conformance kit: what every host has to do, in whatever language its model is written.

`kit.conform` runs the cases over one bundle and tells of each whether it passed. The cases that a bundle's own contract does not
reach need the echo model (`echo`), which every helper library has: it gives back what it was given.
"""
