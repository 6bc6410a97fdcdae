"""Encoder folders of others: looked at before anything is built from them.

HyperPyYAML can call any function on loading. Here a ``hyperparams.yaml`` is
parsed, never constructed, and may name networks and nothing else.
"""

import importlib
import re
from pathlib import Path

import ruamel.yaml
import torch
from hyperpyyaml import resolve_references

from ssrl_brain.data.tree import leads_out

REMEDY = "give --trust_encoder=True if you trust who made this folder"
MAX_BYTES = 1 << 18
PRETRAINER = "speechbrain.utils.parameter_transfer.Pretrainer"
NORMALIZER = "speechbrain.dataio.preprocess.AudioNormalizer"
CORE = "tag:yaml.org,2002:"
PLAIN_TAGS = {
    CORE + kind for kind in "str int float bool null seq map merge".split()
}
# Of these modules, classes of networks. That a class is one is not enough:
# some of the toolkit's load whatever file or hub they are told to.
NETWORKS = re.compile(
    r"(torch\.nn"
    r"|speechbrain\.lobes\.features"
    r"|speechbrain\.lobes\.models\.(?:ECAPA_TDNN|ResNet|Xvector)"
    r"|speechbrain\.nnet\.\w+"
    r"|speechbrain\.processing\.features"
    r"|ssrl_brain\.networks\.(?:models|visual))\.([A-Z]\w*)"
)
# Fetches configuration and weights from a hub, none of its code.
FRONT_END = "speechbrain.integrations.huggingface.weighted_ssl.WeightedSSLModel"
FRONT_END_KEYS = {"hub", "save_path", "layernorm", "freeze"}
TUPLE = re.compile(r"\([\w\s.,+-]*\)")  # the loader reads it as unsafe YAML
REFERENCE = re.compile(r"<[^<>]*\.[^<>]*>")  # an attribute of an object


def check_encoder_folder(folder):
    """Refuses a folder that could run code, or lead out of itself.

    Arguments
    ---------
    folder : str

    Raises
    ------
    FileNotFoundError, ValueError
        In one line: file, what it would do, and the remedy.
    """
    path = Path(folder) / "hyperparams.yaml"
    refuse_outside(folder, path)
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} is larger than {MAX_BYTES} bytes: {REMEDY}")
    try:
        loadables = check_hyperparams(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, ruamel.yaml.error.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: {reason}: {REMEDY}") from None
    for name in loadables:
        weights = Path(folder) / f"{name}.ckpt"
        refuse_outside(folder, weights)
        read_weights(weights)


def no_encoder(folder, name):
    """The error of a folder that lacks a file of an encoder.

    Example
    -------
    >>> str(no_encoder("me/voices", "hyperparams.yaml")).split("give ")[1]
    '--encoder_folder=<output of a stage>/export, or what `hf download me/voices` prints'
    """
    text = (
        f"{folder} is not an encoder folder (no {name}): give "
        "--encoder_folder=<output of a stage>/export"
    )
    hub = re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", str(folder))
    if hub and not Path(folder).exists():
        text += f", or what `hf download {folder}` prints"
    return FileNotFoundError(text)


def weights_of(folder):
    """Path of the weights of an encoder folder."""
    path = Path(folder) / "embedding_model.ckpt"
    if not path.is_file():
        raise no_encoder(folder, path.name)
    return path


def refuse_outside(folder, path):
    """Raises an error for a file that is not there, or links elsewhere."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist: export the encoder again"
        )
    found, home = path.resolve(), Path(folder).resolve()
    if found.is_relative_to(home):
        return
    # the Hugging Face cache: snapshots/<revision>/name -> ../../blobs/<hash>
    cached = home.parent.name == "snapshots"
    if not cached or found.parent != home.parent.parent / "blobs":
        raise ValueError(f"{path} links out of its folder: {REMEDY}")


def read_weights(path):
    """Tensors by name, from a file that may hold nothing else.

    Arguments
    ---------
    path : Path

    Returns
    -------
    dict

    Raises
    ------
    ValueError
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception:  # bytes that are no pickle can raise nearly anything
        state = None
    if not isinstance(state, dict):
        raise ValueError(
            f"{path} is not a file of weights, or damaged: export it again"
        )
    return state


def check_hyperparams(text):
    """Checks a ``hyperparams.yaml`` without building anything.

    Arguments
    ---------
    text : str

    Returns
    -------
    list of str
        Names of the files of weights that it loads.

    Raises
    ------
    ValueError
        Naming what must not be there.

    Example
    -------
    >>> pretrainer = f"pretrainer: !new:{PRETRAINER} {{loadables: {{e: 1}}}}"
    >>> check_hyperparams(pretrainer)
    ['e']
    >>> check_hyperparams("x: !apply:os.system [ls]")
    Traceback (most recent call last):
    ValueError: line 1 has the tag !apply:os.system
    """
    root = check_layers(text)
    top = {key.value: value for key, value in root.value}
    pretrainer = top.get("pretrainer")
    if pretrainer is None or not pretrainer.tag.endswith(f":{PRETRAINER}"):
        raise ValueError("it has no pretrainer")
    (_, loadables), *_ = pretrainer.value
    if not isinstance(loadables, ruamel.yaml.MappingNode):
        raise ValueError("the loadables of its pretrainer are no mapping")
    return [key.value for key, _ in loadables.value]


def check_layers(text):
    """Checks that HyperPyYAML would build networks and nothing else.

    Arguments
    ---------
    text : str

    Returns
    -------
    ruamel.yaml.MappingNode
        The document, its references resolved.

    Raises
    ------
    ValueError
        Naming what must not be there.

    Example
    -------
    >>> _ = check_layers("x: !new:speechbrain.lobes.features.Fbank")
    >>> check_layers("x: !apply:os.system [ls]")
    Traceback (most recent call last):
    ValueError: line 1 has the tag !apply:os.system
    """
    # Resolving references follows !include and calls !applyref, so the tags
    # come first. What is resolved is then the very text that gets loaded.
    for node in nodes(ruamel.yaml.YAML().compose(text)):
        refuse_tag(node, ("!ref", "!copy"))
        if REFERENCE.search(str(node.value)) and is_scalar(node):
            raise ValueError(f"{line(node)} refers to {node.value}")
    resolved = resolve_references(text).read()
    loader = ruamel.yaml.Loader(resolved)
    loader.add_implicit_resolver("!tuple", re.compile(r"^\(.*\)$"), "(")
    root = loader.get_single_node()
    if not isinstance(root, ruamel.yaml.MappingNode):
        raise ValueError("it is not a mapping")
    for node in nodes(root):
        refuse_tag(node)
        kind, _, name = node.tag.partition(":")
        if kind in ("!new", "!name"):
            refuse_class(node, kind, name)
    return root


def nodes(root):
    """Yields every node of a composed YAML document, keys included."""
    seen, waiting = set(), [root]
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:  # an alias may lead in a circle
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, ruamel.yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, ruamel.yaml.SequenceNode):
            waiting += node.value


def is_scalar(node):
    """Whether a node holds text."""
    return isinstance(node, ruamel.yaml.ScalarNode)


def line(node):
    """Where a node begins, for a message."""
    return f"line {node.start_mark.line + 1}"


def refuse_tag(node, also=()):
    """Raises ValueError for a tag that plain values and networks lack."""
    if node.tag == "!tuple" and is_scalar(node):
        if not TUPLE.fullmatch(node.value):
            raise ValueError(f"{line(node)} has the tuple {node.value}")
    elif node.tag not in PLAIN_TAGS and node.tag not in also:
        if not node.tag.startswith(("!new:", "!name:")):
            tag = node.tag.replace(CORE, "!!")
            raise ValueError(f"{line(node)} has the tag {tag}")


def refuse_class(node, kind, name):
    """Raises ValueError for a class that is no network, or has odd options."""
    keys = set()
    if isinstance(node, ruamel.yaml.MappingNode):
        keys = {key.value for key, _ in node.value}
    if name == PRETRAINER:
        # with `paths` it would load from anywhere, hubs included
        allowed = kind == "!new" and keys == {"loadables"}
    elif name == NORMALIZER:  # resamples, and averages channels
        allowed = kind == "!new" and keys <= {"sample_rate", "mix"}
    elif name == FRONT_END:
        allowed = (
            isinstance(node, ruamel.yaml.MappingNode) and keys <= FRONT_END_KEYS
        )
    else:
        allowed = is_network(name)
    if not allowed:
        options = f" with {', '.join(sorted(keys))}" if keys else ""
        raise ValueError(
            f"{line(node)} builds {name}{options}, and only networks of "
            "SpeechBrain and PyTorch are known to be harmless"
        )
    for inner in nodes(node):
        text = inner.value if is_scalar(inner) else ""
        if leads_out(text) or text.startswith("~"):
            raise ValueError(f"{line(inner)} names {text}, outside the folder")


def is_network(name):
    """Whether a dotted name is a network where the list above has it.

    Only what the module itself defines counts: a module that imports
    ``subprocess`` has ``subprocess.Popen`` as well.

    Example
    -------
    >>> is_network("torch.nn.Linear"), is_network("torch.nn.Module.apply")
    (True, False)
    >>> is_network("speechbrain.nnet.containers.Sequential")
    True
    """
    found = NETWORKS.fullmatch(name)
    if found is None:
        return False
    try:
        module = importlib.import_module(found[1])
    except ImportError:
        return False
    network = getattr(module, found[2], None)
    return (
        isinstance(network, type)
        and issubclass(network, torch.nn.Module)
        and (network.__module__ + ".").startswith(f"{found[1]}.")
    )
