"""Is the active config of an engine becoming worse than its own evidence? Asked every day, at one total error."""
