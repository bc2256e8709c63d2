raise ImportError("this package is not to be used here")
