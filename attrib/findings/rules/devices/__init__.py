"""Rules about where nodes ran and what waited for what."""
