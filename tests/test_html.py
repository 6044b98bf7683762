"""What a notebook shows: well-formed and escaped HTML, pictures with the right pixels, no draw."""

import base64
import html.parser
import io
import re
import struct
import time
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simdrop as sd
from simdrop import _html, nn

KEY = bytes(range(16))
NAME = "<script>alert('&')</script>"


class Checker(html.parser.HTMLParser):
    """Text and tags; that each tag is closed in its turn."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += f"{data} "


def read(text):
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert checker.open == [] and "script" not in checker.tags
    return checker


def pixels(text):
    """The bits of a PNG, (height, width), read by the letter of its specification."""
    (encoded,) = re.findall(r"base64,([^\"]+)", text)
    data = base64.b64decode(encoded)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        body = data[at + 4 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length]) == (zlib.crc32(body),)
        chunks[body[:4]] = body[4:]
        at += length + 12
    width, height, *form = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert form == [1, 3, 0, 0, 0] and list(chunks)[-1] == b"IEND"
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    assert not rows[:, 0].any()
    return np.unpackbits(rows[:, 1:], axis=1, count=width).astype(bool)


def masks():
    whole = sd.Mask(KEY, 3, 0.25, (70, 100))
    return [
        whole,
        whole.window((3, 4), (30, 9)),
        sd.Mask(KEY, 3, 0.25, (9,)),
        sd.Mask(KEY, 3, 0.25, ()),
        sd.Mask(KEY, 3, 0.25, (2, 3, 8, 8), shared_axes=(2, 3)),
        sd.Mask(KEY, 3, np.linspace(0, 1, 8), (5, 8)),
        sd.Mask(KEY, 3, 0.25, (10**6, 10**6)),
        sd.Mask(KEY, 3, 1, (3, 4)),
        sd.Mask(KEY, 3, 0, (3, 4), scale=False),
        sd.Mask.from_keep(np.eye(5, dtype=bool)),
        sd.Mask.from_keep(np.arange(100_000).reshape(10, 100, 100) % 3 == 0, 2 / 3),
    ]


@pytest.mark.parametrize("mask", masks(), ids=repr)
def test_masks(mask):
    text = mask._repr_html_()
    found = read(text)
    assert found.tags.count("img") == 1 and str(mask.shape) in found.text
    (index,) = re.findall(r"(mask\[.*\]), blue is kept", text)
    corner = np.atleast_2d(eval(index, {"mask": mask}))
    drawn = pixels(text)
    height, width = (n // m for n, m in zip(drawn.shape, corner.shape, strict=True))
    np.testing.assert_array_equal(drawn, np.kron(corner, np.ones((height, width), bool)))
    assert max(drawn.shape) <= 256 and max(corner.shape) <= 64
    if mask.size <= _html.MOST_COUNTED:
        assert f"{np.count_nonzero(mask.keep()):,} of {mask.size:,}" in found.text
    assert len(text) < 10_000


def test_the_numbers_of_a_mask():
    text = read(sd.Mask(KEY, 5, 0.25, (10, 20), shared_axes=1)._repr_html_()).text
    for shown in ("(10, 20)", "(1,)", "0.25", "1.33333", KEY.hex(), " 5 ", "150 expected"):
        assert shown in text
    text = read(sd.Mask(KEY, 5, 0.25, (10**6, 10**6))._repr_html_()).text
    assert "750,000,000,000 of 1,000,000,000,000 expected" in text
    text = read(sd.Mask(KEY, 5, np.array([0.25, 0.75]), (10, 2))._repr_html_()).text
    assert "0.25 to 0.75, an array of shape (2,)" in text and "10 expected" in text
    text = read(sd.Mask(KEY, 5, 0.5, (9, 9)).window((2, 3), (4, 4))._repr_html_()).text
    assert "(2, 3)" in text and "window from" in text
    text = read(sd.StoredMask(bytes(2), 0.5, (4, 4), scale=False)._repr_html_()).text
    assert "0 of 16" in text and not any(word in text for word in ("key", "scale", "expected"))
    text = sd.Mask(KEY, 5, 0.5, (32, 64, 8, 8), shared_axes=(2, 3))._repr_html_()
    assert "mask[:32, :64, 0, 0], blue" in text  # not a block of one colour
    text = sd.Mask(KEY, 5, 0.5, (1, 300, 1, 5, 1))._repr_html_()
    assert "mask[0, :64, 0, :5, 0], blue" in text
    stored = sd.StoredMask(bytes(10**5), 0.5, (8 * 10**5,))
    assert "kept</td>" not in stored._repr_html_()  # counting takes too long


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3, 4)])
def test_empty_masks_have_no_picture(shape):
    for mask in (
        sd.Mask(KEY, 0, 0.5, shape),
        sd.Mask(KEY, 0, np.full(shape, 0.5), shape),
        sd.Mask.from_keep(np.ones(shape, bool)),
    ):
        found = read(mask._repr_html_())
        assert "img" not in found.tags and "0 of 0" in found.text


@given(height=st.integers(1, 20), width=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_png(height, width, seed):
    cells = np.random.default_rng(seed).random((height, width)) < 0.5
    np.testing.assert_array_equal(pixels(f'"base64,{_html.png(cells)}"'), cells)


def test_matplotlib_reads_the_png():
    image = pytest.importorskip("matplotlib.image")
    cells = np.array([[True, False, True], [False, False, True]])
    rgba = image.imread(io.BytesIO(base64.b64decode(_html.png(cells))))
    np.testing.assert_allclose(rgba[cells], [[0, 114 / 255, 178 / 255, 1]] * 3, atol=1e-6)
    np.testing.assert_allclose(rgba[~cells][:, 3], 64 / 255, atol=1e-6)


def test_a_mask_of_10_to_the_12_costs_no_more_than_a_small_one():
    """Of the huge one 4,096 elements are drawn; all of it would take minutes and a terabyte."""
    huge = sd.Mask(KEY, 0, 0.5, (10**6, 10**6))
    began = time.perf_counter()
    huge._repr_html_()
    assert time.perf_counter() - began < 5  # only against drawing it all


def test_streams():
    stream = sd.Stream(0)
    stream.mask(3)
    stream.spawn(2)
    before = stream.state
    text = read(stream._repr_html_()).text
    assert stream.state == before and stream.key.hex() in text and "children 2" in text


def test_nets():
    net = nn.MLP((784, 100, 10), p=0.4, rng=0)
    found = read(net._repr_html_())
    assert found.tags.count("tr") == 1 + 3
    for shown in ("Dense", "p=0.4, activation='relu'", "784 × 100", "78,500", "Linear", "1,010"):
        assert shown in found.text
    assert net.stream.draw == 0
    layers = [nn.Linear(2, 2, rng=i) for i in range(50)]
    found = read(nn.Network(layers, nn.SquaredError)._repr_html_())
    assert found.tags.count("tr") == 1 + _html.MOST_ROWS and "49" in found.text


def test_predictions():
    net = nn.MLP((2, 3), rng=0)
    found = read(net.predict_mc(np.ones((50, 2)), 5, rng=0)._repr_html_())
    assert found.tags.count("tr") == 1 + 7 and "mutual information" in found.text
    assert "(50, 3)" in found.text and "±" in found.text
    for loss in ("squared_error", "binary_cross_entropy"):
        net = nn.MLP((2, 30), rng=0, loss=loss)
        found = read(net.predict_mc(np.ones((1, 2)), 5, rng=0)._repr_html_())
        assert found.tags.count("tr") == 2 and found.tags.count("th") == 1 + 4 + 1
    found = read(net.predict_mc(np.ones((0, 2)), 5, rng=0)._repr_html_())
    assert found.tags.count("tr") == 1


def test_all_text_is_escaped():
    Named = type(
        NAME, (nn.Identity,), {"__repr__": lambda self: NAME, "_shown": lambda self: [NAME]}
    )
    net = nn.Network([nn.Linear(2, 2, rng=0), Named()], nn.SquaredError)
    assert read(net._repr_html_()).text.count(NAME) == 2
    for text in (
        _html.table([NAME], [[NAME]], NAME),
        _html.numbers(NAME, [(NAME, NAME)]),
        _html.progress(NAME, 1, 2, [NAME]),
    ):
        assert NAME not in text and NAME in read(text).text
    Mask = type(NAME, (sd.Mask,), {})
    assert NAME in read(Mask(KEY, 0, 0.5, (2, 3))._repr_html_()).text


@given(rows=st.lists(st.integers(), max_size=50), most=st.integers(3, 20))
def test_the_middle_of_a_long_list_is_left_out(rows, most):
    shown = _html.without_middle(rows, None, most)
    if len(rows) <= most:
        assert shown == rows
    else:
        first = shown.index(None)
        assert len(shown) == most and shown[:first] == rows[:first]
        assert shown[first + 1 :] == rows[len(rows) - most + first + 1 :]
