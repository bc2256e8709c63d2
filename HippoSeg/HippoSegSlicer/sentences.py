"""The core's sentences in the user's language.

The core knows nothing of Slicer: its errors, flags and stages come in English, with codes. The sentences
stand here as literals, for the tools that collect what is to be translated; a test holds them and the core
together.
The tuple is written by Testing/slicer_module/core_sentences.py.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from slicer.i18n import tr

from HippoSegLib.errors import HippoSegError


def errorText(error: HippoSegError) -> str:
    """Cause and remedy of an error, in the user's language."""
    return f"{translated(error.cause)} {translated(error.remedy)}".strip()


def translated(text: str) -> str:
    """A sentence of the core in the user's language; as it is where there is no translation."""
    for pattern, local in _patterns():
        if found := pattern.fullmatch(text):
            return re.sub(r"\{(\d+)\}", lambda place: found[f"v{place[1]}"], local)
    return text


@functools.lru_cache(maxsize=1)
def _patterns() -> list[tuple[re.Pattern, str]]:
    """What an English sentence looks like, whatever values stand in it, and its translation."""
    pairs = zip(sentences(lambda text: text), sentences(tr), strict=True)
    found = [(english, local) for english, local in pairs if english != local]
    # The one with the most words of its own is tried first.
    found.sort(key=lambda pair: -len(re.sub(r"\{\d+\}", "", pair[0])))
    return [(re.compile(_pattern(english), re.DOTALL), local) for english, local in found]


def _pattern(english: str) -> str:
    parts = re.split(r"\{(\d+)\}", english)
    return "".join(
        f"(?P<v{part}>.*?)" if number % 2 else re.escape(part) for number, part in enumerate(parts)
    )


def sentences(_: Callable[[str], str]) -> tuple[str, ...]:
    """All sentences, each given to a function; {0}, {1} … stand for what is put in."""
    return (
        _("'{0}' cannot be opened."),
        _("'{0}' cannot be read ({1})."),
        _("'{0}' cannot be read: its data file '{1}' is missing."),
        _("'{0}' cannot be replaced ({1})."),
        _("'{0}' cannot be used as {1} ({2})."),
        _("'{0}' cannot be written ({1})."),
        _("'{0}' cannot be written."),
        _("'{0}' does not exist."),
        _("'{0}' does not fit into memory."),
        _("'{0}' does not say how the head lies in it (goodRASFlag): left and right cannot be told."),
        _("'{0}' does not say how the head lies in it (no qform, no sform): left and right cannot be told."),
        _("'{0}' does not say how the head lies in it ({1}): left and right cannot be told."),
        _("'{0}' does not state its voxel size (delta)."),
        _("'{0}' does not state its voxel size (pixdim is {1})."),
        _("'{0}' does not state its voxel size (pixdim)."),
        _("'{0}' does not state {1} (no {2})."),
        _("'{0}' exists already."),
        _("'{0}' has axes that are not at right angles (a sheared sform)."),
        _("'{0}' has axes that are not at right angles."),
        _("'{0}' has no label under derivatives/."),
        _("'{0}' has no suffix that is written here."),
        _("'{0}' has none of the label map's values; the values there are: {1}."),
        _("'{0}' has {1} labels under derivatives/."),
        _("'{0}' holds NIfTI, but its name does not say so."),
        _("'{0}' holds a search on other cases, another base model or other fixed settings."),
        _("'{0}' holds an unsupported kind of number (NIfTI datatype {1})."),
        _("'{0}' holds colours or vectors."),
        _("'{0}' holds complex numbers."),
        _("'{0}' holds files that HippoSeg did not make: it is no {1}."),
        _("'{0}' holds more data than its header states: they do not belong together."),
        _("'{0}' holds the header of a pair alone; its voxels are in another file."),
        _("'{0}' in the output folder is another table."),
        _("'{0}' in the output folder is not known to be HippoSeg's: no record names it."),
        _("'{0}' is 4D: it holds several volumes or layers."),
        _("'{0}' is 4D: it holds several volumes."),
        _("'{0}' is 4D: it holds {1} volumes."),
        _("'{0}' is a 2D image."),
        _("'{0}' is a result of HippoSeg, not a scan."),
        _("'{0}' is a single NIfTI file."),
        _("'{0}' is a {1} of HippoSeg, and no {2}."),
        _("'{0}' is a {1}D image."),
        _(
            "'{0}' is an Analyze file, which cannot say how the head lies in it: left and "
            "right cannot be told."
        ),
        _("'{0}' is damaged: {1}."),
        _("'{0}' is not a folder."),
        _("'{0}' is not a readable FreeSurfer file."),
        _("'{0}' is not a readable MetaImage file: damaged, truncated or of another kind."),
        _("'{0}' is not a readable NRRD file."),
        _("'{0}' is not of a kind that is read here."),
        _("'{0}' is not one 3D image of grey values."),
        _("'{0}' is not the name of a file."),
        _("'{0}' is one DICOM file."),
        _("'{0}' is one file of a pair; the file with its {1} is missing."),
        _("'{0}' is truncated: part of the image is missing."),
        _("'{0}' is {1}, not a file that holds a scan."),
        _("'{0}' is {1}, which is not read here."),
        _("'{0}' is {1}, which is read only where the package nibabel is installed."),
        _("'{0}' labels neither side where a hippocampus was found."),
        _("'{0}' names its data file as '{1}', which is no plain name of a file in its folder."),
        _("'{0}' states an impossible image size (dim)."),
        _("'{0}' states an impossible image size."),
        _("'{0}' states an impossible place of its voxels (vox_offset {1})."),
        _("'{0}' states an unusable {1}: '{2}'."),
        _("'{0}' states its voxel size twice (spacings and space directions)."),
        _("'{0}' states two different voxel sizes (pixdim and sform)."),
        _("'{0}' states {1} voxels, more than are read here ({2} million of {3} bits)."),
        _("A file that was to be exchanged with the worker has no valid name."),
        _("A result for '{0}' exists in the output folder."),
        _("A scan was given twice."),
        _("A segmentation is already running."),
        _("Add a row for each case."),
        _(
            "An antivirus program or a missing Microsoft Visual C++ runtime is the usual "
            "cause: install the runtime, allow PyTorch's libraries, then start again."
        ),
        _("Another process is at work in the run folder '{0}'."),
        _("Another process keeps the output folder '{0}' for itself."),
        _("CLAHE clip limit {0} is impossible."),
        _("CLAHE kernel {0} is impossible."),
        _("Change its permissions, or close the table in other programs."),
        _("Change steps and parameters, not the number of channels."),
        _("Check its header, or resample the scan to larger voxels."),
        _("Check its permissions."),
        _("Check its spacing and axes in Volumes."),
        _("Check that it shows a head; if it does, mark both hippocampi and go on from there."),
        _("Check that security software does not block Slicer's Python, then try again."),
        _("Check that the folder exists, is writable and has space left."),
        _("Check the cases."),
        _("Check the folder's permissions and free space."),
        _("Check the pairs and the label map, or train nevertheless."),
        _("Check the path and the drive."),
        _("Check the path."),
        _("Check the voxel size in the header (the unit is mm), or give another scan."),
        _("Checking the image"),
        _("Choose a T1 volume of the head."),
        _("Choose a folder you may write to."),
        _("Choose a folder, or segment volumes in the scene by hand."),
        _("Choose a grey-value T1 volume."),
        _("Choose a model that does without it."),
        _("Choose a model trained with it, or give the channels in full."),
        _("Choose a new or an empty folder."),
        _("Choose an output folder elsewhere."),
        _("Choose another folder, change its permissions, or free disk space."),
        _("Choose another folder, or allow overwriting."),
        _("Choose another folder, or change its permissions."),
        _("Choose another folder."),
        _("Choose another one."),
        _("Choose another output folder, or allow overwriting."),
        _("Choose another output folder."),
        _("Choose another place."),
        _("Choose cpu as the device, or the engine torch."),
        _("Choose one of: auto, {0}."),
        _("Choose one of: {0}."),
        _("Choose one with NIfTI, NRRD or DICOM files."),
        _("Choose the T1 volume itself."),
        _("Choose the browser of a volume sequence."),
        _("Click again; if it repeats, copy the report and send it to the developers."),
        _("Click again; where memory is scarce, close other programs first."),
        _("Close it in other programs, check the disk, and give the command again."),
        _("Close it in other programs."),
        _("Close other programs, or choose cpu as the device."),
        _("Close other programs, or choose the CPU as the device, then click again."),
        _("Close other programs, or choose the CPU as the device, then try again."),
        _("Close other programs, or crop it."),
        _("Close other programs, or give a smaller or cropped image."),
        _("Close them in other programs, check the disk, and give the command again."),
        _("Convert it to 16-bit integers or 32-bit floats."),
        _("Convert it to NIfTI with dcm2niix and give that file."),
        _("Convert the scan again from DICOM (with dcm2niix), or give another copy of it."),
        _("Convert the scan again from DICOM to NIfTI (with dcm2niix)."),
        _("Convert the scan again from DICOM, or correct its header."),
        _("Convert the scan again from DICOM, or set its orientation in the header."),
        _("Convert the scan again from DICOM."),
        _("Convert the scan again with mri_convert."),
        _("Convert the scan again, or correct its header."),
        _("Convert the scan again."),
        _("Copy or export the scan again."),
        _("Copy or export the series again, or convert it to NIfTI with dcm2niix."),
        _("Copy or export the series again."),
        _("Copy or export the series again; if it is no slice, move it out of the folder."),
        _("Copy the report and send it to the developers."),
        _("Copy the report, which holds what it said last, and send it to the developers."),
        _("Correct the cases."),
        _("Correct the labels."),
        _("Correct them, or leave them out."),
        _("Device '{0}' cannot be used: {1}."),
        _("Device '{0}' is not available here."),
        _(
            "Each of the {0} DICOM slices has a series UID of its own; they agree in number, "
            "grid, orientation and frame of reference and were read as one series."
        ),
        _("Engine '{0}' is not known."),
        _("Exchange them; left is the patient's left."),
        _("Export one volume, the T1 image, or convert it to NIfTI with dcm2niix and give that file."),
        _("Export one volume, the T1 image, to a folder of its own."),
        _("Export or convert the scan again."),
        _("Export the complete series again."),
        _("Export the original series again."),
        _("Export the scan again without a mask or division that creates them."),
        _("Export the series again."),
        _("Finding the hippocampi"),
        _("Folds, validation fraction or augmentation are impossible."),
        _("For this system there is no build of {0} {1} or later"),
        _("Free disk space in the folder for temporary files, then try again."),
        _("Free disk space, or choose another folder."),
        _("Free some space, or choose another place."),
        _("Give NIfTI (.nii, .nii.gz), NRRD, MetaImage (.mha, .mhd), .mgz or a folder with a DICOM series."),
        _("Give a 3D T1 image of the head."),
        _("Give a 3D T1 image of the whole head."),
        _("Give a CSV file with the columns case, subject, side."),
        _("Give a T1 image of the head."),
        _("Give a T1 scan of the whole head."),
        _(
            "Give a folder with images/ and labels/ (files of the same names), a BIDS folder "
            "with derivatives/, or a pattern each for scans and labels."
        ),
        _("Give a grey-value T1 image."),
        _("Give a model folder (with {0}) or one of: {1}."),
        _("Give a whole head; if this is the crop of one hippocampus, say so, and of which side."),
        _("Give an evenly spaced T1 series."),
        _("Give another name."),
        _("Give another name: a model is never overwritten."),
        _("Give at least one channel."),
        _("Give both."),
        _("Give cases to train on."),
        _("Give crops and their side, or choose a model for whole heads."),
        _("Give it anew."),
        _("Give its T1w files (sub-*/anat/*_T1w.nii.gz); several can be given at once."),
        _("Give one 3D region."),
        _("Give one inside each."),
        _("Give one volume, the T1 image."),
        _("Give one volume."),
        _("Give the T1 image itself."),
        _("Give the T1 series itself, or resample it to larger voxels."),
        _("Give the T1 series itself."),
        _("Give the crop of one hippocampus, or segment it as a whole head."),
        _("Give the file of the scan."),
        _("Give the folder of each patient's T1 series; several folders can be given at once."),
        _("Give the folder that holds the slices of the T1 series."),
        _("Give the folder that holds the slices themselves."),
        _("Give the folder with all slices of the series."),
        _(
            "Give the folder with the slices of one series, or the T1 scans themselves; "
            "several can be given at once."
        ),
        _("Give the magnitude image."),
        _("Give the pair's .hdr file, with the .img file beside it."),
        _("Give three sizes in voxels (z, y, x), from 1 to {0}."),
        _("Harden it first (Data module: right-click the transform icon of the volume, Harden transform)."),
        _("If it is a head, give a point inside each hippocampus."),
        _("If it repeats, send the report to the developers."),
        _("Install PyTorch, or choose another model."),
        _("Install Slicer again."),
        _(
            "Install it (in Slicer: the PyTorch extension; elsewhere: pip install torch); on "
            "Windows also the Microsoft Visual C++ runtime."
        ),
        _("Install it (pip install nibabel), or convert the scan with FreeSurfer's mri_convert to .nii.gz."),
        _('Install it with: pip install "hipposeg[train]".'),
        _('Install it: pip install "pydicom>=2.4".'),
        _('Install it: pip install "{0}".'),
        _("Install the extension 'PyTorch' in the Extensions Manager, restart Slicer, and click again."),
        _("It holds series {0}."),
        _("Label at least {0}, better 10 or more."),
        _("Learning rate {0}, batch size {1} or {2} epochs are impossible."),
        _("Leave it out."),
        _("Load it again, or choose another volume."),
        _("Load it again, segment anew."),
        _("Load it again, then click again."),
        _("Load the volume again."),
        _("Loading libraries"),
        _("Loading the model"),
        _("Memory ran out (device: {0})."),
        _("Memory ran out."),
        _("Min-max percentiles {0} and {1} are impossible."),
        _("Model '{0}' has format version {1}, this HippoSeg reads {2}."),
        _("Model '{0}' segments the crop of one hippocampus; it has no localiser that finds it in a head."),
        _("Model folder '{0}' exists."),
        _("Move it to another folder, or choose another output folder."),
        _("Move it to another folder: what was drawn by hand is never replaced."),
        _("Name each scan once."),
        _("Name one of {0}, with false or new parameters."),
        _("Name the label map."),
        _("Name the right values."),
        _("Name the segments by side (left, right), or choose a folder of files."),
        _("Name the side left or right."),
        _("No head with a brain was recognised in this image."),
        _("No hippocampus was found in the volume."),
        _("No hippocampus was found in this image."),
        _("No labelled scans are recognised in '{0}'."),
        _("No trial of the search came to an end."),
        _("No volume is chosen."),
        _("No {0} hippocampus was found."),
        _("None of the {0} cases can be used; the first: {1}"),
        _("NumberOfFrames is not a positive number in {0}."),
        _("Only one of the two patterns is given."),
        _(
            "PhotometricInterpretation differs between the slices of the DICOM series, or "
            "inverts slices that are rescaled differently."
        ),
        _("Points and boxes are for the sides left and right."),
        _("Preparing the regions"),
        _("Preprocessing change {0} cannot be understood."),
        _("Preprocessing differs from what the model was trained with: {0}."),
        _("Preprocessing needs a 3D image, not one of shape {0}."),
        _("Preprocessing step {0} has no parameter {1}."),
        _("Preprocessing step {0} is not known."),
        _("Preprocessing without channels."),
        _("Preprocessing {0} is not known."),
        _("Protocol '{0}' is not known."),
        _("Put both files into one folder."),
        _("Put header and data into one folder, or save the scan as one file (.nrrd, .mha, .nii.gz)."),
        _("Put the file with its {0} beside it, under the same name."),
        _("PyTorch is installed but does not load."),
        _("PyTorch is installed through Slicer's PyTorch extension, which is not here."),
        _("Read it with the same region setting."),
        _("Read the last lines of the log, restart Slicer and try again."),
        _("Reading case {0} of {1}"),
        _("Reinstall HippoSeg, or choose another model."),
        _("Remove it and install it again; if that does not help, restart the computer and see the log."),
        _("Remove or correct the transform."),
        _("Rename it so that it ends in .nii."),
        _("Replace them before preprocessing."),
        _("Resample it onto a rectangular grid first, or give the scan before registration."),
        _("Resample it with the Crop Volume module first."),
        _("Restart Slicer."),
        _("SCE-3DWT cannot use the factor {0}."),
        _("SCE-3DWT cannot use {0} levels with threshold {1}."),
        _("Say which by patterns for scans and labels."),
        _("Say which one to use by its number, or put it in a folder of its own."),
        _("Segment the volume first."),
        _(
            "Segmenting on the CPU works without it; fine-tune on another computer and choose"
            " the folder of the new model here."
        ),
        _(
            "Series {0} was read, the only one that can be a volume; other DICOM images in "
            "the folder, {1} in number, were left out (a localiser or a screenshot, perhaps)."
        ),
        _("Side '{0}' is not known."),
        _("Slicer's Python program (PythonSlicer) was not found."),
        _("State it, in the file's name (…_left, …_rh) or in a table."),
        _("The Analyze file states no orientation: axes are taken as left, anterior, superior."),
        _("The BIDS folder '{0}' has no T1w scans."),
        _(
            "The DICOM series contradicts itself: {0} holds values that need more bits than "
            "its BitsStored ({1})."
        ),
        _("The DICOM series does not state where its voxels lie: {0} is missing, or is not {1}, in {2}."),
        _("The DICOM series has gaps: {0} slice{1} missing (beside {2}, for example)."),
        _(
            "The DICOM series has slices that are shifted within their plane: {0} of {1}, by "
            "up to {2} mm (most of all {3})."
        ),
        _("The DICOM series has unevenly spaced slices (beside {0}, for example)."),
        _("The DICOM series has {0} million voxels, more than are read here ({1} million)."),
        _("The DICOM series has {0}: {1} and {2}, for example."),
        _("The DICOM series holds colour images."),
        _("The DICOM series holds floating-point pixel data."),
        _("The DICOM series holds {0} stacks of slices."),
        _("The DICOM series is a multi-frame file that does not state where each of its frames lies."),
        _("The DICOM series is a single slice."),
        _(
            "The DICOM series is damaged: the compressed pixel data of {0} are truncated, or "
            "do not have the size that Rows and Columns state."
        ),
        _(
            "The DICOM series is damaged: the file of {0} goes on after its pixel data with "
            "what is no DICOM element."
        ),
        _("The DICOM series is damaged: the pixel data of {0} cannot be read."),
        _("The DICOM series is damaged: {0} cannot be read and may be a slice of it."),
        _(
            "The DICOM series is damaged: {0} holds {1} bytes of pixel data; Rows, Columns "
            "and BitsAllocated describe only {2}."
        ),
        _("The DICOM series is damaged: {0} {1}; Rows, Columns and BitsAllocated describe {2}."),
        _("The DICOM series mixes slices of different frames of reference: the patient was moved."),
        _(
            "The DICOM series mixes slices of different size or orientation (a localiser, "
            "perhaps): {0} and {1} differ."
        ),
        _("The DICOM series stores its values inverted (MONOCHROME1); they were turned back."),
        _("The DICOM series was taken with a tilted gantry (the stack leans)."),
        _("The DICOM slices have axes that are not at right angles (ImageOrientationPatient)."),
        _("The DICOM slices lie {0} mm apart, but the series states {1} mm: slices may be missing."),
        _("The Python package optuna (searches for settings) is not installed or does not load."),
        _("The Python package pydicom (reads DICOM) is not installed."),
        _("The Python package {0} ({1}) is not installed."),
        _("The Python package {0} is installed but does not load ({1})."),
        _("The Python package {0} is installed but does not load."),
        _("The card of model '{0}' is damaged."),
        _("The card of model '{0}' is damaged: {1}."),
        _("The choice of a DICOM series does nothing here: the scan is one file."),
        _(
            "The compressed pixel data of {0} of the DICOM series cannot be unpacked: they "
            "are damaged, or compressed in a way that is not read here."
        ),
        _("The field of view cuts the intracranial space: its volume is not given."),
        _("The file could not be written ({0})."),
        _("The file names an unknown unit of length (xyzt_units {0}): millimetres are taken."),
        _("The file states no orientation: axes are taken as left, posterior, superior."),
        _("The file states no orientation: axes are taken as right, anterior, superior."),
        _(
            "The file's TransformMatrix and its AnatomicalOrientation contradict each other, "
            "so that LEFT AND RIGHT may be exchanged; the matrix is used, as in 3D Slicer. "
            "Make sure of the sides before using the result."
        ),
        _(
            "The file's two orientations (qform and sform) contradict each other about LEFT "
            "AND RIGHT; the {0} is used, as in 3D Slicer. Make sure of the sides before using"
            " the result."
        ),
        _("The file's two orientations (qform and sform) disagree; the {0} is used, as in 3D Slicer."),
        _("The files of '{0}' cannot be written ({1})."),
        _("The folder '{0}' cannot be made."),
        _("The folder '{0}' cannot be written ({1})."),
        _("The folder '{0}' has a file of the name '{1}' that is not of a check."),
        _("The folder and its subfolders hold DICOM images and {0}."),
        _("The folder cannot be read ({0})."),
        _("The folder has no series {0}."),
        _("The folder holds more than {0} files, those in subfolders included."),
        _("The folder holds no scans."),
        _("The folder holds {0} damaged DICOM file{1} and no other."),
        _("The folder is a BIDS data set ({0} subject{1}), not a scan."),
        _("The head is small for an adult {0}: if it is not that of a child, check {1}."),
        _("The head is unusually large {0}: check {1}."),
        _("The head is unusually {0} {1}: check {2}."),
        _("The head was not recognised; the points given were used as they are."),
        _("The hippocampi were recognised only from close by: check that the outlines are in place."),
        _("The image does not look like a T1 (another contrast, or strong shading): check the outlines."),
        _("The image has only {0} slices along one axis."),
        _("The image has voxels inside the head that are not numbers (NaN or infinite)."),
        _("The image holds colours or vectors."),
        _("The image holds complex numbers."),
        _("The image is 2D: a single slice."),
        _("The image is a label image (a segmentation), not a scan."),
        _("The image is a label image, not a scan."),
        _("The image is a slab of {0} mm: it does not hold the whole head."),
        _("The image is constant: every voxel has the same value."),
        _("The image is {0}D."),
        _("The image lies {0} mm away from the origin: its header is damaged."),
        _("The image looks like a CT (Hounsfield units); HippoSeg is made for T1 MRI."),
        _("The image measures {0} mm, which is not the size {1}."),
        _("The image's axes are not at right angles."),
        _("The image's geometry holds numbers that are not finite."),
        _("The installation of the Python packages failed."),
        _("The label image of '{0}' was edited after HippoSeg wrote it."),
        _("The label map mixes names with and without a side."),
        _("The model folder '{0}' cannot be written."),
        _("The model has no step {0}: leaving it out changes nothing."),
        _("The model wants {0} channels, but is given {1}."),
        _("The numpy engine computes on the CPU, not on '{0}'."),
        _("The output folder '{0}' cannot be made ({1})."),
        _("The output folder '{0}' cannot be written ({1})."),
        _("The output folder cannot be read ({0})."),
        _("The output folder lies in '{0}', which is read as a scan."),
        _("The pixel data of the DICOM series are stored in a way that is not read here (in {0})."),
        _("The point given for the {0} hippocampus lies outside the image."),
        _("The points for left and right seem swapped."),
        _("The points for the left and right hippocampus are less than 10 mm apart."),
        _("The position of the head was recognised only roughly: check that the outlines are in place."),
        _("The preprocessing description cannot be read."),
        _("The quality of the {0} outline could not be judged: check it."),
        _("The region has NaN or infinite voxels."),
        _("The result could not be shown in the scene."),
        _("The result for '{0}' is of a later version of HippoSeg."),
        _("The results cannot be written ({0})."),
        _(
            "The scan was checked as a crop of one hippocampus, but is to be segmented as a "
            "head, or the reverse."
        ),
        _("The scene has no volume with a segmentation of the hippocampus."),
        _("The scene was closed while a volume was being worked on."),
        _("The sequence holds no volumes."),
        _("The series states {0} images, but {1} are here: slices may be missing."),
        _("The side of the crop {0} is not known."),
        _("The slices of DICOM series {0} belong to several patients or examinations."),
        _("The system ended the worker process because memory ran out."),
        _("The table '{0}' cannot be read."),
        _("The table '{0}' lacks {1} case(s), the first is {2}."),
        _("The table gives {0} the side '{1}'."),
        _("The two readers outline the {0} hippocampus differently (overlap {1}): check it."),
        _("The values of the DICOM series are to be looked up in a table (ModalityLUTSequence)."),
        _("The volume could not be handed to the worker process ({0})."),
        _("The volume holds colours or vectors."),
        _("The volume holds no image."),
        _("The volume is a label map, not a scan."),
        _("The volume is under a non-linear transform."),
        _("The volume that was segmented is no longer in the scene."),
        _("The volume was removed while it was being worked on."),
        _("The volume's axes are not at right angles."),
        _("The volume's transform flattens it."),
        _("The volume's transform mirrors the head: left and right would be exchanged."),
        _("The volume's voxels or geometry are not valid."),
        _("The voxel size, {0} mm, is not that of a usable head scan ({1} to {2} mm)."),
        _("The voxels are coarse ({0} mm): expect uncertain volumes."),
        _("The weights '{0}' of model '{1}' are not those of the network that its card describes."),
        _("The work stopped on an unexpected error ({0})."),
        _("The worker has no such task."),
        _("The worker process could not be started ({0})."),
        _("The worker process crashed in a library that it uses ({0})."),
        _("The worker process did not start (exit code {0})."),
        _("The worker process ended and did not say why (exit code {0})."),
        _("The worker process ended unexpectedly (exit code {0})."),
        _("The worker process was ended from outside ({0})."),
        _("The {0} '{1}' cannot be made ({2})."),
        _("The {0} are in PyTorch's own format, and PyTorch is not installed or does not load."),
        _("The {0} are missing."),
        _("The {0} are not those its card names (SHA-256): they were altered or damaged."),
        _("The {0} cannot be read."),
        _("The {0} hippocampus is much larger than the other side: check both outlines."),
        _("The {0} hippocampus is unusually {1} ({2} mm³): check the outline."),
        _("The {0} hippocampus lies outside the field of view."),
        _("The {0} hippocampus reaches the edge of the image: it may be cut."),
        _("The {0} hippocampus was not recognised; its usual place was searched."),
        _("The {0} hold something else than finite numbers."),
        _("The {0} outline is uncertain ({1}): check it."),
        _("The {0} outline lies {1} mm from where it was expected: check it."),
        _("There are no cases."),
        _("There are validation cases only."),
        _("There is no model '{0}'."),
        _("There is no preset '{0}'."),
        _("There is no result of HippoSeg to measure."),
        _("There is no setting '{0}'."),
        _("There is not enough memory."),
        _("This preprocessing has no step {0} to change."),
        _("Try again; if it repeats, copy the report and send it to the developers."),
        _("Update HippoSeg, or choose another model."),
        _("Update HippoSeg, or choose another output folder."),
        _("Update its driver, or choose cpu."),
        _("Use 'plain', 'method' or 'both'."),
        _("Use .nii.gz, .nii, .nrrd or .mha."),
        _("Use 0 <= lower < upper <= 100."),
        _("Use 1 to {0} whole levels and a threshold of 0 or more."),
        _("Use 2 folds or more, a fraction between 0 and 1 and an augmentation from 0 to 1."),
        _("Use a discrete wavelet and an extension of PyWavelets, such as 'coif5' and 'symmetric'."),
        _(
            "Use a number up to {0}; or one each for 'ddd' (pure detail) and 'mixed'; or "
            "either per level, numbered from 1."
        ),
        _("Use a value from 0 to 1."),
        _("Use left or right."),
        _("Use one kind."),
        _("Use one of {0}."),
        _("Use the defaults; a learning rate of at most 0.1."),
        _("Use the form of a model's card."),
        _("Wait for it to end, or choose another folder."),
        _("Wait for it to finish, or cancel it."),
        _("Wait for it, or end it, and give the command again."),
        _("Waiting for the trials of other processes"),
        _("Wavelet {0} with extension {1} is not known."),
        _("What the values of '{0}' mean is not clear; the values there are: {1}."),
        _("Writing labels on the scan's grid"),
        _("{0} Or let the model's own reader alone read, which needs none."),
        _("{0} is missing in {1} of the DICOM series, but is stated in others."),
        _("{0} is missing, or is none that a grey-value image can have, in {1} of the DICOM series."),
        _("{0} is no usable number in {1} of the DICOM series."),
        _("{0} no DICOM image."),
        _("{0} of {1} cases cannot be used ({2}{3})."),
        _("{0} subjects are too few to learn from and to see whether it helped."),
        _("{0} voxels outside the head were not numbers (NaN or infinite): taken as background."),
        _("{0} {1} DICOM series{2}: {3}."),
        _("{0} {1}, but no DICOM image."),
    )
