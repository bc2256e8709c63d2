"""What follows from the label maps: volumes, flags, quality score, provenance, the QC figure."""
