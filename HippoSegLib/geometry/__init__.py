"""Orientation, the pose of the head, regions of interest, resampling: all that uses direction matrices."""
