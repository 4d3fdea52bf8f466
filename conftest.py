"""One thread for linear algebra in each process of tests, of which several run at once.

Libraries read this when they are loaded, which plugins of pytest may do before this file: it is for
the workers of pytest-xdist and the processes of tests, which begin with it. Threads that
wait for a core which another process of tests has take processor time for doing nothing: a singular
value decomposition of 60 rows takes fifty times as long.
"""

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
    os.environ.setdefault(_name, "1")
