"""BIDS data sets: which scans are meant, and results as a BIDS derivative."""
