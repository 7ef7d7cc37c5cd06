"""Configurations: what they say, what is wrong with them, and what a sweep makes of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")
pytest.importorskip("sklearn")

from halfsim.policy import DynamicScale, StaticScale, named
from halfsim.training.config import ConfigError, change, expand, experiment, read
from halfsim.training.models import Perceptron
from halfsim.training.optim import Adam
from halfsim.training.tasks import Classification
from halfsim.training.trainer import Experiment, Settings

PLAIN = """
batch = 8
steps = 40

[task]
name = "classification"
dataset = "digits"

[model]
name = "perceptron"
sizes = [64, 32, 10]

[optimizer]
name = "adam"
rate = 2e-5

[policy]
base = "mixed"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "demo.toml"
    found.write_text(PLAIN)
    return found


def made(path: Path, *changes: str) -> list[tuple[dict[str, Any], Experiment]]:
    points = expand(read(path, changes), path.name)
    return [(point.changes, experiment(point.table, path.name)) for point in points]


def test_a_file_is_an_experiment(path: Path) -> None:
    settings = Settings(
        model=Perceptron(sizes=(64, 32, 10)), optimizer=Adam(rate=2e-5), batch=8, steps=40, evaluate_every=40
    )
    wanted = Experiment(task=Classification(dataset="digits"), settings=settings, policy=named("mixed"), seed=0)
    assert made(path) == [({}, wanted)]


def test_a_byte_order_mark_is_no_statement(path: Path) -> None:
    """Editors of Windows write one."""
    plain = made(path)
    path.write_text(PLAIN, encoding="utf-8-sig")
    assert made(path) == plain


@pytest.mark.parametrize(
    ("text", "get", "wanted"),
    [
        ("steps=7", lambda e: e.settings.steps, 7),
        ("evaluate_every=5", lambda e: e.settings.evaluate_every, 5),
        ("batch=full", lambda e: e.settings.batch, "full"),
        ("seed = 9", lambda e: e.seed, 9),
        ("clip_norm=1", lambda e: e.settings.clip_norm, 1.0),
        ("policy.update=kahan", lambda e: e.policy.update.value, "kahan"),
        ("policy=paper-mixed", lambda e: e.policy.loss_scale, StaticScale(scale=1024.0)),
        ("policy.loss_scale=dynamic", lambda e: e.policy.loss_scale, DynamicScale()),
        ("policy.weight_gradient=h100:f16", lambda e: e.policy.weight_gradient.terms, 16),
        ('policy.loss_scale={kind="static", scale=8}', lambda e: e.policy.loss_scale, StaticScale(scale=8.0)),
        ("optimizer.rate=1e-3", lambda e: e.settings.optimizer, Adam(rate=1e-3)),
        ("model.sizes=[64, 10]", lambda e: e.settings.model.sizes, (64, 10)),
        ("model.head=1", lambda e: e.settings.model.head, 1.0),
        ("task.train=100", lambda e: e.task.train, 100),
    ],
)
def test_keys_are_changed_from_outside(path: Path, text: str, get: Any, wanted: Any) -> None:
    ((_, found),) = made(path, text)
    assert get(found) == wanted
    assert Experiment.from_config(found.config()) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stesp=4", r"demo\.toml: stesp is unknown; did you mean steps\?; known are batch, steps"),
        ("steps=0", r"demo\.toml: steps=0: input should be greater than or equal to 1"),
        ("steps=1.5", r"demo\.toml: steps=1\.5: input should be a valid integer"),
        ("steps=many", r"demo\.toml: steps='many': input should be a valid integer"),
        ("batch=none", r"demo\.toml: batch='none': input should be"),
        ("seed=-1", r"demo\.toml: seed=-1: input should be greater than or equal to 0"),
        ("clip_norm=0", r"demo\.toml: clip_norm=0: input should be greater than 0"),
        ("clip_norm=nan", r"demo\.toml: clip_norm=.*: input should be a finite number"),
        ("model=5", r"demo\.toml: model=5: input should be an object"),
        ("policyx.update=kahan", r"demo\.toml: policyx is unknown; did you mean policy\?"),
        ("policy.updates=kahan", r"demo\.toml: policy: unknown key 'updates'; did you mean 'update'\?"),
        ("policy.update=khan", r"demo\.toml: policy: update='khan' is unknown"),
        ("policy.base=mixd", r"demo\.toml: policy: unknown policy 'mixd'; did you mean 'mixed'\?"),
        ("model.name=perceptrn", r"demo\.toml: model: name='perceptrn' is unknown \(did you mean 'perceptron'\?\)"),
        ("model.size=[64, 10]", r"demo\.toml: model: perceptron has no 'size' \(did you mean 'sizes'\?\)"),
        ("model.sizes=[64]", r"demo\.toml: model: sizes=\(64,\) must be a tuple of at least 2"),
        ("optimizer.rate=-1", r"demo\.toml: optimizer: rate=-1 must be a positive finite number"),
        ("optimizer.rate=fast", r"demo\.toml: optimizer: rate='fast' must be a positive finite number"),
        ("optimizer.name=adan", r"demo\.toml: optimizer: name='adan' is unknown \(did you mean 'adam'\?\)"),
        ("task.dataset=digit", r"demo\.toml: task: dataset='digit' is unknown \(did you mean 'digits'\?\)"),
        ("sweep.seed=3", r"demo\.toml: sweep\.seed=3 must be a list of at least one value"),
        ("sweep.steps=[]", r"demo\.toml: sweep\.steps=\[\] must be a list of at least one value"),
        ("sweep.zip=[1]", r"demo\.toml: sweep\.zip=\[1\] must be a list of keys that \[sweep\] has"),
        ("sweep.stesp=[1]", r"demo\.toml: stesp is unknown; did you mean steps\?"),
        ('data={sha256="00"}', r"demo\.toml: data\.sha256='00', but the data of the task have [0-9a-f]{64}"),
        ("sweep=5", r".*demo\.toml: sweep=5 must be a table of keys and lists"),
        ("sweep.zip=5", r"demo\.toml: sweep\.zip=5 must be a list of keys"),
        ("sweep.zip=[[1]]", r"demo\.toml: sweep\.zip=\[\[1\]\] must be a list of keys"),
        ("batch=5000", r"demo\.toml: batch=5000: size=5000 must be from 1 to the 1400 training examples"),
        ("task.train=5000", r"demo\.toml: task: train=5000 must be an integer from 1 to 1400"),
        ('task={name="language", text="/none"}', r"demo\.toml: task: text='/none' is no file"),
        ('model={names="lstm"}', r"demo\.toml: model: name is missing \(is 'names' meant for it\?\); known are"),
        ("steps", r"'steps' is no change of a configuration; write KEY=VALUE"),
    ],
)
def test_a_mistake_names_the_file_and_the_key(path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}") as raised:
        made(path, text)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "wrong", "message"),
    [
        ("batch = 8", "bach = 8", "bach is unknown; did you mean batch?"),
        ("steps = 40", "step = 40", "step is unknown; did you mean steps?"),
        ("[model]", "[models]", "models is unknown; did you mean model?"),
    ],
)
def test_a_misspelt_key_is_named_before_the_one_that_is_missing(
    path: Path, text: str, wrong: str, message: str
) -> None:
    path.write_text(PLAIN.replace(text, wrong))
    with pytest.raises(ConfigError, match="^" + re.escape(f"demo.toml: {message}")):
        made(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["model.sizes=[64, 16, 9]"], r".*sizes=\[64, 16, 9\] does not fit .*: 9 outputs are too few"),
        (
            ["model.sizes=[63, 16, 10]"],
            r".*sizes=\[63, 16, 10\] does not fit .*: w has shape \(63, 16\); pass one of shape \(64, N\)",
        ),
        (["model.sizes=[63, 10]", "policy=binary32"], r".*sizes=\[63, 10\] does not fit"),
        (['model={name="convnet"}'], r"name='convnet' does not fit .*: cannot reshape"),
        (['model={name="convnet", image=[8, 8, 1], classes=9}'], r".* does not fit .*: 9 outputs are too few"),
        (['model={name="adversaries"}'], r"name='adversaries' does not fit task\.name='classification'"),
        (['task={name="language", train=2000, test=100}'], r".* Perceptron is no network for Language"),
        (
            [
                'task={name="language", train=2000, test=100}',
                'model={name="lstm", vocabulary=3, embedding=4, hidden=4}',
            ],
            r".* does not fit task\.name='language': index \d+ is not one of a table of 3 rows",
        ),
        (
            [
                'task={name="language", train=2000, test=100, length=8}',
                'model={name="lstm", vocabulary=95, embedding=4, hidden=4}',
            ],
            r".* does not fit task\.name='language': 95 outputs are too few",
        ),
    ],
)
def test_a_network_that_does_not_fit_its_task_is_a_mistake(path: Path, changes: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^demo\.toml: model: {message}") as raised:
        made(path, *changes)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("task", "model"),
    [
        ('{name="heat-map", train=8, test=2}', '{name="perceptron", sizes=[64, 10]}'),
        ('{name="canvases", train=8, test=2}', '{name="heat-map-net"}'),
        ('{name="adversarial"}', '{name="adversaries"}'),
        ('{name="classification", dataset="digits"}', '{name="batch-norm-net", image=[8, 8, 1]}'),
        (
            '{name="language", train=2000, test=100, length=8}',
            '{name="transformer", vocabulary=96, width=8, heads=2, layers=1, length=8}',
        ),
    ],
)
def test_a_network_that_fits_its_task_is_none(path: Path, task: str, model: str) -> None:
    assert len(made(path, f"task={task}", f"model={model}")) == 1


@pytest.mark.parametrize(
    ("swept", "text"),
    [
        ('"policy.update" = ["kahan"]', "policy.update=nearest"),
        ('"policy.update" = ["kahan"]', 'policy={base="mixed", update="nearest"}'),
        ('policy = ["mixed"]', "policy.update=nearest"),
        ("seed = [0, 1]", "seed=5"),
    ],
)
def test_a_change_that_the_sweep_would_undo_is_a_mistake(path: Path, swept: str, text: str) -> None:
    path.write_text(f"{PLAIN}[sweep]\n{swept}\n")
    key = swept.partition(" ")[0].strip('"')
    with pytest.raises(ConfigError, match=rf"\[sweep\] has {key}, so that .* change sweep\.{key}=\[\.\.\.\] instead"):
        made(path, text)
    beside = "steps=3" if key == "policy" else "policy.loss_scale=dynamic"
    assert len(made(path, beside)) == (2 if key == "seed" else 1)


def test_keys_may_be_quoted_as_in_the_file(path: Path) -> None:
    found = made(path, 'sweep."policy.update"=["kahan"]')
    assert [changes for changes, _ in found] == [{"policy.update": "kahan"}]


@pytest.mark.parametrize("value", ["[master]", "{kind=static}"])
def test_words_in_a_list_need_quotes(path: Path, value: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"^{re.escape(value)} is no value of TOML: .*; inside of it texts need quotes"
    ):
        made(path, f"sweep.policy.update={value}")


def test_a_whole_sweep_is_changed_at_once(path: Path) -> None:
    found = made(path, 'sweep={seed=[0, 1], policy={update=["kahan"]}}')
    assert [changes for changes, _ in found] == [{"seed": seed, "policy.update": "kahan"} for seed in (0, 1)]


def test_what_is_missing_is_named(path: Path) -> None:
    for missing in ("batch", "steps"):
        path.write_text("\n".join(line for line in PLAIN.splitlines() if not line.startswith(missing)))
        with pytest.raises(ConfigError, match=f"^demo.toml: {missing} is missing"):
            made(path)
    path.write_text(PLAIN.replace('[optimizer]\nname = "adam"\nrate = 2e-5', ""))
    with pytest.raises(ConfigError, match=r"^demo\.toml: optimizer is missing"):
        made(path)
    path.write_text(PLAIN.replace("rate = 2e-5", ""))
    with pytest.raises(ConfigError, match=r"^demo\.toml: optimizer: adam lacks rate"):
        made(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            "data.sha526=abc",
            "data.sha526 is unknown; did you mean data.sha256?; known are data.name, data.file, data.sha256",
        ),
        ("code.foo=x", "code.foo is unknown; known are code.version, code.sha256"),
        ("steps=9007199254740993", "steps=9007199254740993: input should be less than or equal to 9007199254740992"),
        ("sample_every=99999999999999999999", "sample_every=99999999999999999999: "),
    ],
)
def test_what_a_run_wrote_and_counts_are_checked_too(path: Path, change: str, words: str) -> None:
    with pytest.raises(ConfigError, match=rf"^demo.toml: {re.escape(words)}"):
        made(path, change)


def test_what_is_no_toml_is_named(path: Path) -> None:
    for content in (b"steps = ", b"\xff"):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"demo\.toml: "):
            read(path)
    path.write_text("sweep = 5")
    with pytest.raises(ConfigError, match="must be a table"):
        read(path)


def test_a_sweep_has_every_combination(path: Path) -> None:
    path.write_text(
        PLAIN + '[sweep]\nseed = [0, 1, 2]\n"policy.update" = ["nearest", "kahan"]\noptimizer.rate = [1e-3]\n'
    )
    found = made(path)
    assert len(found) == 6
    wanted = {(seed, update) for seed in range(3) for update in ("nearest", "kahan")}
    assert {(each.seed, each.policy.update.value) for _, each in found} == wanted
    assert {e.settings.optimizer.rate for _, e in found} == {1e-3}  # type: ignore[union-attr]
    assert found[0][0] == {"seed": 0, "policy.update": "nearest", "optimizer.rate": 1e-3}


def test_a_swept_table_does_not_undo_what_is_swept_inside_it(path: Path) -> None:
    inner, outer = '"policy.update" = ["nearest", "kahan"]\n', 'policy = ["mixed", "mixed-scaled"]\n'
    for lines in (inner + outer, outer + inner):
        path.write_text(f"{PLAIN}[sweep]\n{lines}")
        found = {(each.policy.update.value, str(each.policy.loss_scale)) for _, each in made(path)}
        assert found == {(update, scale) for update in ("nearest", "kahan") for scale in ("none", "1024")}


def test_the_example_of_the_documentation_is_a_configuration(path: Path, root: Path) -> None:
    page = (root / "docs" / "start" / "at-a-glance.md").read_text()
    (example,) = re.findall(r"^```toml\n(.*?)^```", page, re.M | re.S)
    path.write_text(example)
    found = made(path)
    assert len(found) == 12
    assert {each.policy.weight_gradient.terms for _, each in found} == {16}  # type: ignore[union-attr]


def test_keys_side_by_side_are_not_multiplied(path: Path) -> None:
    path.write_text(
        PLAIN + '[sweep]\nzip = ["steps", "batch"]\nsteps = [10, 20]\nbatch = [4, 2]\npolicy = ["mixed", "binary32"]\n'
    )
    found = [(e.settings.steps, e.settings.batch, e.policy.name) for _, e in made(path)]
    assert found == [(s, b, p) for s, b in ((10, 4), (20, 2)) for p in ("mixed", "binary32")]
    with pytest.raises(ConfigError, match="must be of one length, but steps has 3, batch has 2"):
        made(path, "sweep.steps=[1, 2, 3]")


def test_a_sweep_does_not_leak_from_one_run_to_the_next(path: Path) -> None:
    table = read(path, ['sweep.policy.loss_scale=[{kind="static", scale=2}, "none", {kind="dynamic"}]'])
    first, second, third = (point.table["policy"]["loss_scale"] for point in expand(table, "x"))
    assert (first, second, third) == ({"kind": "static", "scale": 2}, "none", {"kind": "dynamic"})
    change(first, "scale", 3)
    assert expand(table, "x")[0].table["policy"]["loss_scale"] == {"kind": "static", "scale": 2}


def test_the_configuration_of_a_finished_run_is_one(path: Path, tmp_path: Path) -> None:
    pytest.importorskip("tomli_w")
    from halfsim.studies.folder import RunFolder
    from halfsim.studies.grid import RunJob

    ((_, wanted),) = made(path, "policy.loss_scale=dynamic", "clip_norm=2")
    job = RunJob(part="a", variant="b", experiment=wanted)
    RunFolder(tmp_path / "run").describe(job.config)
    ((_, again),) = made(tmp_path / "run" / "config.toml")
    assert RunJob(part="a", variant="b", experiment=again).id == job.id
