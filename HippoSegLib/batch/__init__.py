"""Many scans, one output folder."""
