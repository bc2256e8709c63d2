"""The panel's worker process and its tasks."""
