"""This package and Supriya agree, except as differences.toml lists."""

import re

import pytest

differences = pytest.importorskip("differences", reason="needs tomllib")


def check(table, field, peer, own, is_same=lambda left, right: left == right):
    different = [name for name, value in peer.items() if not is_same(value, own.get(name))]
    unlisted, stale = differences.unlisted(table, field, different)
    assert not unlisted, {name: (peer[name], own.get(name, "missing")) for name in unlisted[:20]}
    assert not stale, f"differences.toml lists what does not differ: {stale}"
    return len(different)


def test_only_the_listed_names_differ(compare):
    peer, own = compare("surface.py")
    assert len(peer) > 70_000 and "ugens.osc.SinOsc.ar(frequency)" in peer
    count = check("surface", "names", peer, own)
    print(f"{len(peer)} names, parameters, defaults and members; {count} differ")


def test_only_the_listed_expressions_have_other_results(compare):
    peer, own = compare("behaviour.py")
    assert len(peer) > 500

    def is_same(left, right):
        if right == "raises MalformedDatagram":
            return left in ("raises ValueError", "raises error")
        return left == right

    count = check("behaviour", "expressions", peer, own, is_same)
    print(f"{len(peer)} expressions; {count} differ")


def test_compiled_bytes_are_identical(compare):
    peer, own = compare("graphs.py", "1100")
    graphs = {name: value for name, value in peer.items() if name.startswith("graph ")}
    # Supriya fails on some random graphs, for example on logarithms of zero in constants.
    failed = {name for name, value in graphs.items() if not value.startswith("5343")}
    assert len(graphs) - len(failed) >= 1000
    compared = {name: value for name, value in peer.items() if name not in failed}
    count = check("bytes", "labels", compared, own)
    single = len(peer) - len(graphs)
    print(f"{single} UGens and rates, {len(graphs) - len(failed)} random graphs; {count} differ")


def test_the_same_calls_send_the_same_datagrams(compare):
    peer, own = compare("datagrams.py")
    assert len(peer) > 170
    count = check("datagrams", "labels", peer, own)
    packets = sum(map(len, peer.values()))
    print(f"{len(peer)} calls and moments, {packets} datagrams; {count} differ")


def test_the_page_is_up_to_date():
    assert differences.PAGE.read_text(encoding="utf-8") == differences.page(), (
        "run python/consort_sc/tests/differences.py"
    )


def test_the_example_of_the_page_runs(capsys):
    [example] = re.findall(r"```python\n(.*?)```", differences.page(), re.S)
    exec(compile(example, "example", "exec"), {})
    assert "name: bell" in capsys.readouterr().out
