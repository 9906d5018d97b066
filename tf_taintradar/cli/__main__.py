"""`python -m tf_taintradar.cli`, the same as `taintradar`."""

from tf_taintradar.cli import main

main()
