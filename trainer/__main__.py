"""`python -m trainer`, which is also what `accelerate launch -m trainer build ...` starts."""

from trainer.cli import main

main()
