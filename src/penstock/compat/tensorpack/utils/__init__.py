"""What Tensorpack's flows use, and programs beside them: random generators, serialization, progress."""

from penstock.compat.tensorpack.utils import logger
from penstock.compat.tensorpack.utils.utils import fix_rng_seed, get_rng, get_tqdm, get_tqdm_kwargs

__all__ = ["fix_rng_seed", "get_rng", "get_tqdm", "get_tqdm_kwargs", "logger"]
