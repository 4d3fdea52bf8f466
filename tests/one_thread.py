"""One thread for linear algebra in each process of tests, of which several run at once.

Libraries read this when they are loaded, so `conftest.py` imports it first; plugins of pytest may
have loaded them before, but the workers of pytest-xdist and the processes of tests begin with it.
Threads that wait for a core which another process of tests has take processor time for doing
nothing: a singular value decomposition of 60 rows takes fifty times as long.
"""

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
    os.environ.setdefault(_name, "1")
