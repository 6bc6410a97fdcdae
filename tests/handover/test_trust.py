"""Encoder folders of others: what is refused, and that nothing runs."""

import ast
import os
import shutil

import pytest
import torch
from conftest import ROOT
from ruamel.yaml import YAML

from ssrl_brain.handover.encoder_folder import ExportedEncoder
from ssrl_brain.handover.trust import (
    PRETRAINER,
    check_encoder_folder,
    check_hyperparams,
)

GOOD = f"""sample_rate: 16000
n_mels: 8
widths: [8, 8, 8, 8, 24]
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: !ref <n_mels>
    channels: !ref <widths>
    attention_channels: 4
    lin_neurons: 4
    activation: !name:torch.nn.ReLU
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
pretrainer: !new:{PRETRAINER}
    loadables:
        embedding_model: !ref <embedding_model>
"""


@pytest.fixture
def export(tmp_path):
    """A harmless encoder folder."""
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "hyperparams.yaml").write_text(GOOD)
    encoder = ECAPA_TDNN(
        8, channels=[8, 8, 8, 8, 24], attention_channels=4, lin_neurons=4
    )
    torch.save(encoder.state_dict(), folder / "embedding_model.ckpt")
    return folder


def test_what_the_stages_export_is_accepted(export, start):
    check_encoder_folder(export)
    check_encoder_folder(start["encoder_folder"])
    assert ExportedEncoder(export)(torch.rand(1, 8000), torch.ones(1)).shape


@pytest.mark.parametrize("name", ["ecapa_c512", "resnet", "xvector", "wavlm"])
def test_networks_of_every_encoder_yaml_are_accepted(name):
    text = (ROOT / f"hparams/encoders/{name}.yaml").read_text()
    found = YAML().load(text)
    found.pop("modules", None)  # applied in training, never exported
    found.setdefault("n_mels", 80)
    found["attention_channels"] = 8
    found["pretrainer"] = YAML().load(f"!new:{PRETRAINER} {{loadables: {{}}}}")
    import io

    stream = io.StringIO()
    YAML().dump(found, stream)
    assert check_hyperparams(stream.getvalue()) == []


ATTACKS = {
    "call": "!apply:os.system ['touch FILE']",
    "call of the toolkit": "!apply:speechbrain.utils.superpowers.run_shell"
    " ['touch FILE']",
    "class": "!new:subprocess.Popen [[touch, FILE]]",
    "class another module imports": "!new:speechbrain.utils.superpowers."
    "subprocess.Popen [[touch, FILE]]",
    "call while resolving": "!applyref:os.system ['touch FILE']",
    "include": "!include:FILE.yaml",
    "module": "!module:antigravity",
    "name": "!name:os.system",
    "PyYAML call": "!!python/object/apply:os.system ['touch FILE']",
    "PyYAML call in full": "!<tag:yaml.org,2002:python/object/apply:os.system>"
    " ['touch FILE']",
    "tuple": "(!!python/object/apply:os.system ['touch FILE'])",
    "attribute": "!ref <embedding_model.load_state_dict>",
    "key": "{? !!python/object/apply:os.system ['touch FILE'] : 1}",
    "argument": "!new:torch.nn.ReLU {inplace: !apply:os.system [ls]}",
    "hub": "!apply:torch.hub.load [someone/model]",
    "class that loads files": "!new:speechbrain.lobes.models.beats.BEATs"
    " {ckp_path: FILE}",
    "code of a hub": "!new:speechbrain.integrations.huggingface.weighted_ssl"
    ".WeightedSSLModel {hub: a/b, trust_remote_code: True}",
    "method of a network": "!name:torch.nn.Module.load_state_dict",
    "function of a network": "!new:torch.nn.functional.relu [1]",
    "base of networks elsewhere": "!new:torch.jit.ScriptModule []",
    "weights from elsewhere": f"!new:{PRETRAINER} {{loadables: {{}}, paths: "
    "{e: someone/model/e.ckpt}}",
    "absolute path": "!new:torch.nn.Linear {in_features: /etc/passwd}",
    "path upwards": f"!new:{PRETRAINER} {{loadables: {{../x: 1}}}}",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))
def test_attacks_are_refused_by_name_and_do_not_run(attack, export, tmp_path):
    trap = tmp_path / "trap"
    (tmp_path / "trap.yaml").write_text("!apply:os.system ['touch trap']")
    path = export / "hyperparams.yaml"
    attack = attack.replace("FILE", str(trap))
    path.write_text(f"first: {attack}\n{GOOD}")
    with pytest.raises(ValueError) as caught:
        ExportedEncoder(export)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(f"{path}: line 1 ")
    assert "--trust_encoder=True" in message
    assert not trap.exists()


def test_tags_under_another_name_are_refused(export, tmp_path):
    text = (
        "%TAG ! tag:yaml.org,2002:python/object/\n---\n"
        f"x: !apply:os.system ['touch {tmp_path}/trap']\n"
    )
    (export / "hyperparams.yaml").write_text(text)
    with pytest.raises(ValueError, match="!!python/object/apply:os.system"):
        ExportedEncoder(export)
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize(
    "text, message",
    [
        ("[1]", "not a mapping"),
        ("a: [", "expected the node content"),
        ("a: 1", "no pretrainer"),
        (GOOD.replace("!ref <n_mels>", "!ref <missing>"), "missing"),
        ("a: " + 400 * "[" + 400 * "]", "recursion"),
        ("# " + (1 << 18) * "x", "larger than"),
        (f"pretrainer: !new:{PRETRAINER} {{loadables: 1}}", "no mapping"),
    ],
)
def test_what_is_no_encoder_is_told_in_one_line(text, message, export):
    (export / "hyperparams.yaml").write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        check_encoder_folder(export)
    assert "\n" not in str(caught.value)


def test_whoever_trusts_may_load(export):
    path = export / "hyperparams.yaml"
    path.write_text(f"answer: !apply:operator.add [40, 2]\n{GOOD}")
    with pytest.raises(ValueError, match="!apply:operator.add"):
        ExportedEncoder(export)
    trusted = ExportedEncoder(export, trusted=True)
    assert trusted.model.hparams.answer == 42


class Trap:
    """Runs when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_weights_are_never_unpickled(export, tmp_path):
    trap = str(tmp_path / "trap")
    torch.save({"a": Trap(trap)}, export / "embedding_model.ckpt")
    with pytest.raises(ValueError, match="is not a file of weights"):
        ExportedEncoder(export)
    assert not os.path.exists(trap)


def test_a_folder_of_the_hugging_face_cache_is_one(export, tmp_path):
    """Whose files are links to blobs of the same repository."""
    home = tmp_path / "models--me--voices"
    snapshot = home / "snapshots/0a1b"
    snapshot.mkdir(parents=True)
    (home / "blobs").mkdir()
    for number, path in enumerate(sorted(export.iterdir())):
        path.rename(home / f"blobs/{number}")
        (snapshot / path.name).symlink_to(f"../../blobs/{number}")
    check_encoder_folder(snapshot)
    (tmp_path / "link").symlink_to(snapshot)
    assert ExportedEncoder(tmp_path / "link").sample_rate == 16000
    (home / "blobs/deep").mkdir()
    for elsewhere in (tmp_path / "yaml", home / "yaml", home / "blobs/deep/x"):
        elsewhere.write_text(GOOD)
        (snapshot / "hyperparams.yaml").unlink()
        (snapshot / "hyperparams.yaml").symlink_to(elsewhere)
        with pytest.raises(ValueError, match="links out of its folder"):
            check_encoder_folder(snapshot)


@pytest.mark.parametrize("name", ["hyperparams.yaml", "embedding_model.ckpt"])
def test_files_that_link_elsewhere_are_refused(name, export, tmp_path):
    shutil.move(export / name, tmp_path / name)
    (export / name).symlink_to(tmp_path / name)
    with pytest.raises(ValueError, match="links out of its folder"):
        ExportedEncoder(export)


@pytest.mark.parametrize("change", ["missing", "unknown", "of another shape"])
def test_weights_that_would_be_left_at_random_are_refused(change, export):
    path = export / "embedding_model.ckpt"
    state = torch.load(path, weights_only=True)
    name = next(name for name in state if name.endswith("weight"))
    if change == "missing":
        del state[name]
    elif change == "unknown":
        state["other"] = state[name]
    else:
        state[name] = torch.zeros(3)
    torch.save(state, path)
    with pytest.raises(ValueError, match="export it again") as caught:
        ExportedEncoder(export)
    assert "\n" not in str(caught.value)


def test_missing_weights_are_named(export):
    (export / "embedding_model.ckpt").unlink()
    with pytest.raises(FileNotFoundError, match="embedding_model.ckpt does"):
        ExportedEncoder(export)


# ------------------------------ of all modules ------------------------------

SOURCES = sorted(
    path
    for folder in ("ssrl_brain", "recipes", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)


def dangers(source):
    """Yields what could run code that comes from a file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            names.append(getattr(node, "module", None))
            if {"pickle", "marshal", "shelve", "joblib"} & set(names):
                yield node.lineno, "reads pickles"
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        given = {x.arg: ast.unparse(x.value) for x in node.keywords}
        if name == "torch.load" and given.get("weights_only") != "True":
            yield node.lineno, "torch.load without weights_only"
        if name == "np.load" and given.get("allow_pickle") != "False":
            yield node.lineno, "np.load that may unpickle"
        if name in ("eval", "exec", "os.system", "os.popen", "yaml.load"):
            yield node.lineno, name
        if given.get("shell") == "True":
            yield node.lineno, "a shell"


def test_dangers_are_found():
    source = "import pickle\ntorch.load(a)\nnp.load(a)\neval(a)\nf(shell=True)"
    assert [line for line, _ in dangers(source)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_nothing_here_runs_code_from_files(path):
    assert list(dangers(path.read_text(encoding="utf-8"))) == []
