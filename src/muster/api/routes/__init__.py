"""One module per kind of thing; each handler decodes, calls one service and encodes what comes back."""
