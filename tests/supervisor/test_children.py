"""Which children a configuration means, and what each is told."""

from supervisor import config, up
from supervisor.spec import PoolAnswers, ServiceAnswers, validated

CORE = ["registry", "dispatcher", "collector", "responder"]


def children(**flags):
    return {child.id: child for child in up.children(config.load(flags=flags, environ={}))}


def test_the_core_comes_first_and_the_agents_last():
    assert list(children()) == [*CORE, "default"]


def test_a_pool_with_a_model_is_one_driver_that_is_ready_with_its_last_replica():
    pool = children(pools={"default": {"replicas": 3}})["default"]
    assert pool.ready == PoolAnswers("conclave-agent", "default", 3)
    assert isinstance(pool.health, ServiceAnswers)
    assert pool.health.service == "conclave-placement"
    assert pool.argv[3:7] == ("run", "placement", "--pool", "default")
    assert pool.start_timeout_s == 600.0


def test_a_scripted_pool_is_one_process_for_each_replica():
    pools = {"a": {"engine": "scripted", "replicas": 2}, "default": {"engine": "scripted"}}
    found = children(pools=pools)
    assert sorted(set(found) - set(CORE)) == ["a-1", "a-2", "default-1"]
    assert found["a-2"].argv[3:7] == ("run", "agent", "--pool", "a")


def test_every_actor_is_asked_by_the_instance_it_was_told_to_be():
    for kind in CORE:
        child = children()[kind]
        assert child.health.service == f"conclave-{kind}"
        assert child.argv[child.argv.index("--instance") + 1] == child.health.instance


def test_two_systems_on_one_server_do_not_share_an_instance():
    assert children()["registry"].health != children()["registry"].health


def test_secrets_reach_children_by_environment_never_by_argument():
    for child in children(nats={"password": "topsecret"}).values():
        assert "topsecret" not in " ".join(child.argv)
        assert "topsecret" in child.env[config.INHERITED]
        assert config.load(environ=child.env).nats.password == "topsecret"


def test_all_of_them_are_specified_well():
    assert validated(list(children().values()))
