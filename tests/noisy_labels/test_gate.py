"""Gates from epoch to epoch."""

import logging
import math

import pytest
import torch

from ssrl_brain.noisy_labels.gate import DynamicGate, FixedGate
from ssrl_brain.noisy_labels.gmm import TwoGaussians, fit_two_gaussians
from ssrl_brain.noisy_labels.loss_axis import LogLoss, LogOdds

MIXTURE = TwoGaussians(*torch.tensor([[0.5, 0.5], [-3.0, 1.0], [1.0, 1.0]]))


def values(gate, mixtures):
    """The gate in each epoch, the first included."""
    found = [gate.value.item()]
    for epoch, mixture in enumerate(mixtures, 1):
        gate.close_epoch(epoch, mixture)
        found.append(gate.value.item())
    return found


def test_fixed_gate_opens_the_first_epochs_only():
    assert values(FixedGate(3.0, open_epochs=2), [MIXTURE] * 3) == [
        math.inf,
        math.inf,
        3.0,
        3.0,
    ]
    assert values(FixedGate(3.0, open_epochs=0), [MIXTURE]) == [3.0, 3.0]
    assert values(FixedGate(), [MIXTURE] * 2) == [math.inf] * 3


def test_dynamic_gate_is_where_the_densities_meet():
    found = values(DynamicGate(open_epochs=2), [MIXTURE] * 3)
    assert found[:2] == [math.inf, math.inf]
    assert found[2:] == pytest.approx([math.exp(-1.0)] * 2)


@pytest.mark.parametrize(
    "losses",
    [
        torch.full((50,), 0.7),
        torch.zeros(50),
        torch.full((50,), torch.inf),
        torch.full((50,), torch.nan),
        torch.tensor([0.0] * 48 + [1.0, 2.0]),
    ],
)
def test_degenerate_losses_leave_the_gate_and_warn(losses, caplog):
    gate = DynamicGate()
    gate.close_epoch(1, MIXTURE)
    before = gate.value.item()
    with caplog.at_level(logging.WARNING):
        gate.close_epoch(2, fit_two_gaussians(losses.log()))
    assert gate.value.item() == before == pytest.approx(math.exp(-1))
    assert "the gate stays at 0.367879" in caplog.text


def test_nothing_to_tell_apart_from_the_start_lets_everything_pass():
    gate = DynamicGate()
    gate.close_epoch(1, None)
    assert gate.value.item() == math.inf


def test_one_mode_gives_a_defined_gate():
    losses = torch.randn(2000, generator=torch.Generator().manual_seed(0))
    gate = DynamicGate()
    gate.close_epoch(1, fit_two_gaussians(losses))
    assert 0 < gate.value.item() < math.inf


def test_gates_are_state_of_a_checkpoint():
    gate, other = DynamicGate(), DynamicGate()
    gate.close_epoch(1, MIXTURE)
    other.load_state_dict(gate.state_dict())
    assert torch.equal(gate.value, other.value)


def test_gate_on_the_log_odds():
    gate = DynamicGate(loss_axis=LogOdds())
    gate.close_epoch(1, MIXTURE)  # meets at -1
    assert gate.value.item() == pytest.approx(math.log(1 + math.exp(-1)))


def test_log_odds_part_what_the_logarithm_leaves_together():
    """Logits of a model that has begun to learn: many right labels lose."""
    generator = torch.Generator().manual_seed(0)
    right = torch.randn(8000, generator=generator) * 3 + 2
    wrong = torch.randn(2000, generator=generator) * 5 + 17
    losses = torch.nn.functional.softplus(torch.cat([right, wrong]))
    is_right = torch.arange(len(losses)) < len(right)

    def gated(axis):
        gate = DynamicGate(loss_axis=axis)
        gate.close_epoch(1, fit_two_gaussians(axis.of(losses)))
        passed = losses < gate.value
        return passed[is_right].double().mean(), is_right[
            passed
        ].double().mean()

    recall, precision = gated(LogOdds())
    assert recall > 0.98 and precision > 0.98
    recall, precision = gated(LogLoss())
    assert recall < 0.6 and precision > 0.98


def test_a_dynamic_gate_needs_an_open_epoch():
    with pytest.raises(ValueError, match="open_epochs"):
        DynamicGate(open_epochs=0)
