"""A result as DICOM objects for an archive (PACS): a segmentation and a report of measurements.

They belong to the patient and study of the series that was segmented, and carry that identity: the only
output of HippoSeg that does, and only where it is asked for.
"""
