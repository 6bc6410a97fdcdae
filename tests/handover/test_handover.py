"""Label folders and encoder weights, whole and damaged."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from speechbrain.lobes.features import Fbank
from speechbrain.processing.features import InputNormalization

from ssrl_brain.clustering.kmeans import Clusters
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.handover.initial_weights import (
    check_features,
    initialise,
    load_encoder_,
)
from ssrl_brain.handover.label_folder import (
    read_pseudo_labels,
    write_pseudo_labels,
)
from ssrl_brain.networks.models import LinearHead

CENTROIDS = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=np.float32)


def table_of(*ids):
    ones = np.ones(len(ids))
    return Utterances(ids, ids, ones, ones, ones)


TABLE = table_of("a", "b, c", "ä/1")


@pytest.fixture
def folder(tmp_path):
    """A label folder of three utterances and three clusters."""
    clusters = Clusters(
        np.array([2, 0, 2]), CENTROIDS, np.array([0.125, 1.5, 0.0])
    )
    write_pseudo_labels(
        tmp_path / "labels",
        TABLE,
        clusters,
        keep=np.array([True, False, True]),
        embeddings=np.arange(6.0).reshape(3, 2),
        source={"seed": 7},
    )
    return tmp_path / "labels"


def test_what_is_written_is_read(folder):
    found = read_pseudo_labels(folder, TABLE)
    assert found.labels.tolist() == [2, 0, 2]
    assert found.labels.dtype == np.int64
    assert found.distances.tolist() == [0.125, 1.5, 0.0]
    assert found.keep.tolist() == [True, False, True]
    np.testing.assert_array_equal(found.centroids, CENTROIDS)
    assert found.source["seed"] == 7 and found.source["num_clusters"] == 3
    embeddings = np.load(folder / "embeddings.npy", allow_pickle=False)
    assert embeddings.dtype == np.float32 and embeddings[2].tolist() == [4, 5]


def test_the_table_of_labels_is_plain_text(folder):
    assert (folder / "pseudo_labels.csv").read_text(encoding="utf-8") == (
        "ID,pseudo_label,distance,keep\n"
        'a,2,0.125,1\n"b, c",0,1.5,0\nä/1,2,0,1\n'
    )


def test_a_second_writing_replaces_all(folder):
    clusters = Clusters(np.zeros(3, int), CENTROIDS[:1], np.zeros(3))
    write_pseudo_labels(folder, TABLE, clusters)
    found = read_pseudo_labels(folder, TABLE)
    assert found.keep.all() and len(found.centroids) == 1
    assert not (folder / "embeddings.npy").exists()


def test_labels_that_do_not_fit_the_table_leave_nothing(tmp_path):
    clusters = Clusters(np.zeros(2, int), CENTROIDS, np.zeros(2))
    with pytest.raises(ValueError):
        write_pseudo_labels(tmp_path / "labels", TABLE, clusters)
    assert list(tmp_path.iterdir()) == []


def refused(folder, table=TABLE, error=ValueError):
    with pytest.raises(error) as caught:
        read_pseudo_labels(folder, table)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)
    return str(caught.value)


def test_another_table_is_refused(folder):
    for table in (table_of("a", "b, c"), table_of("b, c", "a", "ä/1")):
        message = refused(folder, table)
        assert "another utterance table (3 utterances" in message
        assert "run pseudo_label.py again" in message


def test_a_missing_folder_names_the_command(tmp_path):
    message = refused(tmp_path / "none", error=FileNotFoundError)
    assert "python pseudo_label.py" in message


def edit(folder, old, new):
    path = folder / "pseudo_labels.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("ä/1,2,0,1\n", "", "does not list the utterances"),  # truncated
        ("ä/1,2,0,1\n", "ä/1,2,0,1\n" * 2, "does not list the utterances"),
        ("ä/1,2,0,1\n", "ä/1,2", "has a broken row"),
        ("pseudo_label,", "speaker,", "must have the columns"),
        ("a,2", "x,2", "does not list the utterances"),
        ("a,2", "a,3", "labels must lie in 0..2, found 0..3"),
        ("a,2", "a,-1", "labels must lie in 0..2, found -1..2"),
        ("a,2", "a,two", "'two'"),
    ],
)
def test_damaged_tables_are_refused(folder, old, new, message):
    edit(folder, old, new)
    assert message in refused(folder)


def test_a_damaged_source_is_refused(folder):
    (folder / "source.json").write_text("{")
    assert "not valid JSON" in refused(folder)


def test_centroids_are_never_unpickled(folder):
    np.save(folder / "centroids.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        read_pseudo_labels(folder, TABLE)


# ---------------------------- starting weights -----------------------------


def encoder(width=2):
    return torch.nn.Sequential(
        torch.nn.Linear(2, width), torch.nn.BatchNorm1d(width)
    )


@pytest.fixture
def export(tmp_path):
    source = encoder()
    source(torch.randn(4, 2))
    torch.save(source.state_dict(), tmp_path / "embedding_model.ckpt")
    return tmp_path, source.state_dict()


def test_weights_and_statistics_are_loaded(export):
    folder, state = export
    other = encoder()
    load_encoder_(other, folder)
    for key, value in other.state_dict().items():
        assert torch.equal(value, state[key])


@pytest.mark.parametrize(
    "other", [encoder(3), torch.nn.Linear(2, 2), torch.nn.Sequential(encoder())]
)
def test_weights_that_do_not_fit_are_refused(export, other):
    with pytest.raises(ValueError, match="does not fit this stage's") as error:
        load_encoder_(other, export[0])
    assert "\n" not in str(error.value)


def test_a_folder_without_weights_names_the_key(tmp_path):
    with pytest.raises(FileNotFoundError, match="give --encoder_folder="):
        load_encoder_(encoder(), tmp_path)


@pytest.mark.parametrize("content", ["object", "text", "half", "nothing"])
def test_damaged_weights_are_one_line_and_nothing_is_unpickled(export, content):
    path = export[0] / "embedding_model.ckpt"
    if content == "object":
        torch.save({"x": Fraction(1, 2)}, path)
    elif content == "text":
        path.write_text("no weights")
    else:
        size = path.stat().st_size // 2 if content == "half" else 0
        path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match="is not a file of weights") as error:
        load_encoder_(encoder(), export[0])
    assert "\n" not in str(error.value)


@pytest.fixture
def table_csv(tmp_path):
    rows = "".join(f'"{id}",x,1,1,1,0\n' for id in TABLE.ids)
    path = tmp_path / "train.csv"
    path.write_text(
        f"ID,wav,duration,num_frames,sample_rate,session\n{rows}",
        encoding="utf-8",
    )
    return path


def test_initialise_sets_encoder_and_head(export, folder, table_csv):
    model, head = encoder(), LinearHead(2, 3)
    initialise(model, export[0], head, folder, table_csv)
    assert torch.equal(model[0].weight, export[1]["0.weight"])
    assert torch.equal(head.weight, torch.tensor(CENTROIDS))
    assert head.bias.tolist() == [0, 0, 0]


def test_another_number_of_clusters_names_the_key(folder, table_csv):
    with pytest.raises(ValueError, match="give --num_clusters=3") as error:
        initialise(encoder(), None, LinearHead(2, 5), folder, table_csv)
    assert "\n" not in str(error.value)


def test_without_folders_the_weights_stay(table_csv):
    model = encoder()
    before = model[0].weight.clone()
    initialise(model, None, LinearHead(2, 3), None, table_csv)
    assert torch.equal(model[0].weight, before)


PUBLISHED = """
pretrained_path: hub/name
n_mels: 80
unused: !new:no.such.Module
    size: !ref <n_mels>
copy_of_it: !ref <unused>
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
"""


@pytest.mark.parametrize(
    "change, fits",
    [
        ({}, True),
        ({"win_length": 20}, False),
        ({"n_mels": 40}, False),
        ({"std_norm": True}, False),
    ],
)
def test_features_of_another_kind_are_refused(change, fits, tmp_path):
    (tmp_path / "hyperparams.yaml").write_text(PUBLISHED)
    options = {"n_mels": 80, "win_length": 25, "std_norm": False, **change}
    features = [
        Fbank(n_mels=options["n_mels"], win_length=options["win_length"]),
        InputNormalization(norm_type="sentence", std_norm=options["std_norm"]),
    ]
    if fits:
        check_features(tmp_path, features, 16000)
        return
    with pytest.raises(ValueError, match="win_length and hop_length"):
        check_features(tmp_path, features, 16000)
