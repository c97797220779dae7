"""What work has to do at least, and how far a row is from what the machine can do."""
