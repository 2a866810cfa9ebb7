"""The configuration: five layers, one Struct, errors that name the place."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from supervisor.config import INHERITED, Config, ConfigError, handed_over, load, masked, masked_url

ROOT = Path(__file__).parents[2]
COMMENTED = ROOT / "deploy" / "conclave.toml"


def configured(text="", environ=None, flags=None, *, path):
    file = path / "conclave.toml"
    file.write_text(text)
    return load(file, flags, environ or {})


def refused(text="", environ=None, flags=None, *, path):
    with pytest.raises(ConfigError) as raised:
        configured(text, environ, flags, path=path)
    return raised.value


# ---------------------------------------------------------------------------------------- layers


def test_nothing_said_means_the_defaults():
    assert load(environ={}) == Config()


def test_the_file_stands_above_the_defaults(tmp_path):
    config = configured("[server]\nport = 7", path=tmp_path)
    assert (config.server.port, config.server.host) == (7, "127.0.0.1")


def test_the_environment_stands_above_the_file(tmp_path):
    environ = {"CONCLAVE_SERVER__PORT": "8", "conclave_server__host": "::1"}
    config = configured("[server]\nport = 7", environ, path=tmp_path)
    assert (config.server.port, config.server.host) == (8, "::1")


def test_flags_stand_above_everything_and_none_means_not_given(tmp_path):
    flags = {"server": {"port": 0, "host": None}, "limits": None}
    config = configured("[server]\nport = 7", {"CONCLAVE_SERVER__PORT": "8"}, flags, path=tmp_path)
    assert (config.server.port, config.server.host) == (0, "127.0.0.1")


@pytest.mark.parametrize(
    ("profile", "copies", "sync"),
    [("fast", 1, "10s"), ("safe", 1, "always"), ("cluster", 3, "always")],
)
def test_a_durability_profile_stands_above_the_defaults_alone(tmp_path, profile, copies, sync):
    chosen = f'[retention]\ndurability = "{profile}"'
    config = configured(chosen, path=tmp_path)
    assert (config.retention.replicas, config.server.sync_interval) == (copies, sync)
    config = configured(
        f"{chosen}\nreplicas = 5", {"CONCLAVE_SERVER__SYNC_INTERVAL": "1m"}, path=tmp_path
    )
    assert (config.retention.replicas, config.server.sync_interval) == (5, "1m")


def test_a_profile_may_come_from_anywhere_and_reaches_the_children(tmp_path):
    config = configured(environ={"CONCLAVE_RETENTION__DURABILITY": "safe"}, path=tmp_path)
    assert config.server.sync_interval == "always"
    assert load(environ={INHERITED: handed_over(config)}) == config


def test_an_unknown_profile_is_refused_with_those_there_are(tmp_path):
    error = refused('[retention]\ndurability = "paranoid"', path=tmp_path)
    assert (error.key, "cluster" in error.allowed) == ("retention.durability", True)


def test_nats_url_is_honoured_below_its_own_variable():
    assert load(environ={"NATS_URL": "nats://a"}).nats.url == "nats://a"
    both = {"NATS_URL": "nats://a", "CONCLAVE_NATS__URL": "nats://b"}
    assert load(environ=both).nats.url == "nats://b"


def test_a_variable_can_name_the_file(tmp_path):
    file = tmp_path / "elsewhere.toml"
    file.write_text("[server]\nport = 9")
    assert load(environ={"CONCLAVE_CONFIG": str(file)}).server.port == 9


def test_variables_carry_lists_tables_and_switches():
    pool = load(
        environ={
            "CONCLAVE_POOLS__DEFAULT__QUEUES": "DEV, QA",
            "CONCLAVE_POOLS__DEFAULT__LORA": '{"DEV": "/models/dev"}',
            "CONCLAVE_POOLS__DEFAULT__ENFORCE_EAGER": "true",
            "CONCLAVE_POOLS__DEFAULT__TOP_P": "0.5",
        }
    ).pools["default"]
    assert pool.queues == ("DEV", "QA")
    assert pool.lora == {"DEV": "/models/dev"}
    assert (pool.enforce_eager, pool.top_p) == (True, 0.5)


def test_variables_of_others_are_left_alone():
    assert load(environ={"CONCLAVE_PYTHON": "python3.12", "SERVER__PORT": "1"}) == Config()


def test_pools_in_the_file_stand_instead_of_the_default_pool(tmp_path):
    config = configured('[pools.big]\nmodel = "x"\n[pools.Small]', path=tmp_path)
    assert set(config.pools) == {"big", "Small"}


def test_a_variable_finds_a_pool_however_it_is_written(tmp_path):
    environ = {"CONCLAVE_POOLS__MYPOOL__REPLICAS": "3"}
    config = configured("[pools.MyPool]", environ, path=tmp_path)
    assert config.pools["MyPool"].replicas == 3


def test_flags_can_mean_every_pool(tmp_path):
    flags = {"pools": {"*": {"engine": "scripted", "model": None}, "b": {"replicas": 2}}}
    config = configured('[pools.a]\nmodel = "m"\n[pools.b]', flags=flags, path=tmp_path)
    assert {pool.engine for pool in config.pools.values()} == {"scripted"}
    assert (config.pools["a"].model, config.pools["b"].replicas) == ("m", 2)


def test_children_get_exactly_what_their_supervisor_has(tmp_path):
    above = configured('[pools.a]\nqueues = ["DEV"]', {"NATS_URL": "nats://x"}, path=tmp_path)
    environ = {INHERITED: handed_over(above), "CONCLAVE_SERVER__PORT": "1", "NATS_URL": "nats://y"}
    assert load(tmp_path / "conclave.toml", environ=environ) == above


# ---------------------------------------------------------------------------------------- errors


def test_an_unknown_key_is_named_with_its_file_and_what_is_allowed(tmp_path):
    error = refused("[server]\nprt = 7", path=tmp_path)
    assert (error.source, error.key) == (str(tmp_path / "conclave.toml"), "server.prt")
    assert "did you mean `port`?" in error.wrong
    assert error.allowed.startswith("host, port, ")


@pytest.mark.parametrize(
    ("text", "key", "allowed"),
    [
        ("servr = 1", "servr", "nats, server, retention, limits, pools, synadia, supervisor"),
        ("server = 1", "server", "host, port"),
        ('[server]\nport = "7"', "server.port", "`int`"),
        ("[server]\nport = 70000", "server.port", "`int` <= 65535"),
        ('[server]\nsync_interval = "soon"', "server.sync_interval", "`always`, or a whole number"),
        ('[pools.default]\nengine = "gpt"', "pools.default.engine", "vllm, scripted"),
        ('[pools."9 lives"]', "pools.9 lives", "a letter, then letters"),
        ("[pools.a.b]\nc = 1", "pools.a.b", "queues, engine, model"),
        ("[pools]\na = 1", "pools.a", "queues, engine, model"),
        ("[pools.a]\nqueues = [1]", "pools.a.queues", "`str`"),
        ("[pools.a.lora]\nDEV = 1", "pools.a.lora.DEV", "`str`"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_by_its_path(text, key, allowed, tmp_path):
    error = refused(text, path=tmp_path)
    assert error.key == key
    assert error.allowed.startswith(allowed)
    assert str(error).startswith(f"{tmp_path / 'conclave.toml'}: {key}: ")


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("CONCLAVE_SERVER__PORT", "x", "`int`"),
        ("CONCLAVE_SERVER__PROT", "1", "unknown key"),
        ("CONCLAVE_SERVERS__PORT", "1", "did you mean `server`?"),
        ("CONCLAVE_SERVER_PORT", "1", "CONCLAVE_SERVER__PORT"),
        ("CONCLAVE_POOLS__DEFAULT", "1", "expected a table"),
        ("CONCLAVE_SERVER__PORT__X", "1", "`port` has no keys"),
        ("CONCLAVE_POOLS__DEFAULT__QUEUES", "[1", "is not JSON"),
        ("CONCLAVE_POOLS__DEFAULT__LORA", "DEV=x", "is not JSON"),
        ("CONCLAVE_POOLS__9__MODEL", "x", "a letter, then letters"),
    ],
)
def test_what_is_wrong_in_a_variable_is_named_by_its_name(variable, value, says):
    with pytest.raises(ConfigError) as raised:
        load(environ={variable: value})
    assert raised.value.source == variable
    assert says in str(raised.value)


def test_a_wrong_flag_is_said_to_be_on_the_command_line(tmp_path):
    error = refused(flags={"server": {"port": -1}}, path=tmp_path)
    assert (error.source, error.key, error.allowed) == ("command line", "server.port", "`int` >= 0")


def test_a_file_that_is_not_there_or_not_toml_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.toml: No such file"):
        load(tmp_path / "nowhere.toml", environ={})
    assert "is not TOML" in refused("port 7", path=tmp_path).wrong
    (tmp_path / "latin.toml").write_bytes(b"a = '\xe4'")
    with pytest.raises(ConfigError, match="is not TOML"):
        load(tmp_path / "latin.toml", environ={})


def test_a_broken_inheritance_is_named():
    with pytest.raises(ConfigError, match=INHERITED):
        load(environ={INHERITED: "{"})


def test_a_system_without_pools_is_refused():
    with pytest.raises(ConfigError, match="there is no pool"):
        load(environ={INHERITED: '{"pools": {}}'})


def test_a_secret_of_the_wrong_type_is_not_repeated(tmp_path):
    error = refused("[nats]\npassword = 4711", path=tmp_path)
    assert "4711" not in str(error)


# --------------------------------------------------------------------------------------- secrets


def test_nothing_secret_is_displayed():
    nats = {
        "url": "nats://me:topsecret@host:1,host:2",
        "password": "topsecret",
        "token": "topsecret",
    }
    shown = masked(load(flags={"nats": nats}, environ={}))
    assert "topsecret" not in repr(shown)
    assert "topsecret" not in msgspec.json.encode(shown).decode()
    assert shown.nats.url == "nats://***@host:1,host:2"
    assert masked_url("nats://host:4222") == "nats://host:4222"


# ---------------------------------------------------------------------------- deploy/conclave.toml


def test_the_commented_file_holds_exactly_the_defaults():
    assert load(COMMENTED, environ={}) == Config()


def test_the_commented_file_mentions_every_key():
    text = COMMENTED.read_text()
    tables = tomllib.loads(text)
    defaults = msgspec.to_builtins(Config())
    for section, keys in defaults.items():
        written = tables[section]["default"] if section == "pools" else tables[section]
        expected = keys["default"] if section == "pools" else keys
        missing = [key for key in expected if key not in written]
        # A key without a default value cannot be written in TOML; it stands there as a comment.
        assert [k for k in missing if not re.search(rf"^# {k} = ", text, re.MULTILINE)] == []


def test_a_councils_own_bound_can_come_from_the_environment():
    found = load(environ={"CONCLAVE_LIMITS__BACKLOG_OF__ARCHITECT": "50"})
    assert found.limits.backlog_of == {"ARCHITECT": 50}
    found = load(environ={"CONCLAVE_LIMITS__BACKLOG_OF": '{"Legal": 7}'})
    assert found.limits.backlog_of == {"Legal": 7}
