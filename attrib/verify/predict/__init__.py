"""Predictions: the saving of a change as far as the profile shows it, written down before anything is measured."""
