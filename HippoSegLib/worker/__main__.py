"""`python -m HippoSegLib.worker`: the worker process."""

from .process import main

main()
