"""Where Tensorpack before 0.9 had its runners and parallel maps."""

from penstock.compat.tensorpack.dataflow.parallel import *  # noqa: F403
from penstock.compat.tensorpack.dataflow.parallel_map import *  # noqa: F403
