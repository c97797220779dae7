"""The machine and its software: processors, load, providers, interpreters, and what they can do at most."""
