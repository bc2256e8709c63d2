"""Comparing segmentations with reference labels: pairing, label values, the comparison, tables, pictures."""
