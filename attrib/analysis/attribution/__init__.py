"""From events to an exact partition of each step, and from two partitions to one ledger."""
