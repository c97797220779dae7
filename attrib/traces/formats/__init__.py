"""How each format of trace becomes a recording."""
