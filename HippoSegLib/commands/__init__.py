"""One module per command of `hipposeg`: `add_arguments(parser)` and `run(args) -> exit code`."""
