"""What came of an experiment: how many of which people did what, with intervals that may be looked at every day."""
