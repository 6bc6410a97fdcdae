"""TensorBoard events of a stage."""

from pathlib import Path

from ruamel.yaml import YAML
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)


class NoEvents:
    """Writes nothing."""

    def epoch(self, epoch, groups):
        """Values of an epoch, by group."""

    def step(self, number, loss):
        """Loss of a step."""


class Events(NoEvents):
    """Values by epoch in ``tensorboard/``, losses by step in a run beside it.

    They are two runs because TensorBoard forgets, when a run is resumed, all
    that lies beyond the point it is resumed at, and counts one axis.

    Arguments
    ---------
    folder : str
        Output folder of a stage.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.writers = {}
        self.is_there = True

    def epoch(self, epoch, groups):
        """Values of an epoch, by group; hyper-parameters with the first."""
        writer = self._writer("tensorboard", epoch)
        if writer is None:
            return
        for group, values in groups.items():
            for key, value in values.items():
                writer.add_scalar(f"{group}/{key}", value, epoch)
        for writer in self.writers.values():
            writer.flush()

    def step(self, number, loss):
        """Loss of a step."""
        writer = self._writer("tensorboard/steps", number)
        if writer is not None:
            writer.add_scalar("train/loss_of_step", loss, number)

    def _writer(self, name, first):
        if not self.is_there or name in self.writers:
            return self.writers.get(name)
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self.is_there = False
            logger.info(
                "No TensorBoard events: `pip install tensorboard` for them"
            )
            return None
        writer = SummaryWriter(str(self.folder / name), purge_step=first)
        self.writers[name] = writer
        if name == "tensorboard":
            self._add_hyperparameters(writer)
        return writer

    def _add_hyperparameters(self, writer):
        """The resolved YAML as text, its plain values as hyper-parameters."""
        from torch.utils.tensorboard.summary import hparams

        path = self.folder / "hyperparams.yaml"
        if not path.is_file():
            return
        text = path.read_text(encoding="utf-8")
        writer.add_text("hyperparams", f"```\n{text}\n```", 0)
        plain = {
            key: value if isinstance(value, (bool, int, float)) else str(value)
            for key, value in (YAML(typ="rt").load(text) or {}).items()
            if isinstance(value, (bool, int, float, str))
        }
        for summary in hparams(plain, METRICS):
            writer.file_writer.add_summary(summary)


METRICS = {  # of the table of hyper-parameters
    "train/loss": None,
    "valid/eer_student": None,
    "valid/eer_teacher": None,
    "valid/proxy_eer": None,
}
