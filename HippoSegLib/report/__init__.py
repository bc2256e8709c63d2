"""One page per scan, to read and to print: what was measured, what it means, how far to trust it."""
