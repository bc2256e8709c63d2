"""The sample scan that came with HippoSeg, offered by the Sample Data module; no internet needed."""

from __future__ import annotations

import pathlib

from HippoSegLib.models.store import bundled_folder

SAMPLE_NAME, NODE_NAME = "HippoSeg sample head", "HippoSegSample"
FILE_NAME = "hipposeg_sample_T1.nii.gz"
SHA256 = "b443b0026ae376d0bc1e861df41a3b5276ff37138fca1d045e3d9977b5581a56"


def sampleFile() -> pathlib.Path:
    """The sample's file, beside the models."""
    return bundled_folder().parent / "SampleData" / FILE_NAME


def registerSampleData(thumbnail: str) -> None:
    """Register the sample; does nothing where the Sample Data module is switched off.

    Args:
        thumbnail: Path of its picture.
    """
    try:
        import SampleData
    except ImportError:
        return
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="HippoSeg",
        sampleName=SAMPLE_NAME,
        thumbnailFileName=thumbnail,
        uris=sampleFile().as_uri(),
        fileNames=FILE_NAME,
        nodeNames=NODE_NAME,
        checksums=f"SHA256:{SHA256}",
        loadFileType="VolumeFile",
    )
