"""Running both engines: the only layer that may import them."""
