"""Gates: evidence in, a verdict with its findings out. Pure: no clock, no database, no draw that is not seeded."""
