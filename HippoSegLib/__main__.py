"""``python -m HippoSegLib`` is ``hipposeg``."""

from .cli import main

raise SystemExit(main())
