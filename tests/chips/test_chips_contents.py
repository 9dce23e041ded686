import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rramsim.chips import ArrayContents, ArrayShape, WeightMapping
from rramsim.exceptions import InputError

ARRAY = ArrayShape(rows=4, columns=3)


def some_weights(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "conv1": rng.integers(-1, 2, (5, 2, 3, 3)).astype(np.int8),
        "fc": rng.integers(-1, 2, (2, 7)).astype(np.int8),
    }


def test_mapping_counts_follow_from_the_shapes():
    mapping = WeightMapping.of(some_weights(), array=ARRAY)
    # conv1: 18 inputs over 5 row blocks, 5 outputs over 2 column blocks; fc: 2 x 1.
    assert mapping.arrays == 5 * 2 + 2 * 1
    assert mapping.amplifiers == 5 * 5 + 2 * 2
    assert mapping.synapses == 90 + 14
    assert len(list(mapping.tiles())) == mapping.arrays


def test_a_weight_sets_the_device_of_its_sign():
    weights = {"fc": np.array([[1, -1, 0, 1, -1]], dtype=np.int8)}
    contents = ArrayContents.of(weights, array=ARRAY)
    assert contents.bl[:, :, 0].tolist() == [[1, 0, 0, 1], [0, 2, 2, 2]]
    assert contents.blb[:, :, 0].tolist() == [[0, 1, 0, 0], [1, 2, 2, 2]]
    assert (contents.bl[:, :, 1:] == 2).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 11), st.integers(1, 7), st.data())
def test_files_read_back_exactly(outputs, inputs, rows, columns, data):
    import tempfile
    from pathlib import Path

    rng = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    weights = {"a": rng.integers(-1, 2, (outputs, inputs)).astype(np.int8)}
    contents = ArrayContents.of(weights, array=ArrayShape(rows=rows, columns=columns))
    with tempfile.TemporaryDirectory() as folder:
        for name, save in (("c.npz", contents.save_npz), ("c.csv", contents.save_csv)):
            save(Path(folder) / name)
            read = ArrayContents.load(Path(folder) / name)
            assert read.mapping == contents.mapping
            assert np.array_equal(read.bl, contents.bl)
            assert np.array_equal(read.blb, contents.blb)
            assert np.array_equal(read.weights()["a"], weights["a"])


def test_layers_keep_their_order_and_shapes(tmp_path):
    weights = some_weights()
    ArrayContents.of(weights, array=ARRAY).save_csv(tmp_path / "c.csv")
    read = ArrayContents.load(tmp_path / "c.csv").weights()
    assert list(read) == list(weights)
    assert all(np.array_equal(read[name], weights[name]) for name in weights)


def test_damaged_files_are_refused_in_one_line(tmp_path):
    contents = ArrayContents.of(some_weights(), array=ARRAY)
    npz, table = tmp_path / "c.npz", tmp_path / "c.csv"
    contents.save_npz(npz)
    contents.save_csv(table)
    whole, text = npz.read_bytes(), table.read_text()
    lines = text.splitlines(keepends=True)
    bad = tmp_path / "bad.npz"
    for content in (b"", whole[:50], whole[: len(whole) // 2], b"PK\x03\x04" + whole[4:300]):
        bad.write_bytes(content)
        with pytest.raises(InputError) as error:
            ArrayContents.load(bad)
        assert "\n" not in str(error.value) and str(bad) in str(error.value)
    header = json.loads(lines[0][2:])
    wrong = {
        "no header": "".join(lines[1:]),
        "cut short": "".join(lines[:-1]),
        "out of place": "".join([*lines[:2], lines[3], lines[2], *lines[4:]]),
        "a letter": text.replace(",R", ",X", 1),
        "another schema": text.replace("contents 1", "contents 9", 1),
        "a huge claim": f"# {json.dumps(header | {'layers': [['a', [1 << 24, 1 << 24]]]})}\n"
        + "".join(lines[1:]),
        "no columns": text.replace("first_input", "other", 1),
    }
    bad = tmp_path / "bad.csv"
    for what, content in wrong.items():
        bad.write_text(content)
        with pytest.raises(InputError) as error:
            ArrayContents.load(bad)
        assert "\n" not in str(error.value), what


def test_pickles_are_never_opened(tmp_path):
    path = tmp_path / "c.npz"
    np.savez(path, header=np.array([{}], dtype=object), bl=np.zeros(1), blb=np.zeros(1))
    with pytest.raises(InputError, match="not whole array contents"):
        ArrayContents.load(path)


def test_what_is_no_weight_is_refused(tmp_path):
    contents = ArrayContents.of({"a": np.ones((1, 1), np.int8)}, array=ARRAY)
    both = contents.blb.copy()
    both[0, 0, 0] = 1
    with pytest.raises(InputError, match="tile 0, row 0, column 0: both devices are SET"):
        ArrayContents(mapping=contents.mapping, bl=contents.bl, blb=both)
    with pytest.raises(InputError, match="must be -1, 0 or"):
        ArrayContents.of({"a": np.full((1, 1), 2, np.int8)}, array=ARRAY)
    with pytest.raises(InputError, match="rows = 0: must be a whole number between 1 and 4096"):
        ArrayShape(rows=0)
    with pytest.raises(InputError, match="cannot be read"):
        ArrayContents.load(tmp_path / "none.csv")
