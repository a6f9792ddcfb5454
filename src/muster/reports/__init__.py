"""Pages for people: the report of a certification, the card of a model; each one file that needs nothing beside it.

Pure: documents of `wire` go in, HTML or Markdown comes out. Knows no service and reads no clock, no file of a home, no network.
Whatever else shows the same documents could take its place.
"""
