"""`python -m tfrec_div` is the command `tfrec-div`."""

import sys

from tfrec_div.cli import main

sys.exit(main())
