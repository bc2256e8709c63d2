"""What stands between Slicer and HippoSegLib; see the project's README."""
