"""What all stages share: losses read late, and what several GPUs agree on."""

import pytest
import torch

from ssrl_brain.brains.speaker import SpeakerBrain
from ssrl_brain.networks.ema import frozen_copy
from ssrl_brain.training import ranks
from ssrl_brain.training.unread import UnreadLosses


@pytest.fixture
def brain():
    """Without modules or a YAML."""
    brain = SpeakerBrain.__new__(SpeakerBrain)
    brain.unread = UnreadLosses(at_once=3)
    brain.nonfinite_count, brain.nonfinite_patience = 0, 3
    brain.step, brain.avg_train_loss = 0, 0.0
    brain.log_loss, brain.checkpointer = lambda step, loss: None, None
    return brain


def note(brain, *losses):
    for loss in losses:
        brain.step += 1
        brain.avg_train_loss = brain.update_average(
            torch.tensor(loss), brain.avg_train_loss
        )


def test_the_average_follows_every_few_steps(brain):
    note(brain, 1.0, 3.0)
    assert brain.avg_train_loss == 0.0
    note(brain, 5.0, 7.0)
    assert brain.avg_train_loss == 3.0
    assert brain.read_losses(brain.avg_train_loss) == 4.0  # before it is saved


def test_losses_that_stay_non_finite_end_training(brain):
    note(brain, 1.0, float("nan"), 1.0, float("inf"), float("nan"), 1.0)
    assert brain.nonfinite_count == 3 and brain.avg_train_loss == 1.0
    with pytest.raises(ValueError, match="NaN or infinite"):
        note(brain, 1.0, float("nan"), 1.0)


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_gpus_share_the_statistics_of_student_and_teacher(
    brain, device, monkeypatch
):
    """A teacher that normalises by its batch must see that of all ranks."""
    wrapped = {}

    def wrap(module, **options):
        wrapped.update(options)
        return module

    monkeypatch.setattr(ranks, "DistributedDataParallel", wrap)
    student = torch.nn.Sequential(
        torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)
    )
    brain.distributed_launch, brain.find_unused_parameters = True, False
    brain.device_type = brain.device = device
    brain.teacher = torch.nn.ModuleDict({"encoder": frozen_copy(student)})
    brain.modules = torch.nn.ModuleDict({"student": student})
    before = brain.teacher.state_dict().keys()
    brain._wrap_distributed()
    kind = torch.nn.SyncBatchNorm if device == "cuda" else torch.nn.BatchNorm1d
    assert type(brain.modules["student"][1]) is kind
    assert type(brain.teacher["encoder"][1]) is kind
    assert brain.teacher.state_dict().keys() == before
    assert not any(p.requires_grad for p in brain.teacher.parameters())
    assert not brain.teacher["encoder"].training
    assert wrapped["broadcast_buffers"] is False


@pytest.mark.parametrize(
    ("compile", "keys", "both"),
    [
        (True, ["student"], True),
        (True, ["features"], False),
        (True, None, True),
        (False, None, False),
    ],
)
def test_a_teacher_is_compiled_as_the_student(brain, compile, keys, both):
    brain.compile, brain.compile_module_keys = compile, keys
    brain.jit, brain.jit_module_keys = False, None
    brain.compile_mode, brain.device = "default", "cpu"
    brain.compile_using_fullgraph = False
    brain.compile_using_dynamic_shape_tracing = None
    student = torch.nn.Linear(2, 2)
    brain.teacher = frozen_copy(student)
    brain.modules = torch.nn.ModuleDict(
        {"student": student, "features": torch.nn.Identity()}
    )
    before = brain.teacher.state_dict().keys()
    brain._compile()
    assert (brain.modules["student"] is not student) is both
    assert (brain.teacher._compiled_call_impl is not None) is both
    assert brain.teacher.state_dict().keys() == before
