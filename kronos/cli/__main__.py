"""`python -m kronos.cli`."""

from kronos.cli import main

main()
