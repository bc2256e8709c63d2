"""Which scans a call means: in files, lists, folders, DICOM trees and BIDS data sets."""
