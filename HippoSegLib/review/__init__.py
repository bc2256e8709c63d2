"""The review page: one HTML file in an output folder, to look at every result and say pass or fail."""
