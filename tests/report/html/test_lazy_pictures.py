from fgbench.report.html.lazy_pictures import Pictures


def test_pictures_are_read_on_access(tmp_path):
    path = tmp_path / "a-0 images.jpg"
    pictures = Pictures({"a": {"images": path}})
    path.write_bytes(b"x")
    assert pictures["a"] == {"images": b"x"}
    assert list(pictures) == ["a"]
    assert pictures.get("b", {}) == {}
