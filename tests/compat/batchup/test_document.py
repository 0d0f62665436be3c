"""BatchUp's document on worker pools, as a program over image files: run on ours, unchanged but for the import."""

from __future__ import annotations

import numpy as np
import pytest

from penstock.compat.batchup import data_source, work_pool

cv2 = pytest.importorskip("cv2")

SIZE = 16


class NonUniformImageFileAccessor:
    """Reads images of different sizes where an array would have rows: a list of arrays for several indices."""

    def __init__(self, paths):
        self.paths = paths

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        if isinstance(index, (int, np.integer)):
            return cv2.imread(self.paths[index])
        if isinstance(index, slice):
            index = range(*index.indices(len(self)))
        return [cv2.imread(self.paths[k]) for k in index]


def augment_batch(batch_X, batch_y):  # noqa: N803  named as there
    """Bring the images to one size, and mirror those of class 1."""
    images = [cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST) for image in batch_X]
    mirrored = [image[:, ::-1] if y else image for image, y in zip(images, batch_y, strict=True)]
    return np.stack(mirrored).astype(np.float32), batch_y


@pytest.fixture
def train(tmp_path):
    """Cats and dogs on disk, each of its own size and colour, and their classes."""
    paths = []
    for number in range(70):
        image = np.full((20 + number % 7, 20 + number % 5, 3), 3 * number, np.uint8)
        paths.append(str(tmp_path / f"{number:03d}.png"))
        cv2.imwrite(paths[-1], image)
    return NonUniformImageFileAccessor(paths), np.arange(70) % 2


@pytest.mark.parametrize("kind", [work_pool.WorkerThreadPool, work_pool.WorkerProcessPool])
def test_pools_over_image_files(train, kind):
    """The document's program gives, in threads and in processes, the batches that the same seed gives in line."""
    train_X, train_y = train  # noqa: N806  named as there
    ds = data_source.ArrayDataSource([train_X, train_y])
    ds = ds.map(augment_batch)
    expected = list(ds.batch_iterator(batch_size=16, shuffle=np.random.RandomState(12345)))

    pool = kind(processes=2)
    par_ds = pool.parallel_data_source(ds, batch_buffer_size=32)
    par_iter = par_ds.batch_iterator(batch_size=16, shuffle=np.random.RandomState(12345))
    seen = []
    for k, (batch_X, batch_y) in enumerate(par_iter):  # noqa: N806  named as there
        np.testing.assert_array_equal(batch_X, expected[k][0])
        np.testing.assert_array_equal(batch_y, expected[k][1])
        seen.extend((batch_X[:, 0, 0, 0] / 3).astype(int).tolist())
    assert len(expected) == 5
    assert sorted(seen) == list(range(70))
