"""How each format of trace becomes an event table."""
