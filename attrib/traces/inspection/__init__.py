"""What one trace holds, as data: `attrib inspect`."""
