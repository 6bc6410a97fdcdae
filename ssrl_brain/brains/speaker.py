"""What every stage shares: batches, features, optimisation, validation, log.

A stage's Brain says which batch goes through which network; everything a
user can choose is a key of its YAML.
"""

import time

import speechbrain as sb
import torch
from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)
from speechbrain.utils.distributed import if_main_process

from ssrl_brain.data.augment import augmented
from ssrl_brain.data.batches import make_loader
from ssrl_brain.data.transfer import ToDevice
from ssrl_brain.evaluation.embed import encoding
from ssrl_brain.handover.run_record import export_run
from ssrl_brain.networks import ema
from ssrl_brain.networks.faster import constants_to_
from ssrl_brain.system.distributed import rank, share_buffers
from ssrl_brain.training.checkpoints import (
    add_identity,
    check_identity,
    diverged,
    refuse_nonfinite,
)
from ssrl_brain.training.ranks import wrap_
from ssrl_brain.training.unread import UnreadLosses

LOSSES_AT_ONCE = 10  # that a GPU is waited for; the progress bar shows them


@register_checkpoint_hooks
class SpeakerBrain(sb.Brain):
    """Base of all stages.

    ``modules`` holds ``student`` (an ``EncoderWithHead``) and the feature
    layers. A teacher, where there is one, stays outside, so that neither
    ``fit`` nor DDP nor the optimizer touches it.
    """

    teacher = None
    reads_speakers = False  # of training utterances, in order to learn
    inside_epoch = False
    interrupted = False  # by Ctrl-C, see ssrl_brain.system.interrupt

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        on_cuda = self.device_type == "cuda"
        constants_to_(self.modules.compute_features, self.device)
        self.to_device = ToDevice(self.device)
        self.unread = UnreadLosses(LOSSES_AT_ONCE if on_cuda else 1)

    def make_dataloader(self, dataset, stage, **loader_kwargs):
        """Batches as a function of (seed, epoch), for any number of ranks."""
        self.train_set = dataset
        loader = make_loader(
            dataset,
            self.hparams.batch_size,
            self.hparams.seed,
            **{"pin_memory": self.device_type == "cuda", **loader_kwargs},
        )
        self.train_sampler = loader.batch_sampler
        if self.checkpointer is not None:
            self.checkpointer.add_recoverable("dataloader-TRAIN", loader)
        return loader

    def on_fit_start(self):
        """Makes what depends on the corpus, then recovers all of it."""
        if self.teacher is not None:
            self.teacher.to(self.device)
            ema.copy_(self.teacher, self.hparams.student)
        self.validation = self.hparams.make_validation()
        self.make_state()
        self.proxy = self.hparams.make_proxy(
            self.train_set.utterances, self.starting_labels()
        )
        encoder = self.hparams.exported.encoder
        self.hparams.export_epoch.begin(encoder, self.proxy)
        self.remember("export_epoch", self.hparams.export_epoch)
        super().on_fit_start()

    def make_state(self):
        """Hook: per-utterance memories, registered before the recovery."""

    def starting_labels(self):
        """Hook: pseudo labels (N,) that training begins with, or None."""
        return self.train_set.labels

    def remember(self, name, module, device=None):
        """Puts a module with buffers on the device and in the checkpoints."""
        setattr(self, name, module.to(device or self.device))
        if self.checkpointer is not None and module.state_dict():
            self.checkpointer.add_recoverable(name, module)

    def _compile(self):
        """As the toolkit does, and the teacher as the student."""
        super()._compile()
        keys = self.compile_module_keys or self.modules
        if self.compile and self.teacher is not None and "student" in keys:
            self.teacher.compile(
                mode=self.compile_mode,
                fullgraph=self.compile_using_fullgraph,
                dynamic=self.compile_using_dynamic_shape_tracing,
            )

    def _wrap_distributed(self):
        if self.distributed_launch:
            wrap_(
                self.modules,
                self.teacher,
                self.device,
                self.find_unused_parameters,
            )

    # ---- time ----

    def on_stage_start(self, stage, epoch=None):
        """Starts the clock."""
        self.epoch = epoch
        self.epoch_started = time.time()
        self.inside_epoch = True

    @property
    def fractional_epoch(self):
        """Epochs done so far, with the part of the current one."""
        return self.epoch - 1 + (self.step - 1) / len(self.train_sampler)

    @property
    def lr(self):
        """Learning rate of the present step."""
        return self.hparams.lr_schedule(self.fractional_epoch)

    def on_fit_batch_start(self, batch, should_step):
        """Sets the learning rate, and the randomness of dropout."""
        seed = (self.hparams.seed, self.epoch, self.step, rank())
        torch.manual_seed(hash(seed))
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr

    # ---- one step ----

    def fit_batch(self, batch):
        """The toolkit's step, without waiting for the loss three times."""
        batch = self.to_device(batch)
        should_step = self.step % self.grad_accumulation_factor == 0
        self.on_fit_batch_start(batch, should_step)
        with self.no_sync(not should_step):
            with self.training_ctx:
                outputs = self.compute_forward(batch, sb.Stage.TRAIN)
                loss = self.compute_objectives(outputs, batch, sb.Stage.TRAIN)
            share = loss / self.grad_accumulation_factor
            self.scaler.scale(share).backward()
        if should_step:
            self.optimizers_step()
        self.on_fit_batch_end(batch, outputs, loss, should_step)
        return loss.detach()

    def features(self, view):
        """A ``ViewBatch`` -> (n * B, frames, F), view by view."""
        with torch.no_grad():
            return self.features_of(augmented(view))

    def features_of(self, wave, lengths=None):
        """(B, T) waveforms -> (B, frames, F) normalised features."""
        if lengths is None:
            lengths = torch.ones(len(wave), device=wave.device)
        features = self.modules.compute_features(wave)
        return self.modules.mean_var_norm(features, lengths)

    def init_optimizers(self):
        """One optimizer for what the student has to learn."""
        self.optimizer = self.opt_class(self.parameter_groups())
        self.optimizers_dict = {"opt_class": self.optimizer}
        if self.checkpointer is not None:
            self.checkpointer.add_recoverable("optimizer", self.optimizer)

    def parameter_groups(self):
        """Parameters, or groups of them, as an optimizer takes them."""
        return [p for p in self.modules.student.parameters() if p.requires_grad]

    def with_teacher(self):
        """The student and, where there is one, its teacher."""
        found = (self.hparams.student, self.teacher)
        return [network for network in found if network is not None]

    def networks(self):
        """What the student consists of, whose gradients are clipped apart."""
        return [self.modules.student]

    def optimizers_step(self):
        """One clipped step; the toolkit clips only one parameter group."""
        self.scaler.unscale_(self.optimizer)
        self.adjust_gradients()
        for network in self.networks():
            torch.nn.utils.clip_grad_norm_(
                network.parameters(), self.max_grad_norm
            )
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.optimizer_step += 1
        if self.device_type != "cuda":  # there BatchNorm is synchronised
            share_buffers(self.hparams.student)  # before the teacher follows

    def update_average(self, loss, avg_loss):
        """Of all ranks: neither logs nor schedules tell how many there are."""
        self.unread.add(self.step, loss)
        return self.read_losses(avg_loss) if self.unread.are_due else avg_loss

    def read_losses(self, average):
        """The running average; ends training if losses stay non-finite."""
        average, nonfinite = self.unread.read(average, self.log_loss)
        for _ in range(nonfinite):
            self.check_loss_isfinite(torch.tensor(torch.nan))
        return average

    def log_loss(self, step, loss):
        """Writes the loss of a step of this epoch."""
        before = (self.epoch - 1) * len(self.train_sampler)
        self.hparams.epoch_log.step(before + step, loss)

    def check_loss_isfinite(self, loss):
        """Passes over a few losses that are no numbers, then gives up."""
        try:
            super().check_loss_isfinite(loss)
        except ValueError:
            what = "the loss is NaN or infinite"
            raise ValueError(diverged(what, self.checkpointer)) from None

    def adjust_gradients(self):
        """Hook: between backward and clipping."""

    # ---- end of an epoch ----

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Finishes the epoch, validates, logs and saves."""
        self.inside_epoch = False
        self.avg_train_loss = self.read_losses(self.avg_train_loss)
        for network in self.with_teacher():
            share_buffers(network)
        self.refuse_divergence()
        record = {"epoch": epoch, "lr": self.lr, "loss": self.avg_train_loss}
        record |= self.end_epoch(epoch)
        record["seconds"] = round(time.time() - self.epoch_started, 2)
        last = self.hparams.epoch_counter.limit
        if self.validation.is_due(epoch, last):
            record |= self.validate()
        encoder = self.hparams.exported.encoder
        if self.proxy.is_due(epoch, last):
            encode = self.encode_with(encoder)
            record["proxy_eer"] = self.proxy(encode, self.device)
        self.export_epoch.observe(epoch, record, encoder)
        if if_main_process():
            self.hparams.epoch_log.record(record)
        if self.checkpointer is not None:
            self.checkpointer.save_and_keep_only(meta={"epoch": epoch})

    def end_epoch(self, epoch):
        """Hook: what a method does between epochs; returns log values."""
        return {}

    def encoders(self):
        """Networks that validation compares, by name."""
        encoders = {"student": self.hparams.student.encoder}
        if self.teacher is not None:
            encoders["teacher"] = self.teacher.encoder
        return encoders

    def validate(self):
        """Verification metrics of every encoder, as ``eer_student``."""
        return {
            f"{metric}_{name}": value
            for name, encoder in self.encoders().items()
            for metric, value in self.validation(
                self.encode_with(encoder), self.device
            ).items()
        }

    def encode_with(self, encoder):
        """A function (wave (B, T), lengths (B,)) -> (B, D) in eval mode."""
        return encoding(encoder, self.features_of)

    # ---- hand-over ----

    def export(self, folder):
        """Writes the encoder folder of this stage."""
        epoch, encoder = self.export_epoch.chosen(self.hparams.exported.encoder)
        refuse_nonfinite(encoder.state_dict(), self.checkpointer)
        export_run(
            folder,
            self.hparams.output_folder,
            encoder,
            epoch,
            stage=type(self).__name__.removesuffix("Brain"),
            with_labels=self.reads_speakers,
            foreign=self.hparams.export_foreign,
        )

    # ---- checkpoints ----

    def _should_save_intra_epoch_ckpt(self, *when):
        """Never between accumulated gradients: no checkpoint has them."""
        if self.step % self.grad_accumulation_factor:
            return False
        return super()._should_save_intra_epoch_ckpt(*when) or (
            self.interrupted and self.checkpointer is not None
        )

    def refuse_divergence(self):
        """Ends a run whose weights are no numbers before it saves them."""
        for network in self.with_teacher():
            refuse_nonfinite(network.state_dict(), self.checkpointer)

    def _save_intra_epoch_ckpt(self):
        self.refuse_divergence()
        self.avg_train_loss = self.read_losses(self.avg_train_loss)
        super()._save_intra_epoch_ckpt()
        if self.interrupted:
            raise KeyboardInterrupt

    @mark_as_saver
    def _save(self, path):
        super()._save(path)
        add_identity(path, self.table_fingerprint())

    @mark_as_loader
    def _recover(self, path, end_of_epoch):
        super()._recover(path, end_of_epoch)
        check_identity(path, self.table_fingerprint())
        if end_of_epoch:  # saved before ``fit`` resets them
            self.step, self.avg_train_loss = 0, 0.0

    def table_fingerprint(self):
        """Identity of what per-utterance state belongs to."""
        return self.train_set.fingerprint()
