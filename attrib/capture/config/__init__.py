"""What a capture is asked to do, and the checks that need no engine."""
