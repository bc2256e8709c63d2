# The models, the sample scan and the library's pages, relative to the top of the sources. Written by Testing/slicer_module/cmake_lists.py.
set(HIPPOSEG_RESOURCES
  HippoSegLib/report/page.html
  Resources/Models/README.md
  Resources/Models/hipposeg/CARD.md
  Resources/Models/hipposeg/card.json
  Resources/Models/hipposeg/localizer.npz
  Resources/Models/hipposeg/refiner.npz
  Resources/Models/hipposeg/segmenter.npz
  Resources/Models/hipposeg_clahe_sce/CARD.md
  Resources/Models/hipposeg_clahe_sce/card.json
  Resources/Models/hipposeg_clahe_sce/segmenter.npz
  Resources/SampleData/LICENSE.txt
  Resources/SampleData/README.md
  Resources/SampleData/hipposeg_sample_T1.nii.gz
  )
