"""One way a file to find the call that a node came from; `registry` holds them in the order in which they are tried."""
