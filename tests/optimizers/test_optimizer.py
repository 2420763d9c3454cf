"""The optimizers' shell: settings, saved states, gradients that cannot be used, and the habits of torch's."""

import copy
import inspect
import itertools
import pickle

import pytest
import torch

import dlkb.optimizers as ours
from dlkb.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop, SparseAdam
from dlkb.optimizers.optimizer import IMPLEMENTATION

# each with the settings that make all of its state
DENSE = {
    "SGD": {"momentum": 0.9},
    "Adagrad": {"lr_decay": 0.1},
    "RMSprop": {"momentum": 0.9, "centered": True},
    "Adadelta": {},
    "Adam": {"amsgrad": True},
    "AdamW": {"amsgrad": True},
    "NAdam": {},
    "RAdam": {"betas": (0.5, 0.8)},
    "Adamax": {},
}
ALL = {**DENSE, "SparseAdam": {}}


def draw(shape, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def parameter(*shape, seed=0, dtype=torch.float64):
    return torch.nn.Parameter(draw(shape, seed, dtype))


def make(kind, params, **settings):
    """Ours or torch's, by the class's name."""
    name = kind.__name__
    switch = {"foreach": False} if name in DENSE else {}
    settings = (
        {"lr": 0.05} | ({"weight_decay": 0.1} if name in DENSE else {}) | settings
    )
    return kind(params, **settings, **switch)


def descend(optimizer, params, steps, start=0, dtype=torch.float64):
    for step in range(start, start + steps):
        for index, param in enumerate(params):
            grad = draw(param.shape, 100 + 10 * step + index, dtype).to(param.device)
            param.grad = (
                grad.to_sparse() if "Sparse" in type(optimizer).__name__ else grad
            )
        optimizer.step()


def kinds(name):
    return getattr(ours, name), getattr(torch.optim, name)


def saved_by(optimizer):
    """A copy, since torch's load_state_dict takes the tensors themselves."""
    return copy.deepcopy(optimizer.state_dict())


# -------------------------------------------------------------------------------- names, order and defaults


@pytest.mark.parametrize("name", ALL)
def test_arguments_are_torchs(name):
    mine, theirs = (inspect.signature(kind).parameters for kind in kinds(name))
    switches = set(IMPLEMENTATION)
    for argument, value in mine.items():
        if value.kind is value.VAR_KEYWORD:
            continue
        if argument in theirs:
            assert theirs[argument].default == value.default, argument
        else:  # newer than this torch
            assert argument == "decoupled_weight_decay"
    missing = {a for a in theirs if a not in mine and a != "kwargs"}
    assert missing <= switches
    by_place = lambda parameters: [
        name
        for name, value in parameters.items()
        if value.kind is value.POSITIONAL_OR_KEYWORD and name not in switches
    ]
    order = [a for a in by_place(theirs) if a in by_place(mine)]
    assert by_place(mine) == order
    assert set(by_place(theirs)) - set(by_place(mine)) <= {"maximize"}


@pytest.mark.parametrize("name", DENSE)
def test_switches_of_torchs_are_taken_when_off_only(name):
    kind = getattr(ours, name)
    theirs = inspect.signature(getattr(torch.optim, name)).parameters
    off = {switch: None for switch in IMPLEMENTATION if switch in theirs}
    optimizer = kind([parameter(2)], **off)
    kind([parameter(2)], **dict.fromkeys(off, False))
    assert not set(optimizer.param_groups[0]) & set(IMPLEMENTATION)
    for switch in off:
        with pytest.raises(TypeError, match=f"{switch} must be None or False.*True"):
            kind([parameter(2)], **{switch: True})
    with pytest.raises(TypeError, match="has no argument 'learning_rate': got"):
        kind([parameter(2)], learning_rate=0.1)


# --------------------------------------------------------------------------------------------- saved states


@pytest.fixture
def wide_counters():
    """Else loading widens NAdam's float32 product of mu, by torch's rule, which shows at 1e-11."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("wide_counters")
@pytest.mark.parametrize("name", ALL)
def test_a_saved_state_goes_on_where_it_stopped(name):
    kind = getattr(ours, name)
    through = [parameter(3, 2), parameter(4, seed=1)]
    optimizer = make(kind, through, **ALL[name])
    descend(optimizer, through, 4)
    stopped = [torch.nn.Parameter(param.detach().clone()) for param in through]
    again = make(kind, stopped)  # other settings, which loading replaces
    again.load_state_dict(saved_by(optimizer))
    copied, pickled = copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))
    descend(optimizer, through, 4, start=4)
    descend(again, stopped, 4, start=4)
    for other in (copied, pickled):
        descend(other, other.param_groups[0]["params"], 4, start=4)
    for params in (stopped, *(o.param_groups[0]["params"] for o in (copied, pickled))):
        for param, expected in zip(params, through, strict=True):
            assert torch.equal(param, expected)
    fresh = make(kind, [torch.nn.Parameter(p.detach().clone()) for p in stopped])
    descend(fresh, fresh.param_groups[0]["params"], 1, start=8)
    descend(optimizer, through, 1, start=8)
    assert not torch.equal(fresh.param_groups[0]["params"][0], through[0])


@pytest.mark.usefixtures("wide_counters")
@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("backwards", [False, True])
def test_torch_reads_what_we_save_and_we_what_torch_saves(name, backwards):
    before, after = kinds(name)[::-1] if backwards else kinds(name)
    through = [parameter(3, 2), parameter(4, seed=1)]
    optimizer = make(before, through, **ALL[name])
    descend(optimizer, through, 4)
    params = [torch.nn.Parameter(param.detach().clone()) for param in through]
    other = make(after, params)
    other.load_state_dict(saved_by(optimizer))
    descend(optimizer, through, 6, start=4)
    descend(other, params, 6, start=4)
    for param, expected in zip(params, through, strict=True):
        torch.testing.assert_close(param, expected, rtol=0, atol=1e-12)
    if backwards:
        assert not set(other.param_groups[0]) & set(IMPLEMENTATION)
        assert "differentiable" not in other.defaults


def test_adamw_stays_decoupled_whatever_it_reads():
    params = [parameter(3)]
    saved = make(Adam, params)
    descend(saved, params, 2)
    assert saved.param_groups[0]["decoupled_weight_decay"] is False
    optimizer = AdamW([parameter(3)])
    optimizer.load_state_dict(saved.state_dict())
    assert optimizer.param_groups[0]["decoupled_weight_decay"] is True


def test_settings_that_a_saved_group_lacks_stay():
    params = [parameter(3)]
    saved = make(Adam, params)
    descend(saved, params, 1)
    state = saved.state_dict()
    del state["param_groups"][0]["decoupled_weight_decay"]  # as from an older torch
    optimizer = Adam([parameter(3)], decoupled_weight_decay=True)
    optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["decoupled_weight_decay"] is True


@pytest.mark.parametrize(
    ("saved", "loading"), [("SGD", "Adam"), ("Adam", "SGD"), ("RMSprop", "Adadelta")]
)
def test_another_optimizers_state_is_refused_before_anything_changes(saved, loading):
    params = [parameter(3)]
    source = make(getattr(ours, saved), params, **DENSE[saved])
    descend(source, params, 2)
    optimizer = make(getattr(ours, loading), params, **DENSE[loading])
    descend(optimizer, params, 2)
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(ValueError, match=f"a state of {loading} holds .* another opt"):
        optimizer.load_state_dict(source.state_dict())
    torch.testing.assert_close(optimizer.state_dict(), before, rtol=0, atol=0)


def test_a_saved_setting_out_of_range_is_refused():
    state = SGD([parameter(3)]).state_dict()
    state["param_groups"][0]["lr"] = -1.0
    optimizer = SGD([parameter(3)], lr=0.5)
    with pytest.raises(
        ValueError, match=r"lr must be finite and at least 0: got -1\.0"
    ):
        optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_a_whole_number_of_steps_is_read_too():
    params = [parameter(3)]
    optimizer = make(Adam, params)
    descend(optimizer, params, 3)
    state = copy.deepcopy(optimizer.state_dict())
    state["state"][0]["step"] = 3
    again = make(Adam, [torch.nn.Parameter(params[0].detach().clone())])
    again.load_state_dict(state)
    descend(again, again.param_groups[0]["params"], 1, start=3)
    descend(optimizer, params, 1, start=3)
    assert torch.equal(again.param_groups[0]["params"][0], params[0])


# --------------------------------------------------------------------------- settings that cannot be right

BAD = [
    ("SGD", {"lr": -0.1}, "lr must be finite and at least 0: got -0.1; to ascend"),
    ("SGD", {"lr": float("nan")}, "lr must be finite and at least 0: got nan"),
    ("SGD", {"lr": float("inf")}, "lr must be finite and at least 0: got inf"),
    ("SGD", {"lr": torch.ones(2)}, r"lr as a tensor must have one element: got .*2"),
    ("SGD", {"momentum": -1}, "momentum must be finite and at least 0: got -1"),
    ("SGD", {"weight_decay": -1}, "weight_decay must be finite and at least 0: got -1"),
    ("SGD", {"nesterov": True}, "nesterov needs momentum above 0 .*momentum=0, damp"),
    (
        "SGD",
        {"nesterov": True, "momentum": 0.9, "dampening": 0.1},
        "nesterov needs momentum above 0 and dampening 0: got .*dampening=0.1",
    ),
    ("Adagrad", {"lr_decay": -1}, "lr_decay must be finite and at least 0: got -1"),
    ("Adagrad", {"initial_accumulator_value": -1}, "initial_acc.* at least 0: got -1"),
    ("Adagrad", {"eps": -1}, "eps must be finite and at least 0: got -1"),
    ("RMSprop", {"alpha": 1.1}, r"alpha .* must be in \[0, 1\]: got 1.1"),
    ("RMSprop", {"momentum": -1}, "momentum must be finite and at least 0: got -1"),
    ("RMSprop", {"eps": -1}, "eps must be finite and at least 0: got -1"),
    ("Adadelta", {"rho": -0.1}, r"rho .* must be in \[0, 1\]: got -0.1"),
    ("Adadelta", {"eps": -1}, "eps must be finite and at least 0: got -1"),
    *(
        (name, settings, message)
        for name in ("Adam", "AdamW", "NAdam", "RAdam", "Adamax", "SparseAdam")
        for settings, message in (
            ({"lr": -1}, "lr must be finite and at least 0: got -1"),
            (
                {"betas": (1.0, 0.9)},
                r"betas must be two numbers in \[0, 1\).*\(1.0, 0.9",
            ),
            ({"betas": (0.9, -0.1)}, r"betas must be two numbers in \[0, 1\)"),
            ({"betas": (0.9, float("nan"))}, r"betas must be two numbers in \[0, 1\)"),
            ({"eps": -1}, "eps must be finite and at least 0: got -1"),
        )
    ),
    ("NAdam", {"momentum_decay": -1}, "momentum_decay must be finite and at least 0"),
    ("SparseAdam", {"lr": 0}, "lr must be above 0: got 0"),
    ("SparseAdam", {"eps": 0}, "eps must be above 0: got 0"),
]


@pytest.mark.parametrize(("name", "settings", "message"), BAD)
def test_settings_out_of_range_are_refused_also_in_a_group(name, settings, message):
    kind = getattr(ours, name)
    with pytest.raises(ValueError, match=message):
        kind([parameter(2)], **settings)
    with pytest.raises(ValueError, match=message):
        kind([{"params": [parameter(2)]}, {"params": [parameter(2)], **settings}])
    optimizer = kind([parameter(2)])
    with pytest.raises(ValueError, match=message):
        optimizer.add_param_group({"params": [parameter(2)], **settings})
    assert len(optimizer.param_groups) == 1


def test_defaults_are_checked_also_where_every_group_has_its_own():
    with pytest.raises(ValueError, match="lr must be finite and at least 0: got -1"):
        SGD([{"params": [parameter(2)], "lr": 0.1}], lr=-1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": "0.1"}, "lr must be a number: got '0.1'"),
        ({"betas": 0.9}, "betas must be a pair of numbers: got 0.9"),
        ({"betas": (0.9,)}, "betas must be a pair of numbers: got"),
        ({"betas": (torch.tensor(0.9), torch.tensor(0.9))}, "betas must be a pair"),
    ],
)
def test_settings_of_another_type_are_refused(settings, message):
    with pytest.raises(TypeError, match=message):
        Adam([parameter(2)], **settings)


def test_no_parameters():
    with pytest.raises(ValueError, match=r"at least one parameter: got an empty list"):
        SGD([])
    model = torch.nn.Linear(2, 1)
    params = model.parameters()
    SGD(params)
    with pytest.raises(ValueError, match=r"call it again for each use"):
        SGD(params)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (parameter(2), "iterable of Tensors or dicts"),
        ({parameter(2)}, "params must have an order .* got a set; give a list"),
        ([{"params": {parameter(2)}}], "ordered collections"),
        ([1.0], "can only optimize Tensors"),
        (
            [draw(2, 0).to(torch.complex64)],
            "real and floating.*complex64.*view_as_real",
        ),
        ([torch.ones(2, dtype=torch.int64)], "real and floating.*int64"),
        ([torch.eye(2).to_sparse()], "must be dense .*sparse_coo.*to_dense"),
    ],
)
def test_what_is_no_list_of_parameters(params, message):
    with pytest.raises(TypeError, match=message):
        SGD(params)


def test_a_callers_group_is_not_altered():
    group = {"params": (param for param in [parameter(2), parameter(3)]), "lr": 0.5}
    optimizer = SGD([group, {"params": parameter(1)}], momentum=0.9)
    assert set(group) == {"params", "lr"}
    assert [len(g["params"]) for g in optimizer.param_groups] == [2, 1]
    assert [g["lr"] for g in optimizer.param_groups] == [0.5, 1e-3]


# ------------------------------------------------------------------------------ gradients that cannot be used


@pytest.mark.parametrize("name", DENSE)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_gradient_that_is_not_finite_is_named_and_nothing_is_altered(name, bad):
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1)).double()
    optimizer = make(getattr(ours, name), model.named_parameters(), **DENSE[name])
    params = list(model.parameters())
    descend(optimizer, params, 2)
    before = copy.deepcopy((params, optimizer.state_dict()["state"]))
    for param in params:
        param.grad = torch.ones_like(param)
    params[2].grad[0, 1] = bad
    counts = "1 NaN and 0 infinite" if bad != bad else "0 NaN and 1 infinite"
    message = f"{counts} of 3 values in parameter '1.weight'; nothing was altered"
    with pytest.raises(ValueError, match=message):
        optimizer.step()
    after = (params, optimizer.state_dict()["state"])
    torch.testing.assert_close(after, before, rtol=0, atol=0)


def test_without_names_the_place_is_said():
    params = [parameter(2), parameter(3), parameter(4, 1)]
    optimizer = Adam([{"params": params[:1]}, {"params": params[1:]}])
    params[2].grad = torch.full((4, 1), float("nan"), dtype=torch.float64)
    message = r"4 NaN .* in parameter 1 of group 1, of shape \(4, 1\)"
    with pytest.raises(ValueError, match=message):
        optimizer.step()


def test_opposite_infinities_are_noticed_and_a_sum_that_overflows_is_not_refused():
    param = torch.nn.Parameter(torch.zeros(2))
    optimizer = SGD([param], lr=1e-4)
    param.grad = torch.tensor([float("inf"), -float("inf")])
    with pytest.raises(ValueError, match="0 NaN and 2 infinite of 2"):
        optimizer.step()
    half = torch.nn.Parameter(torch.zeros(4, dtype=torch.float16))
    half.grad = torch.full_like(half, 60000.0)
    assert half.grad.sum().isinf()
    SGD([half], lr=1e-4).step()
    torch.testing.assert_close(half.detach(), torch.full_like(half, -6.0))


@pytest.mark.parametrize("bad", [0, 1])
def test_parameters_of_several_dtypes_are_all_looked_at(bad):
    params = [parameter(2, dtype=torch.float32), parameter(3)]
    optimizer = SGD(params)
    for param in params:
        param.grad = torch.ones_like(param)
    params[bad].grad[1] = float("nan")
    with pytest.raises(ValueError, match=f"1 NaN .* in parameter {bad} of group 0"):
        optimizer.step()


@pytest.mark.parametrize("name", [n for n in DENSE if n not in ("SGD", "Adagrad")])
def test_sparse_gradients_are_refused_where_torch_has_none(name):
    param = parameter(3, 2)
    optimizer = make(getattr(ours, name), [param])
    param.grad = torch.eye(3, 2, dtype=torch.float64).to_sparse()
    with pytest.raises(TypeError, match=f"{name} takes .*strided: got .*sparse_coo in"):
        optimizer.step()


# ------------------------------------------------------------------------------------- the habits of torch's


@pytest.mark.parametrize("name", ALL)
def test_ascending_is_descending_the_negative(name):
    settings = ALL[name] | ({"weight_decay": 0.0} if name in DENSE else {})
    paths = []
    for kind, maximize in zip(
        (*kinds(name), getattr(ours, name)), (1, 1, 0), strict=True
    ):
        params = [parameter(3, 2), parameter(4, seed=1)]
        start = [param.detach().clone() for param in params]
        optimizer = make(kind, params, maximize=bool(maximize), **settings)
        descend(optimizer, params, 5)
        sign = 1 if maximize else -1
        paths.append(
            [sign * (p.detach() - s) for p, s in zip(params, start, strict=True)]
        )
    for other in paths[1:]:
        torch.testing.assert_close(paths[0], other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", DENSE)
def test_decay_pulls_to_zero_also_when_ascending(name):
    """The gradient's sign is turned before decay joins it: turned after, weights would be pushed away."""
    paths = []
    for kind in kinds(name):
        params = [parameter(3, 2)]
        optimizer = make(kind, params, maximize=True, weight_decay=0.5, **DENSE[name])
        descend(optimizer, params, 5)
        paths.append(params[0].detach())
    torch.testing.assert_close(*paths, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("shape", [(), (1,)])
def test_the_rate_may_be_a_tensor_and_change_in_place(name, shape):
    rate = torch.full(shape, 0.05, dtype=torch.float64)
    results = []
    for kind, lr in zip(
        (*kinds(name), getattr(ours, name)), (rate, rate.clone(), 0.05), strict=True
    ):
        params = [parameter(3, 2)]
        optimizer = make(kind, params, lr=lr, **ALL[name])
        descend(optimizer, params, 2)
        if isinstance(lr, torch.Tensor):
            lr.mul_(0.5)
        else:
            optimizer.param_groups[0]["lr"] *= 0.5
        descend(optimizer, params, 2, start=2)
        results.append(params[0].detach())
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-12)
    torch.testing.assert_close(results[0], results[2], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", DENSE)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_narrow_parameters_are_moved_as_torch_does(name, dtype):
    """State in the parameter's dtype, the same roundings: eps of 1e-8 vanishes in float16, so that it is
    larger here."""
    settings = DENSE[name] | ({} if name == "SGD" else {"eps": 1e-3})
    results, states = [], []
    for kind in kinds(name):
        params = [parameter(5, 4, dtype=dtype), parameter(7, seed=1, dtype=dtype)]
        optimizer = make(kind, params, **settings)
        descend(optimizer, params, 10, dtype=dtype)
        results.append([param.detach() for param in params])
        states.append(optimizer.state_dict()["state"])
    ulp = torch.finfo(dtype).eps
    torch.testing.assert_close(*results, rtol=4 * ulp, atol=4 * ulp)
    torch.testing.assert_close(*states, rtol=4 * ulp, atol=4 * ulp)  # dtypes too


@pytest.mark.parametrize("name", DENSE)
def test_state_is_kept_in_place_in_the_parameters_format(name):
    param = torch.nn.Parameter(
        draw((2, 3, 4, 2), 0).to(memory_format=torch.channels_last)
    )
    optimizer = make(getattr(ours, name), [param], **DENSE[name])
    descend(optimizer, [param], 1)
    tensors = {n: v for n, v in optimizer.state[param].items() if v.dim()}
    places = {name: value.data_ptr() for name, value in tensors.items()}
    assert places
    descend(optimizer, [param], 2, start=1)
    for key, value in optimizer.state[param].items():
        if value.dim():
            assert value.data_ptr() == places[key]
            assert value.is_contiguous(memory_format=torch.channels_last) or key in (
                "momentum_buffer",  # SGD's is made of the gradient
            )
            assert value.dtype == param.dtype
            assert not value.requires_grad


@pytest.mark.parametrize("name", DENSE)
def test_gradients_are_not_altered(name):
    """Would fail if the first velocity were the gradient itself, or its sign were turned in place."""
    param, grad = parameter(3), draw(3, 1)
    settings = {"weight_decay": 0.0, "maximize": True, **DENSE[name]}
    for kind in ({}, {"maximize": False}):
        optimizer = make(getattr(ours, name), [param], **(settings | kind))
        param.grad = grad.clone()
        for _ in range(3):
            optimizer.step()
        assert torch.equal(param.grad, grad)


def test_parameters_without_gradient_are_left_alone():
    params = [parameter(2), parameter(3)]
    before = params[1].detach().clone()
    optimizer = AdamW(params, weight_decay=0.5)
    descend(optimizer, params[:1], 2)
    assert torch.equal(params[1], before)
    assert set(optimizer.state_dict()["state"]) == {0}
    plain = SGD(params)
    descend(plain, params, 1)
    assert plain.state_dict()["state"] == {}  # nothing to remember


def test_a_closure_is_called_with_gradients_and_its_loss_returned():
    param = torch.nn.Parameter(torch.tensor([3.0]))
    optimizer = SGD([param], lr=0.25)

    def closure():
        optimizer.zero_grad()
        loss = param.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 9.0
    assert param.item() == 1.5  # 3 - 0.25 * 6
    assert optimizer.step() is None


def test_groups_may_join_later_and_schedulers_and_hooks_work():
    params = [parameter(2), parameter(3)]
    optimizer = Adagrad(params[:1], lr=1.0)
    optimizer.add_param_group({"params": params[1:], "lr": 0.5})
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.1**step)
    calls = []
    optimizer.register_step_post_hook(lambda *_: calls.append(1))
    descend(optimizer, params, 1)
    scheduler.step()
    torch.testing.assert_close([g["lr"] for g in optimizer.param_groups], [0.1, 0.05])
    assert calls == [1]
    assert set(optimizer.state_dict()["state"]) == {0, 1}


def test_adagrads_sums_start_at_each_groups_own_value():
    params = [parameter(2), parameter(3)]
    groups = [
        {"params": params[:1]},
        {"params": params[1:], "initial_accumulator_value": 4},
    ]
    optimizer = Adagrad(groups, initial_accumulator_value=1)
    sums = [optimizer.state[param]["sum"] for param in params]
    torch.testing.assert_close(
        sums, [torch.full((n,), v).double() for n, v in ((2, 1.0), (3, 4.0))]
    )


def test_a_new_rule_needs_one_function():
    class Signed(Optimizer):
        def update(self, param, grad, state, group):
            param.sub_(group["lr"] * grad.sign())

    param = torch.nn.Parameter(torch.tensor([1.0, -1.0]))
    optimizer = Signed([param], {"lr": 0.25}, {"foreach": None})
    param.grad = torch.tensor([5.0, -0.1])
    optimizer.step()
    assert param.tolist() == [0.75, -0.75]
    with pytest.raises(ValueError, match="lr must be"):
        Signed([param], {"lr": -1})
    with pytest.raises(NotImplementedError):
        Optimizer([param], {"lr": 1}).step()


# ------------------------------------------------------------------------------------------- cases by hand


def test_two_steps_of_momentum_by_hand():
    param = torch.nn.Parameter(torch.tensor(0.0, dtype=torch.float64))
    optimizer = SGD([param], lr=0.1, momentum=0.5, dampening=0.5, weight_decay=0.0)
    for grad in (4.0, 2.0):  # v = 4, then 0.5 * 4 + 0.5 * 2 = 3
        param.grad = torch.tensor(grad, dtype=torch.float64)
        optimizer.step()
    assert param.item() == pytest.approx(-0.1 * (4 + 3), abs=1e-15)


@pytest.mark.parametrize("kind", [Adam, AdamW])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_adams_first_step_is_the_rate_whatever_the_gradients_scale(kind, scale):
    param = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    param.grad = torch.tensor([1.0, -3.0], dtype=torch.float64) * scale
    kind([param], lr=0.25, eps=0.0).step()
    expected = torch.tensor([-0.25, 0.25], dtype=torch.float64)
    torch.testing.assert_close(param.detach(), expected)


def test_amsgrads_rate_never_rises():
    param = parameter(50)
    optimizer = Adam([param], betas=(0.0, 0.5), amsgrad=True)
    tops = []
    for step in range(20):
        param.grad = torch.full_like(param, 3) if step == 4 else 0.3 * draw(50, step)
        optimizer.step()
        tops.append(optimizer.state[param]["max_exp_avg_sq"].clone())
    for earlier, later in itertools.pairwise(tops):
        assert (later >= earlier).all()
    running = optimizer.state[param]["exp_avg_sq"]
    assert (running < 0.1 * tops[-1]).all()  # it is kept beside, and has fallen


def test_zero_gradients_move_nothing_and_stay_finite():
    for name, settings in DENSE.items():
        param = parameter(3)
        before = param.detach().clone()
        optimizer = make(getattr(ours, name), [param], weight_decay=0.0, **settings)
        for _ in range(3):
            param.grad = torch.zeros_like(param)
            optimizer.step()
        assert torch.equal(param, before), name


def test_rmsprops_first_step_is_long():
    param = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    param.grad = torch.ones(1, dtype=torch.float64)
    RMSprop([param], lr=1.0, alpha=0.99, eps=0).step()
    assert param.item() == pytest.approx(-10.0)  # 1 / sqrt(1 - 0.99)


def test_sparse_adam_refuses_switches_that_torchs_lacks():
    with pytest.raises(TypeError, match="foreach"):
        SparseAdam([parameter(2)], foreach=False)
