"""The method's steps (min-max, CLAHE, SCE-3DWT) and the chain that a model's card names."""
