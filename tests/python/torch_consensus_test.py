"""ecl.torch.Consensus, on all ranks of an mpirun."""

import copy
import io
import itertools

import numpy as np
import pytest
import torch
from torch import nn

import ecl

torch.set_num_threads(1)
torch.backends.cudnn.deterministic = True


@pytest.fixture(params=["in place", "staged", "cuda"], autouse=True)
def device(request, monkeypatch):
    """Where models are. Staged: on the CPU, but as on a GPU, with copies between the parameters and ecl's memory."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    if request.param == "staged":
        monkeypatch.setattr(ecl.torch, "memory_of", ecl._memory.StagedMemory)
    return torch.device("cuda" if request.param == "cuda" else "cpu")


def cnn(device, seed=1):
    torch.manual_seed(seed)
    layers = nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 4)
    return nn.Sequential(*layers).to(device)


def batches(rank, device):
    """Pictures of two of four classes: the bright quarter is the class."""
    draw = torch.Generator().manual_seed(rank)
    while True:
        y = torch.randint(0, 2, (16,), generator=draw) + 2 * (rank % 2)
        x = torch.randn(16, 1, 8, 8, generator=draw)
        for picture, label in zip(x, y):
            row, column = divmod(int(label), 2)
            picture[0, 4 * row:4 * row + 4, 4 * column:4 * column + 4] += 1.5
        yield x.to(device), y.to(device)


def train(optimizer, model, data, scheduler=None):
    losses = []
    for x, y in data:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if scheduler:
            scheduler.step()
    return losses


def values(model):
    return np.concatenate([p.detach().cpu().numpy().ravel() for p in model.parameters()])


def test_it_is_the_numpy_consensus_fed_with_the_same_gradients(rank, device):
    ours, theirs = cnn(device), cnn(device)
    options = dict(topology="ring", mode="lock-step", local_steps=2, lr=0.1)
    optimizer = ecl.torch.Consensus(ours, **options)
    flat = values(theirs)
    consensus = ecl.Consensus(flat, **options)
    for x, y in itertools.islice(batches(rank, device), 20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(ours(x), y).backward()
        nn.utils.clip_grad_norm_(ours.parameters(), 0.5)
        consensus.begin()
        np.testing.assert_array_equal(flat, values(ours))
        nn.utils.vector_to_parameters(torch.from_numpy(flat.copy()).to(device), theirs.parameters())
        theirs.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(theirs(x), y).backward()
        nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        consensus.step(np.concatenate([p.grad.cpu().numpy().ravel() for p in theirs.parameters()]))
        optimizer.step()
        np.testing.assert_array_equal(flat, values(ours))
    optimizer.close()
    consensus.close()


@pytest.mark.parametrize("device", ["in place", "cuda"], indirect=True)  # the bits of staged are those of in place
@pytest.mark.parametrize("mode", ["async", "lock-step"])
def test_each_rank_learns_the_classes_that_it_has_not_seen(mode, rank, device):
    model = cnn(device)
    optimizer = ecl.torch.Consensus(model, lr=0.1, mode=mode)
    train(optimizer, model, itertools.islice(batches(rank, device), 150))
    assert optimizer.settle() <= 0.01
    x, y = next(batches(rank + 1, device))
    with torch.no_grad():
        assert (model(x).argmax(1) == y).float().mean() > 0.9
    optimizer.average()
    assert len(set(map(bytes, gathered(optimizer, values(model))))) == 1
    optimizer.close()


def gathered(optimizer, mine):
    """Of all ranks, by averages: each puts its own where the others put zeros."""
    found = []
    for rank in range(ecl.size()):
        part = mine * (rank == ecl.rank()) * np.float32(ecl.size())
        optimizer.consensus.average(part)
        found.append(part)
    return found


@pytest.mark.parametrize("adam", [{}, dict(optimizer="adamw", weight_decay=0.1, clip_norm=1, measure_steps=8),
                                  dict(optimizer="adam", measure_steps=14)])
def test_resumed_it_goes_on_bit_for_bit(adam, rank, device):
    options = dict(lr=0.1, mode="lock-step", local_steps=2, **adam)

    def made():
        model = cnn(device)
        optimizer = ecl.torch.Consensus(model, **options)
        return model, optimizer, torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.95)

    data = list(itertools.islice(batches(rank, device), 21))
    whole, optimizer, scheduler = made()
    train(optimizer, whole, data, scheduler)
    first, saved, scheduler = made()
    train(saved, first, data[:11], scheduler)
    file = io.BytesIO()
    torch.save({"optimizer": saved.state_dict(), "scheduler": scheduler.state_dict()}, file)
    file.seek(0)
    state = torch.load(file)
    second, resumed, scheduler = made()
    resumed.load_state_dict(state["optimizer"])
    scheduler.load_state_dict(state["scheduler"])
    train(resumed, second, data[11:], scheduler)
    np.testing.assert_array_equal(values(second), values(whole))
    assert resumed.param_groups[0]["lr"] == pytest.approx(0.1 * 0.95**21)
    assert resumed.consensus.lr == pytest.approx(0.1 * 0.95**20)
    with pytest.raises(ecl.Error, match="a state is loaded before the first step; this run has made 21"):
        resumed.load_state_dict(state["optimizer"])
    with pytest.raises(ecl.Error, match="this state_dict is of another optimizer"):
        resumed.load_state_dict(torch.optim.SGD(cnn(device).parameters(), lr=1).state_dict())
    for one in (optimizer, saved, resumed):
        one.close()


def test_gradients_count_wherever_they_are(rank, device):
    """None, replaced, accumulated, in other memory: as in torch.optim.SGD, where rates and ranks are one."""
    ours, theirs = cnn(device), cnn(device)
    optimizer = ecl.torch.Consensus(ours, solver="local", lr=0.1)
    sgd = torch.optim.SGD(theirs.parameters(), lr=0.1)
    data = batches(rank, device)
    for step in range(8):
        parts = [next(data), next(data)]
        for model, one in ((ours, optimizer), (theirs, sgd)):
            one.zero_grad()
            if step % 2:
                model.zero_grad(set_to_none=True)
            for x, y in parts:
                nn.functional.cross_entropy(model(x), y).backward()
            if step == 3:
                model[4].bias.grad = None
            if step == 4:
                model[4].weight.grad = torch.ones_like(model[4].weight)
            if step in (5, 6):
                model[4].weight.grad.data = model[4].weight.grad.data * (torch.arange(144) % 2).to(device)
            one.step()
        np.testing.assert_allclose(values(ours), values(theirs), rtol=1e-5, atol=1e-7)
    assert optimizer.step(lambda: 7) == 7
    optimizer.close()


def test_zero_grad_within_a_gradient_is_noticed(rank, device):
    """Where it moves the parameters that the forward pass has kept; else gradients are right."""
    x, y = next(batches(rank, device))
    for options in ({"mode": "lock-step"}, {"solver": "local"}):
        model = cnn(device)
        optimizer = ecl.torch.Consensus(model, lr=0.1, **options)
        train(optimizer, model, itertools.islice(batches(rank, device), 2))
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        if "mode" in options:
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                loss.backward()
        else:
            loss.backward()
            found = [p.grad.clone() for p in model.parameters()]
            right = torch.autograd.grad(nn.functional.cross_entropy(model(x), y), list(model.parameters()))
            assert all(map(torch.equal, found, right))
        optimizer.close()


@pytest.mark.parametrize("ours, theirs", [
    (dict(optimizer="adam", clip_norm=0.5), torch.optim.Adam),
    (dict(optimizer="adam", betas=(0.8, 0.95), eps=1e-3), torch.optim.Adam),
    (dict(optimizer="adam", weight_decay=0.1), torch.optim.Adam),
    (dict(optimizer="adamw", weight_decay=0.1, clip_norm=0.5), torch.optim.AdamW),
])
def test_alone_it_is_pytorchs_adam(ours, theirs, rank, device):
    """And its clipping, with a scheduler: where there are no neighbours."""
    numbers = {key: value for key, value in ours.items() if key not in ("optimizer", "clip_norm")}
    one, other = cnn(device), cnn(device)
    optimizer = ecl.torch.Consensus(one, solver="local", lr=0.01, **ours)
    reference = theirs(other.parameters(), lr=0.01, **numbers)
    schedulers = [torch.optim.lr_scheduler.ExponentialLR(o, 0.9) for o in (optimizer, reference)]
    for x, y in itertools.islice(batches(rank, device), 20):
        for model, o in ((one, optimizer), (other, reference)):
            o.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            if o is reference and "clip_norm" in ours:
                nn.utils.clip_grad_norm_(model.parameters(), ours["clip_norm"])
            o.step()
        for scheduler in schedulers:
            scheduler.step()
    np.testing.assert_allclose(values(one), values(other), rtol=1e-3, atol=1e-4)
    optimizer.close()


def test_the_first_steps_of_adam_measure(rank, device):
    model = cnn(device)
    optimizer = ecl.torch.Consensus(model, optimizer="adam", betas=(None, 0.99), mode="lock-step")
    assert optimizer.param_groups[0]["lr"] == 0.001
    before = values(model)
    train(optimizer, model, itertools.islice(batches(rank, device), 16))
    np.testing.assert_array_equal(values(model), before)
    train(optimizer, model, itertools.islice(batches(rank, device), 1))
    moved = np.abs(values(model) - before)
    assert 0 < moved.max() <= 0.001
    optimizer.close()
    with pytest.raises(ecl.Error, match="solver ecl has a momentum of its own .beta.; leave beta1 out"):
        ecl.torch.Consensus(model, optimizer="adam", betas=(0.9, 0.99))
    with pytest.raises(ecl.Error, match="optimizer=sgd: unknown parameter 'eps'"):
        ecl.torch.Consensus(model, eps=1e-6)


@pytest.mark.parametrize("device", ["in place", "cuda"], indirect=True)
@pytest.mark.parametrize("mode", ["async", "lock-step"])
def test_each_rank_learns_with_adam_the_classes_that_it_has_not_seen(mode, rank, device):
    model = cnn(device)
    optimizer = ecl.torch.Consensus(model, optimizer="adam", lr=0.02, clip_norm=1, mode=mode)
    train(optimizer, model, itertools.islice(batches(rank, device), 166))
    assert optimizer.settle() <= 0.01
    x, y = next(batches(rank + 1, device))
    with torch.no_grad():
        assert (model(x).argmax(1) == y).float().mean() > 0.9
    optimizer.close()


def test_what_the_caller_writes_into_parameters_counts(device):
    model = cnn(device)
    optimizer = ecl.torch.Consensus(model, solver="local", lr=0.5)
    assert np.shares_memory(optimizer.consensus.x, model[4].bias.detach().cpu().numpy()) == (
        type(optimizer._memory) is ecl._memory.Memory)
    for written in (1.0, 2.0):  # before zero_grad(), and after it
        with torch.no_grad():
            model[4].bias.fill_(written)
        optimizer.zero_grad()
        model[4].bias.sum().backward()
        if written == 2:
            model.load_state_dict({name: torch.full_like(p, 2) for name, p in model.state_dict().items()})
        optimizer.step()
        assert (model[4].bias == written - 0.5).all()
    assert (model[0].weight == 2).all()
    optimizer.close()


def test_loaders_with_processes_of_their_own_beside_a_helper_thread(rank, device):
    model = nn.Linear(1, 1).to(device)
    for p in model.parameters():
        p.data.zero_()
    optimizer = ecl.torch.Consensus(model, lr=0.1, mode="lock-step", progress="thread")
    rows = torch.utils.data.TensorDataset(torch.arange(12.0)[:, None] + rank)
    seen = []
    for x, in torch.utils.data.DataLoader(rows, batch_size=3, num_workers=2):
        optimizer.zero_grad()
        model(x.to(device)).mean().backward()
        optimizer.step()
        seen.append(x)
    assert torch.equal(torch.cat(seen), rows.tensors[0])
    optimizer.close()


def test_models_on_several_devices_are_refused():
    class Parameter:
        dtype = torch.float32

        def __init__(self, place):
            self.device = torch.device(place)

    with pytest.raises(ecl.Error, match=r"parameter b is on cuda:1 and a on cuda:0; ecl takes models on one device: "
                                        r"model.to\('cuda:0'\) first"):
        ecl.torch._refuse([("a", Parameter("cuda:0")), ("b", Parameter("cuda:1"))])


def test_schedulers_set_the_rate(device):
    model = nn.Linear(1, 1, bias=False).to(device)
    model.weight.data.zero_()
    optimizer = ecl.torch.Consensus(model, solver="local", lr=0.5)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    for _ in range(3):
        optimizer.zero_grad()
        model.weight.sum().backward()
        optimizer.step()
        scheduler.step()
    assert model.weight.item() == -0.875
    optimizer.param_groups[0]["lr"] = -0.5
    with pytest.raises(ecl.Error, match="a learning rate is above 0"):
        optimizer.step()
    optimizer.param_groups[0].update(lr=0.1, weight_decay=0)
    with pytest.raises(ecl.Error, match="'weight_decay'. would change nothing: of a Consensus only lr can be set"):
        optimizer.step()
    optimizer.close()


def test_rates_may_begin_at_0(device):
    model = nn.Linear(1, 1, bias=False).to(device)
    model.weight.data.zero_()
    optimizer = ecl.torch.Consensus(model, solver="local", lr=0.5)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, step / 10))
    for step in range(12):
        optimizer.zero_grad()
        model.weight.sum().backward()
        optimizer.step()
        scheduler.step()
        if step == 0:
            assert model.weight.item() == pytest.approx(-0.5e-6)
    assert model.weight.item() == pytest.approx(-0.5 * (4.5 + 2))
    optimizer.close()


@pytest.mark.parametrize("change, what", [
    (lambda model: model[4].bias.requires_grad_(False), r"4.bias was frozen \(requires_grad=False\)"),
    (lambda model: model.double(), r"0.weight became torch.float64, and ecl works in float32,"),
    (lambda model: model[4].weight.__setattr__("data", model[4].weight.new_zeros(4, 9)),
     r"4.weight changed its shape from \(4, 144\) to \(4, 9\)"),
    (lambda model: model[4].bias.__setattr__("data", model[4].bias.new_zeros(4)),
     "4.bias was replaced, or given other memory"),
    (lambda model: model.to("meta"), "0.weight was moved from (cpu|cuda:0) to meta"),
])
def test_parameters_that_change_are_named(change, what, device):
    model = cnn(device)
    optimizer = ecl.torch.Consensus(model, solver="local")
    optimizer.zero_grad()
    change(model)
    for call in (optimizer.step, optimizer.zero_grad)[:1 if "frozen" in what else 2]:
        with pytest.raises(ecl.Error, match=f"parameter {what}.* after the Consensus was made"):
            call()
    optimizer.close()


def test_memory_stays_when_pytorch_takes_another(device):
    """model.share_memory(), which a tensor on its way to another process does, too."""
    if device.type == "cuda":
        pytest.skip("is shared as it is")
    torch.manual_seed(1)
    model = nn.Linear(2000, 2000)  # so large that what is freed is no longer there to be read
    optimizer = ecl.torch.Consensus(model, solver="local")
    x = optimizer.consensus.x
    assert x.ctypes.data % 64 == 0
    before = x.copy()
    model.share_memory()
    np.testing.assert_array_equal(x, before)
    with pytest.raises(ecl.Error, match="weight was replaced, or given other memory"):
        optimizer.zero_grad()
    optimizer.close()


def test_layers_that_are_exchanged_are_noticed(device):
    model = cnn(device)
    optimizer = ecl.torch.Consensus(model, solver="local")
    model[4] = nn.Linear(4 * 36, 4)
    with pytest.raises(ecl.Error, match="the model has other parameters than when the Consensus was made"):
        optimizer.settle()
    optimizer.close()


def test_models_that_do_not_fit_are_refused(rank, device):
    with pytest.raises(ecl.Error, match="0.weight is torch.float64; ecl works in float32: model.float"):
        ecl.torch.Consensus(cnn(device).double())
    with pytest.raises(ecl.Error, match="no parameters that require a gradient"):
        ecl.torch.Consensus(nn.ReLU())
    with pytest.raises(ecl.Error, match="0.weight is on meta; ecl takes models on the CPU or on a CUDA device"):
        ecl.torch.Consensus(nn.Sequential(nn.Linear(2, 2, device="meta")))
    with pytest.raises(ecl.Error, match=r"layer 1 \(BatchNorm2d\) keeps running means .* use torch.nn.GroupNorm, or"):
        ecl.torch.Consensus(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)))
    with pytest.raises(ecl.Error, match="rank 1 on .* was given 'same=parameters .* where rank 0 has 'same=par"):
        ecl.torch.Consensus(nn.Sequential(nn.Linear(2, 2) if rank == 1 else nn.Linear(5, 1)))
    table = cnn(device)
    table.register_buffer("table", torch.zeros(2 + (rank == 1)))
    with pytest.raises(ecl.Error, match="rank 1 on .* was given 'same=parameters .* where rank 0 has 'same=par"):
        ecl.torch.Consensus(table)
    with pytest.raises(ecl.Error, match="rank 1 on .* was given 'same=parameters .*, data B' where rank 0"):
        ecl.torch.Consensus(cnn(device), same=", data " + "AB"[rank == 1])
    with pytest.raises(ecl.Error, match="rank 1 on .* starts from other values than rank 0"):
        ecl.torch.Consensus(cnn(device, seed=1 + (rank == 1)))
    frozen = cnn(device)
    frozen[0].requires_grad_(False)
    frozen[0].weight.data += rank == 1
    with pytest.raises(ecl.Error, match="rank 1 on .* frozen"):
        ecl.torch.Consensus(frozen)


@pytest.mark.parametrize("given", [
    lambda model: model.parameters(),
    lambda model: [{"params": model[0].parameters(), "lr": 0.1}],
    lambda model: torch.optim.SGD(model.parameters(), lr=0.1),
])
def test_the_model_itself_is_wanted(given, device):
    with pytest.raises(ecl.Error, match=r"takes the model itself, a torch.nn.Module, not a \w+: .*one learning rate"):
        ecl.torch.Consensus(given(cnn(device)), lr=0.1)


def test_an_optimizer_is_a_text(device):
    with pytest.raises(ecl.Error, match="optimizer is a text, 'sgd', 'adam' or 'adamw'"):
        ecl.torch.Consensus(cnn(device), optimizer=torch.optim.AdamW)


def test_steps_before_any_gradient_are_noticed(rank, device, recwarn):
    model = cnn(device)
    optimizer = ecl.torch.Consensus(model, lr=0.1)
    optimizer.zero_grad()
    with pytest.warns(UserWarning, match=r"step\(\) without gradients: loss.backward\(\) belongs between zero_grad"):
        optimizer.step()
    optimizer.zero_grad()
    (0 * sum(p.sum() for p in model.parameters())).backward()
    optimizer.step()  # gradients may be 0
    optimizer.zero_grad()
    optimizer.step()  # without a batch, after others
    assert not recwarn.list
    optimizer.close()


def test_gradients_of_none_are_no_gradients(rank, device, recwarn):
    model = cnn(device)
    optimizer = ecl.torch.Consensus(model, lr=0.1)
    optimizer.zero_grad()
    model.zero_grad(set_to_none=True)
    with pytest.warns(UserWarning, match=r"step\(\) without gradients"):
        optimizer.step()
    optimizer.close()
    recwarn.clear()
    model = cnn(device)
    optimizer = ecl.torch.Consensus(model, lr=0.1)
    optimizer.zero_grad()
    model.zero_grad(set_to_none=True)
    sum(p.sum() for p in model.parameters()).backward()
    optimizer.step()
    assert not recwarn.list
    optimizer.close()


def test_frozen_parameters_stay(rank, device):
    model = cnn(device)
    model[0].requires_grad_(False)
    before = copy.deepcopy(model[0])
    optimizer = ecl.torch.Consensus(model, lr=0.1)
    train(optimizer, model, itertools.islice(batches(rank, device), 5))
    assert torch.equal(before.weight, model[0].weight)
    optimizer.close()


def test_running_statistics_are_averaged_on_demand(rank, size, device):
    torch.manual_seed(1)
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1)).to(device)
    optimizer = ecl.torch.Consensus(model, buffers="mean", lr=0.01)
    optimizer.zero_grad()
    model((torch.tensor([[-1.0, 0, 1], [1, 0, 3]]) + rank).to(device)).sum().backward()
    optimizer.step()
    optimizer.settle()
    torch.testing.assert_close(model[0].running_mean.cpu(), 0.1 * (torch.tensor([0.0, 0, 2]) + (size - 1) / 2))
    assert model[0].num_batches_tracked == 1
    optimizer.close()


def test_a_buffer_that_a_forward_pass_replaces_is_averaged(rank, size, device):
    class Scaled(nn.Linear):
        def forward(self, x):
            self.scale = 0.5 * self.scale + 0.5 * x.detach().max()
            return super().forward(x) / self.scale

    torch.manual_seed(1)
    model = Scaled(3, 1).to(device)
    model.register_buffer("scale", torch.tensor(1.0, device=device))
    optimizer = ecl.torch.Consensus(model, buffers="mean", lr=0.01)
    optimizer.zero_grad()
    model(torch.ones(1, 3, device=device) + 2 * rank).sum().backward()
    optimizer.step()
    assert model.scale == 1 + rank
    optimizer.settle()
    assert model.scale == 1 + (size - 1) / 2
    optimizer.close()


def test_a_buffer_of_another_shape_is_not_averaged(rank, device):
    model = cnn(device)
    model.register_buffer("seen", torch.zeros(3, device=device))
    optimizer = ecl.torch.Consensus(model, buffers="mean")
    model.seen = torch.zeros(4, device=device)
    with pytest.raises(ecl.Error, match=r"buffer seen changed its shape from \(3,\) to \(4,\) after the Consensus was"):
        optimizer.settle()
    del model.seen
    with pytest.raises(ecl.Error, match="buffer seen was removed after the Consensus was made"):
        optimizer.settle()
    optimizer.close()


def test_a_buffer_that_holds_a_nan_is_left_alone(device):
    model = cnn(device)
    model.register_buffer("missing", torch.tensor([torch.nan, torch.inf, 1], device=device))
    optimizer = ecl.torch.Consensus(model)
    optimizer.zero_grad()
    model(torch.ones(1, 1, 8, 8, device=device)).sum().backward()
    optimizer.step()
    optimizer.close()


def test_buffers_that_a_forward_pass_changes_are_refused_or_averaged(rank, device):
    def spectral():
        torch.manual_seed(1)
        model = nn.Sequential(nn.utils.spectral_norm(nn.Linear(3, 2))).to(device)
        model.register_buffer("constant", torch.tensor([1.5, -torch.inf], device=device))
        model.register_buffer("number", torch.tensor(7, device=device))
        return model

    def step(model, optimizer):
        optimizer.zero_grad()
        model(torch.eye(3, device=device) + rank).square().sum().backward()
        optimizer.step()

    model = spectral()
    optimizer = ecl.torch.Consensus(model)
    with pytest.raises(ecl.Error, match="buffer 0.weight_[uv] has changed since the Consensus was made"):
        step(model, optimizer)
    optimizer.close()

    model = spectral()
    optimizer = ecl.torch.Consensus(model, buffers="mean", lr=0.01, mode="lock-step")
    for _ in range(5):
        step(model, optimizer)
    mine = gathered(optimizer, model[0].weight_u.detach().cpu().numpy())
    optimizer.settle()
    np.testing.assert_allclose(model[0].weight_u.cpu(), np.mean(mine, axis=0), rtol=1e-5)
    assert model.constant.tolist() == [1.5, -np.inf] and model.number == 7
    optimizer.close()

    model = spectral().eval()  # its forward pass leaves them as they are
    optimizer = ecl.torch.Consensus(model)
    step(model, optimizer)
    optimizer.close()
    model.register_buffer("long", torch.zeros(2, dtype=torch.float64))
    with pytest.raises(ecl.Error, match="buffer long is torch.float64; buffers='mean' averages in float32"):
        ecl.torch.Consensus(model, buffers="mean")
