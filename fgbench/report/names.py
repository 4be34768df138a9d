"""Names of papers and methods as people say them."""

PAPERS = {"bcnn": "B-CNN", "keypoint_fcn": "Keypoint FCN", "tasn": "TASN", "where_to_focus": "Where to Focus"}
METHODS = {
    "bcnn": "B-CNN",
    "fc_cnn": "FC-CNN",
    "fv_cnn": "FV-CNN",
    "fv_sift": "FV-SIFT",
    "keypoint_fcn": "Keypoint FCN",
    "part_nets": "Part networks",
    "spatial_lstm": "Spatial LSTM",
    "tasn": "TASN",
}


def paper_name(paper: str) -> str:
    """Return the name of a paper by its id; of a paper of another package, its id with spaces."""
    return PAPERS.get(paper, paper.replace("_", " "))


def method_name(method: str) -> str:
    """Return the name of a method by its id; of a method of another package, its id with spaces."""
    return METHODS.get(method, method.replace("_", " "))
