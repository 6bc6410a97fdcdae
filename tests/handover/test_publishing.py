"""Publishing, against a server that speaks the hub's protocol."""

import base64
import hashlib
import http.server
import json
import logging
import re
import shutil
import threading

import huggingface_hub
import pytest
import torch
from huggingface_hub import ModelCard

from ssrl_brain.commands import publish, verify
from ssrl_brain.system import errors

TOKEN = "hf_" + "SecretOfATest" * 2


class Hub(http.server.ThreadingHTTPServer):
    """What the hub answers to the requests of ``HfApi``; large files by LFS."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), HubRequest)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.repositories = {}  # name -> visibility
        self.objects = {}  # sha256 -> content
        self.files = {}  # of the commit
        self.requests = []


class HubRequest(http.server.BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def answer(self, value, status=200):
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        name = self.path.removeprefix("/api/models/")
        hub = self.server
        hub.requests.append(("GET", self.path))
        if name not in hub.repositories:
            return self.answer({"error": "Repository not found"}, 404)
        private = hub.repositories[name] == "private"
        self.answer({"id": name, "private": private, "siblings": []})

    def do_PUT(self):
        content = self.body()
        self.server.requests.append(("PUT", self.path))
        assert "Authorization" not in self.headers  # storage is elsewhere
        self.server.objects[hashlib.sha256(content).hexdigest()] = content
        self.answer({})

    def do_POST(self):
        hub, content = self.server, self.body()
        hub.requests.append(("POST", self.path))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer({"error": "Invalid username or password."}, 401)
        if self.path == "/api/repos/create":
            return self.create(json.loads(content))
        if self.path == "/api/validate-yaml":
            return self.answer({"errors": [], "warnings": []})
        if self.path.endswith("/preupload/main"):
            files = json.loads(content)["files"]
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs"
                    if file["path"].endswith(".ckpt")
                    else "regular",
                    "shouldIgnore": False,
                }
                for file in files
            ]
            return self.answer({"files": modes})
        if self.path.endswith("/info/lfs/objects/batch"):
            return self.batch(json.loads(content))
        if self.path.endswith("/commit/main"):
            return self.commit(content)
        self.answer({"error": self.path}, 404)

    def create(self, wanted):
        name = f"{wanted['organization']}/{wanted['name']}"
        exists = name in self.server.repositories
        visibility = wanted.get("visibility") or "public"
        self.server.repositories.setdefault(name, visibility)
        url = f"{self.server.url}/{name}"
        self.answer({"url": url}, 409 if exists else 200)

    def batch(self, wanted):
        objects = [
            {
                **file,
                "actions": {
                    "upload": {"href": f"{self.server.url}/s3/{file['oid']}"}
                },
            }
            for file in wanted["objects"]
        ]
        self.answer({"transfer": "basic", "objects": objects})

    def commit(self, content):
        hub = self.server
        for line in content.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                hub.files[value["path"]] = base64.b64decode(value["content"])
            if item["key"] == "lfsFile":
                hub.files[value["path"]] = hub.objects[value["oid"]]
        name = self.path.split("/")[3:5]
        url = f"{hub.url}/{'/'.join(name)}/commit/{'0' * 40}"
        self.answer({"commitUrl": url, "commitOid": "0" * 40})


@pytest.fixture
def hub(monkeypatch):
    """A running server that the library takes for the hub."""
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    monkeypatch.setattr(
        "ssrl_brain.handover.publishing.HfApi",
        lambda: huggingface_hub.HfApi(endpoint=server.url, token=TOKEN),
    )
    # the storage of the real hub speaks a protocol of its own
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def run(start, command, tmp_path_factory):
    """A run of a stage with its verification: options of publish.py."""
    root = tmp_path_factory.mktemp("publish")
    verify.main(command("verify.yaml", **start, output_folder=root / "verify"))
    return {
        "encoder_folder": start["encoder_folder"],
        "run_folder": start["encoder_folder"].parent,
        "prepared_folder": start["prepared_folder"],
        "verify_folder": root / "verify",
        "repo_id": "me/my-voices",
        "license": "apache-2.0",
    }


def arguments(options, *flags):
    return [f"--{key}={value}" for key, value in options.items()] + [*flags]


def test_exactly_the_files_of_the_encoder_arrive(run, hub, caplog):
    caplog.set_level(logging.DEBUG)
    publish.main(arguments(run))
    assert hub.repositories == {"me/my-voices": "public"}
    assert sorted(hub.files) == [
        "README.md",
        "embedding_model.ckpt",
        "hyperparams.yaml",
        "metrics.json",
    ]
    folder = run["encoder_folder"]
    for name in ("embedding_model.ckpt", "hyperparams.yaml"):
        assert hub.files[name] == (folder / name).read_bytes()
    figures = json.loads((run["verify_folder"] / "metrics.json").read_text())
    assert json.loads(hub.files["metrics.json"]) == figures
    assert sum(kind == "PUT" for kind, _ in hub.requests) == 1
    assert sum("/commit/" in path for _, path in hub.requests) == 1
    assert TOKEN not in caplog.text


def test_the_card_says_what_a_user_has_to_know(run, hub):
    publish.main(arguments(run, "--data=Buzzing voices."))
    text = hub.files["README.md"].decode()
    card = ModelCard(text)
    assert card.data.license == "apache-2.0"
    assert card.data.library_name == "speechbrain"
    assert "self-supervised" in card.data.tags
    figures = json.loads((run["verify_folder"] / "metrics.json").read_text())
    eer = next(r for r in card.data.eval_results if r.metric_type == "eer")
    assert eer.metric_value == round(figures["trials"]["eer"], 4)
    low, high = figures["trials"]["intervals"]["eer"]
    assert f"({low:.3g} to {high:.3g})" in text
    assert 'from_hparams(source="me/my-voices")' in text
    assert "Contrastive start" in text and "cai2021iterative" in text
    assert "Buzzing voices. 24 utterances" in text and "0.25" in text


def test_the_threshold_has_the_error_rates_of_the_card(run, hub):
    publish.main(arguments(run))
    text = hub.files["README.md"].decode()
    threshold = float(re.search(r"score.item\(\) > (\S+)", text).group(1))
    row = re.search(r"as many misses.*\| (\S+) \| (\S+) \| (\S+) \|", text)
    exact, missed, alarms = map(float, row.groups())
    assert abs(threshold - exact) < 1e-3
    lines = (run["verify_folder"] / "scores/trials.txt").read_text().split("\n")
    trials = [line.split() for line in lines if line]
    sides = {label: [] for label in "01"}
    for score, label, *_ in trials:
        # figures of four digits: the threshold is one of the scores
        sides[label].append(float(score) > exact + 5e-5)
    assert missed == pytest.approx(
        100 - 100 * sum(sides["1"]) / len(sides["1"]), abs=0.01
    )
    assert alarms == pytest.approx(
        100 * sum(sides["0"]) / len(sides["0"]), abs=0.01
    )


def test_a_dry_run_sends_nothing(run, hub, capsys):
    sizes = publish.main(arguments(run, "--dry-run", "--private"))
    assert hub.requests == []
    printed = capsys.readouterr().out
    assert "library_name: speechbrain" in printed
    assert "Nothing was sent to me/my-voices." in printed
    assert all(name in printed for name in sizes)


def test_private_stays_private(run, hub):
    publish.main(arguments(run, "--private"))
    assert hub.repositories == {"me/my-voices": "private"}
    hub.files.clear()
    hub.repositories["me/my-voices"] = "public"
    with pytest.raises(ValueError, match="exists and is public"):
        publish.main(arguments(run, "--private"))
    assert hub.files == {}


def test_a_wrong_token_is_one_line_without_the_token(run, hub, monkeypatch):
    monkeypatch.setattr(
        "ssrl_brain.handover.publishing.HfApi",
        lambda: huggingface_hub.HfApi(endpoint=hub.url, token="hf_wrong"),
    )
    with pytest.raises(SystemExit) as stop, errors.one_line_errors([]):
        publish.main(arguments(run))
    assert "401" in stop.value.code
    assert "\n" not in stop.value.code and "hf_wrong" not in stop.value.code
    assert hub.files == {}


def test_without_figures_no_threshold_is_suggested(run, hub):
    only = ("encoder_folder", "repo_id", "license")
    publish.main(arguments({key: run[key] for key in only}))
    text = hub.files["README.md"].decode()
    assert "> THRESHOLD" in text and "Not measured." in text
    own = run["encoder_folder"] / "metrics.json"
    assert hub.files["metrics.json"] == own.read_bytes()


def put(name, text):
    return lambda folder: (folder / name).write_text(text)


def link(folder):
    (folder / "README.md").unlink()
    (folder / "README.md").symlink_to("/etc/hostname")


def weights(change):
    def apply(folder):
        path = folder / "embedding_model.ckpt"
        state = torch.load(path, weights_only=True)
        torch.save(change(dict(state)), path)

    return apply


def with_optimizer(state):
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.Adam(model.parameters()).state_dict()
    return {"model": state, "optimizer": optimizer}


@pytest.mark.parametrize(
    "spoil, message",
    [
        (put("optimizer.ckpt", "x"), "optimizer.ckpt does not belong"),
        (put(".env", "x"), ".env does not belong"),
        (lambda folder: (folder / "save").mkdir(), "save is not a plain file"),
        (link, "README.md is not a plain file"),
        (put("README.md", "run on /data/me/vox"), "names a folder .*/data/me"),
        (put("README.md", "see C:\\Users\\me"), "names a folder"),
        (put("metrics.json", f'{{"a": "{TOKEN}"}}'), "like a token: remove"),
        (weights(with_optimizer), "'model', which is no weight"),
        (weights(lambda s: {**s, "exp_avg": s["fc.conv.bias"]}), "'exp_avg'"),
        (weights(lambda s: dict(list(s.items())[1:])), "the same encoder"),
        (put("embedding_model.ckpt", "x"), "not a file of weights"),
        (lambda f: (f / "hyperparams.yaml").unlink(), "no hyperparams.yaml"),
    ],
)
def test_anything_else_is_refused_before_anything_is_sent(
    run, hub, tmp_path, spoil, message
):
    folder = tmp_path / "export"
    shutil.copytree(run["encoder_folder"], folder)
    spoil(folder)
    options = {**run, "encoder_folder": folder}
    del options["verify_folder"], options["run_folder"]
    with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
        publish.main(arguments(options))
    assert "\n" not in str(error.value) and TOKEN not in str(error.value)
    assert hub.requests == []


def test_texts_of_the_card_are_checked_as_well(run, hub):
    with pytest.raises(ValueError, match="README.md names a folder"):
        publish.main(arguments(run, "--data=All of /home/me/calls."))
    assert hub.requests == []


def test_figures_of_another_encoder_are_refused(run, hub, tmp_path):
    folder = tmp_path / "verify"
    shutil.copytree(run["verify_folder"], folder)
    path = folder / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["trials"]["encoder"] = "0"
    path.write_text(json.dumps(metrics))
    with pytest.raises(ValueError, match="not made with the encoder"):
        publish.main(arguments({**run, "verify_folder": folder}))
    assert hub.requests == []


@pytest.mark.parametrize(
    "name", ["voices", "a/b/c", "me/my voices", "me/a--b", "-me/x", "me/x.git"]
)
@pytest.mark.parametrize("flags", [[], ["--dry_run"]], ids=str)
def test_names_that_the_hub_refuses(name, flags, run, hub):
    with pytest.raises(ValueError, match=f"--repo_id={name} is no") as caught:
        publish.main(arguments({**run, "repo_id": name}, *flags))
    assert "\n" not in str(caught.value) and hub.requests == []


@pytest.fixture
def copied(run, tmp_path):
    """The run's own folder, to be changed; options of publish.py."""
    folder = tmp_path / "run"
    shutil.copytree(run["run_folder"], folder)
    return {**run, "run_folder": folder}


def test_a_run_must_be_that_of_the_encoder(copied, hub):
    path = copied["run_folder"] / "exported.json"
    record = json.loads(path.read_text())
    assert record["epochs"] == 0
    publish.main(arguments(copied, "--dry_run"))
    path.unlink()  # of an older version: its export folder tells
    publish.main(arguments(copied, "--dry_run"))
    weights(lambda s: {k: v + 1 for k, v in s.items()})(path.parent / "export")
    for text in (None, json.dumps({**record, "encoder": "0"})):
        if text:
            path.write_text(text)
        with pytest.raises(ValueError, match="did not make the encoder"):
            publish.main(arguments(copied, "--dry_run"))


def test_a_run_must_be_finished(copied, hub):
    folder = copied["run_folder"]
    (folder / "history.jsonl").write_text('{"epoch": 1, "loss": 1.0}\n')
    with pytest.raises(ValueError, match="gone on .* from epoch 0 to 1"):
        publish.main(arguments(copied, "--dry_run"))
    shutil.rmtree(folder / "export")
    (folder / "exported.json").unlink()
    with pytest.raises(ValueError, match="has exported no encoder"):
        publish.main(arguments(copied, "--dry_run"))
