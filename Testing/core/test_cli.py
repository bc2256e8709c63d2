"""The command line: options, exit codes, sentences; the core behind it is real where it is quick."""

import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from HippoSegLib import cli
from HippoSegLib.batch.record import read_record
from HippoSegLib.commands.options import preprocessing_changes, segment_options
from HippoSegLib.errors import InputError, ModelError, NotFoundError, OutputError


def _parse(*words):
    return cli.build_parser("segment").parse_args(["segment", "scan.nii.gz", "-o", "out", *words])


def test_points_are_ras_and_become_lps():
    options = segment_options(_parse("--left-point=-25,-20,-15", "--right-box=10,-40,-30,40,0,0"))
    assert options.points == {"left": (25, 20, -15)}
    assert options.boxes == {"right": ((-10, 40, -30), (-40, 0, 0))}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--region"], "side must be stated"),
        (["--side", "left"], "only for crops"),
        (["--left-point=1,2"], "takes 3 numbers"),
        (["--right-box=1,2,3,4,5,six"], "takes 6 numbers"),
    ],
)
def test_options_that_do_not_fit_are_one_sentence(words, sentence):
    with pytest.raises(InputError, match=sentence):
        segment_options(_parse(*words))


def test_preprocessing_options_become_changes():
    changes = preprocessing_changes(_parse("--no-clahe", "--sce-factor", "1.5", "--sce-levels", "1"))
    assert changes == {"clahe_3d": False, "sce_dwt_3d": {"factor": 1.5, "levels": 1}}
    assert preprocessing_changes(_parse()) == {}


def test_a_missing_scan_has_its_exit_code_and_no_traceback(tmp_path, capsys):
    code = cli.main(["segment", str(tmp_path / "nowhere.nii.gz"), "-o", str(tmp_path / "out")])
    assert code == InputError.exit_code
    text = capsys.readouterr().err
    assert "does not exist" in text and "Traceback" not in text
    assert not (tmp_path / "out").exists()


def _noise(path):
    array = np.random.default_rng(0).normal(400, 90, (60, 60, 60)).astype(np.float32)
    array[:6] = 0
    image = sitk.GetImageFromArray(array)
    image.SetSpacing([3.0] * 3)
    sitk.WriteImage(image, str(path))
    return path


def test_an_image_of_something_else_is_not_found(tmp_path, capsys):
    code = cli.main(["segment", str(_noise(tmp_path / "noise.nii.gz")), "-o", str(tmp_path / "out"), "-q"])
    assert code == NotFoundError.exit_code
    assert "point" in capsys.readouterr().err
    record = read_record(tmp_path / "out" / "noise_hippocampus.json")
    assert record.status == "failed" and record.failure.code in ("no_head", "no_hippocampus", "not_found")
    assert not list((tmp_path / "out").glob("*.nii.gz"))


def test_an_unknown_model_has_its_exit_code(tmp_path, sample_path, capsys):
    words = ["segment", str(sample_path), "-o", str(tmp_path / "out"), "--model", "nowhere"]
    assert cli.main(words) == ModelError.exit_code
    assert "no model 'nowhere'" in capsys.readouterr().err


def test_an_existing_result_has_its_exit_code(tmp_path, sample_path, capsys):
    (tmp_path / "hipposeg_sample_T1_hippocampus.nii.gz").write_bytes(b"mine")
    assert cli.main(["segment", str(sample_path), "-o", str(tmp_path)]) == OutputError.exit_code
    assert (tmp_path / "hipposeg_sample_T1_hippocampus.nii.gz").read_bytes() == b"mine"


def test_info_names_versions_devices_and_models(capsys):
    assert cli.main(["info"]) == 0
    text = capsys.readouterr().out
    for word in ("torch", "PyWavelets", "cpu", "auto", "hipposeg", "SHA-256"):
        assert word in text


def test_a_wrong_option_is_exit_code_2():
    done = subprocess.run([sys.executable, "-m", "HippoSegLib", "segment", "--nonsense"], capture_output=True)
    assert done.returncode == 2


@pytest.mark.parametrize(
    "module", ["HippoSegLib", "HippoSegLib.cli", "HippoSegLib.io.images", "HippoSegLib.worker.process"]
)
def test_importing_loads_none_of_the_heavy_packages(module):
    code = (
        f"import sys, {module}; heavy = {{'torch', 'skimage', 'pywt', 'matplotlib'}} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
