"""The released PyTorch DREAM-RNN: the numbers of PyTorch's own layers, and nothing unpickled."""

import os
import pickle
import sys
import zipfile

import numpy as np
import pytest
from weight_files import sequences

from degu_tf.heads import HeadLayout
from degu_tf.models import build
from degu_tf.models.released.load import load_released, load_released_weights, read_released
from degu_tf.models.released.output_heads import columns_layout
from degu_tf.utils.errors import InputError


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def torch_network(torch, n_columns=4, filters=8, units=5, last=7):
    """The released DREAM-RNN of PyTorch's own layers, with random weights and statistics."""
    nn = torch.nn

    def block(channels):
        return nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(channels, filters, kernel, padding="same"),
                nn.BatchNorm1d(filters), nn.ReLU(), nn.Dropout(0.2),
            )
            for kernel in (9, 15)
        )  # fmt: skip

    class Block(nn.Module):
        def __init__(self, **layers):
            super().__init__()
            for name, layer in layers.items():
                setattr(self, name, layer)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.first_block = Block(conv_blocks=block(4))
            self.core_block = Block(
                lstm=nn.LSTM(2 * filters, units, bidirectional=True, batch_first=True),
                conv_blocks=block(2 * units),
                dropout=nn.Dropout(0.5),
            )
            self.final_block = Block(
                pointwise_conv=nn.Conv1d(2 * filters, last, 1, padding="same"),
                final_dense=nn.Linear(last, n_columns),
            )

        def forward(self, x):
            x = torch.cat([conv(x) for conv in self.first_block.conv_blocks], dim=1)
            x = self.core_block.lstm(x.transpose(1, 2))[0].transpose(1, 2)
            x = torch.cat([conv(x) for conv in self.core_block.conv_blocks], dim=1)
            x = self.final_block.pointwise_conv(self.core_block.dropout(x)).mean(dim=2)
            return self.final_block.final_dense(x)

    torch.manual_seed(2)
    network = Network()
    with torch.no_grad():
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.3)
            elif name.endswith("running_var"):
                buffer.uniform_(1e-3, 2.0)
        for name, weight in network.named_parameters():
            if weight.dim() > 1:
                weight.normal_(0, 2 * weight[0].numel() ** -0.5)
            elif "bias" in name:
                weight.uniform_(-0.8, 0.8)
            else:
                weight.uniform_(0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize("held", ["state", "checkpoint", "parallel", "legacy"])
def test_pytorch_gives_the_same_numbers(torch, held, tmp_path):
    network = torch_network(torch)
    state, path = network.state_dict(), tmp_path / "1_model.pth"
    if held == "checkpoint":
        step = {"step": torch.tensor(7.0), "exp_avg": torch.zeros(3)}
        optimiser = {"state": {0: step}, "param_groups": [{"lr": 5e-3, "params": [0]}]}
        state = {"epoch": 80, "model_state_dict": state, "optimizer_state_dict": optimiser}
    elif held == "parallel":
        state = {f"module.{name}": value for name, value in state.items()}
    torch.save(state, path, _use_new_zipfile_serialization=held != "legacy")
    released = read_released(path)
    x = sequences(60, n=5)
    with torch.no_grad():
        expected = network(torch.from_numpy(x.transpose(0, 2, 1).copy())).numpy()
    assert np.ptp(expected, axis=0).min() > 1e-2
    np.testing.assert_allclose(released.model(x, training=False), expected, rtol=0, atol=1e-5)
    assert (released.architecture, released.input_length) == ("dream_rnn", None)
    assert released.options == {
        "variant": "released", "conv_filters": (8, 8), "lstm_units": 5, "pointwise_filters": 7
    }  # fmt: skip
    assert released.heads == HeadLayout(("Dev", "Hk"), epistemic="std")
    assert released.format == "PyTorch (.pth)"


def test_pytorch_weights_into_a_model_of_another_epsilon_are_refused(torch, tmp_path):
    torch.save(torch_network(torch).state_dict(), tmp_path / "1.pth")
    options = {
        "variant": "released", "conv_filters": (8, 8), "lstm_units": 5, "pointwise_filters": 7
    }  # fmt: skip
    ours = build("dream_rnn", (None, 4), columns_layout(4), **options)
    load_released_weights(ours, tmp_path / "1.pth")
    ours = build("dream_rnn", (None, 4), columns_layout(4), epsilon=1e-3, **options)
    with pytest.raises(
        InputError, match=r"epsilon of 1e-05\. Received: first_conv1_bn with 0\.001"
    ):
        load_released_weights(ours, tmp_path / "1.pth")


def test_other_pytorch_networks_are_refused_by_name(torch, tmp_path):
    path = tmp_path / "1.pth"
    state = torch_network(torch).state_dict()
    state["first_block.se.weight"] = state.pop("final_block.final_dense.weight")
    torch.save(state, path)
    with pytest.raises(
        InputError, match=r"without \['final_block.final_dense.weight'\].*se.weight"
    ):
        load_released(path)
    torch.save({"one": torch_network(torch).state_dict(), "two": state}, path)
    with pytest.raises(InputError, match=r"one state dictionary.*Received: \['one', 'two'\]$"):
        load_released(path)
    torch.save([1, 2], path)
    with pytest.raises(InputError, match=r"one state dictionary.*Received: list$"):
        load_released(path)
    state = torch_network(torch).state_dict()
    state["core_block.lstm.weight_hh_l0"] = state["core_block.lstm.weight_hh_l0"].int()
    torch.save(state, path)
    with pytest.raises(InputError, match=r"float weights.*weight_hh_l0 of torch\.int32$"):
        load_released(path)


def test_without_pytorch_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    path = tmp_path / "1.pth"
    path.write_bytes(pickle.dumps({}))
    with pytest.raises(InputError, match=r"pip install 'degu_tf\[torch\]'$"):
        load_released(path)


class Command:
    """Unpickled by anyone who is careless, it runs a command."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_a_pickle_that_runs_a_command(torch, refused, form, tmp_path):
    path = tmp_path / "1_model.pth"
    content = {"model_state_dict": Command(refused.marker)}
    if form == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    refused(path, r"tensors and nothing else; none of it was run \(.*posix\.system")
    path.rename(tmp_path / "1_DeepSTARR.h5")
    refused(tmp_path / "1_DeepSTARR.h5", "none of it was run")


def test_bombs(torch, refused, tmp_path):
    with zipfile.ZipFile(tmp_path / "1.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", bytes(32 << 20))
    refused(tmp_path / "1.pth", "zip file would unpack to 33,554,432 bytes")
    state = torch_network(torch).state_dict()
    state["final_block.final_dense.weight"] = torch.zeros(1).expand(10**5, 10**5)
    torch.save(state, tmp_path / "2.pth")
    refused(tmp_path / "2.pth", "PyTorch file would unpack to 40,")


def test_a_truncated_pytorch_file(refused, torch, tmp_path):
    path = tmp_path / "1.pth"
    torch.save(torch_network(torch).state_dict(), path)
    content = path.read_bytes()
    for share in (0.99, 0.5, 0.1):
        path.write_bytes(content[: int(len(content) * share)])
        refused(path, "damaged|tensors and nothing else")
