"""One file a way to find the call that a node came from; `registry` holds them in the order in which they are tried.

A matcher sees what is still open and returns links. It knows neither regions nor the other matchers.
"""
