"""What the tests of Tensorpack's façade share: a fixed seed that does not outlive a test, and pictures on disk."""

from __future__ import annotations

import numpy as np
import pytest

from penstock.compat.tensorpack.utils.utils import fix_rng_seed


@pytest.fixture(autouse=True)
def _unseeded():
    """Forget a fixed seed."""
    yield
    fix_rng_seed(None)


@pytest.fixture(scope="session", autouse=True)
def _bars():
    """Let tqdm make what it keeps before the tests, and watch over nothing: else each test would seem to leave it."""
    tqdm = pytest.importorskip("tqdm").tqdm
    before, tqdm.monitor_interval = tqdm.monitor_interval, 0
    tqdm([]).close()
    yield
    tqdm.monitor_interval = before


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Twelve JPEG files of different sizes in three folders of classes, as ImageNet's archives unpack."""
    cv2 = pytest.importorskip("cv2")

    folder = tmp_path_factory.mktemp("imagenet")
    random = np.random.RandomState(3)
    for label, name in enumerate(("n01440764", "n01443537", "n01484850")):
        (folder / "train" / name).mkdir(parents=True)
        for number in range(4):
            noise = random.randint(0, 256, (8, 8, 3)).astype("uint8")
            picture = cv2.resize(noise, (60 + 10 * number, 50 + 10 * label), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / "train" / name / f"{name}_{number}.JPEG"), picture)
    (folder / "val").mkdir()
    lines = []
    for number in range(3):
        cv2.imwrite(str(folder / "val" / f"ILSVRC2012_val_{number}.JPEG"), noise)
        lines.append(f"ILSVRC2012_val_{number}.JPEG {2 - number}")
    (folder / "val.txt").write_text("\n".join(lines) + "\n")
    return folder
