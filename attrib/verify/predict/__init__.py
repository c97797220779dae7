"""What the profile says a change will save, written down before anything is measured."""
