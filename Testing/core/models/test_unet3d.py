"""The network: its size, shapes and gradients."""

import io

import pytest
import torch

from HippoSegLib.models.unet3d import UNet3D, count_parameters


def test_size_fits_what_is_promised():
    model = UNet3D()
    count = count_parameters(model)
    file = io.BytesIO()
    torch.save({name: value.half() for name, value in model.state_dict().items()}, file)
    assert count <= 1_500_000  # leaves room for the localiser within two million
    assert len(file.getvalue()) <= 3_000_000


def test_parameters_by_hand():
    # widths (4, 8): per level two convolutions 27·in·out and norms 2·out each; one 2³ transposed
    # convolution with bias; head with bias.
    level_1 = 27 * 2 * 4 + 27 * 4 * 4 + 2 * 2 * 4
    level_2 = 27 * 4 * 8 + 27 * 8 * 8 + 2 * 2 * 8
    up = 8 * 8 * 4 + 4 + 27 * 8 * 4 + 27 * 4 * 4 + 2 * 2 * 4
    assert count_parameters(UNet3D(2, 3, (4, 8))) == level_1 + level_2 + up + 4 * 3 + 3


def test_the_methods_own_widths_give_the_published_size():
    assert count_parameters(UNet3D(1, 1, (32, 64, 128, 256, 512))) / 1e6 == pytest.approx(22.6, abs=0.1)


@pytest.mark.parametrize("shape", [(48, 56, 40), (40, 56, 40), (16, 8, 24)])
def test_shapes(shape):
    model = UNet3D(2, 3, (4, 6, 8, 8)).eval()
    assert model.divisor == 8
    with torch.inference_mode():
        assert model(torch.rand(2, 2, *shape)).shape == (2, 3, *shape)


def test_samples_of_a_batch_do_not_touch_each_other():
    torch.manual_seed(0)
    model, x = UNet3D(2, 3, (4, 6, 8)).eval(), torch.rand(3, 2, 8, 16, 12)
    with torch.inference_mode():
        together = model(x)
        alone = torch.cat([model(one[None]) for one in x])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_every_parameter_learns():
    torch.manual_seed(0)
    model = UNet3D(2, 3, (4, 6, 8, 8), dropout=0.0)
    model(torch.rand(1, 2, 16, 16, 16)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_skip_connections_carry_detail():
    torch.manual_seed(0)
    model, x = UNet3D(1, 3, (4, 6, 8)).eval(), torch.rand(1, 1, 8, 8, 8)
    for enlarge in model.enlarge:  # cut every way through the lower levels
        torch.nn.init.zeros_(enlarge.weight)
    other = x.clone()
    other[..., 4, 4, 4] += 1
    with torch.inference_mode():
        assert not torch.equal(model(x), model(other))


def test_dropout_drops_whole_maps_in_training_only():
    torch.manual_seed(0)
    model, x = UNet3D(1, 3, (4, 6, 8), dropout=0.5), torch.rand(1, 1, 8, 8, 8)
    seen = []
    model.dropout.register_forward_hook(lambda module, inputs, output: seen.append(output))
    model.train()
    assert not torch.equal(model(x), model(x))
    emptied = torch.cat([(s == 0).flatten(2).all(dim=2).flatten() for s in seen])
    assert 0 < emptied.sum() < len(emptied)
    model.eval()
    assert torch.equal(model(x), model(x))
