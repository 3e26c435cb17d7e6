"""The read side: how complete a programme is, as of when, and what just happened."""
