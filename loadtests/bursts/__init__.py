"""Work in bursts, without HTTP: are threads parallel, or only concurrent?

`python -m loadtests.bursts --executor threads` does a few pieces of work at once in threads and
says how much faster that was than one after the other; with `--executor processes`, in processes.
"""

import os

#: How BLAS, which multiplies numpy's matrices, is told how many threads to use: it would use all
#: processors for one piece of work, and leave a second one nothing to gain.
_BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

# BLAS looks when numpy is imported, and whatever imports numpy here imports this first. New
# processes inherit it.
os.environ.update(dict.fromkeys(_BLAS_THREADS, "1"))
