"""`python -m degu_tf`: the `degu` command."""

import sys

from degu_tf.cli import main

if __name__ == "__main__":
    sys.exit(main())
