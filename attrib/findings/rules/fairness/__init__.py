"""Rules about the comparison itself: whether both engines did the same work, and how well it was measured."""
