"""Records and papers rendered as self-contained HTML."""
