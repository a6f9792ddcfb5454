"""Questions about the data of a version: what it refers to, and whether the answers leaked into what it was given."""
