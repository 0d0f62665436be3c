"""mix: proportions that every beginning keeps, ends of all kinds, and weights and members that change between runs."""

from __future__ import annotations

import collections
import contextlib
import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, StateError
from penstock.operations.mix import Turns
from penstock.testing import Scrambled, check_dataset


def tagged(tag, n, *, shuffle=False, stream=False):
    """Return a dataset of pairs of a tag and a number."""
    base = ps.range(n) if not stream else ps.stream(list(range(n)))
    if shuffle:
        base = base.shuffle()
    return base.map(Tag(tag))


class Tag:
    """Puts a tag beside an item; comparable, so that descriptions are."""

    def __init__(self, tag):
        self.tag = tag
        self.__qualname__ = f"tag_{tag}"

    def __call__(self, x):
        return self.tag, x

    def __eq__(self, other):
        return isinstance(other, Tag) and other.tag == self.tag

    def __hash__(self):
        return hash(self.tag)


def jitter(x, rng):
    """Return an item and a draw."""
    return x, float(rng.random())


def even(x):
    """Keep even numbers."""
    return x % 2 == 0


@pytest.mark.parametrize(
    "dataset",
    [
        ps.mix([ps.range(0)]),
        ps.mix([ps.range(5)]),
        ps.mix([ps.range(10), ps.range(20)]),
        ps.mix([ps.range(10), ps.range(20)], stop="all"),
        ps.mix([ps.range(4), ps.range(9).filter(even)], weights=[1, 1], stop="all"),
        ps.mix([ps.range(4).shuffle(), ps.range(9).shuffle()], weights=[1, 2], stop="repeat"),
        ps.mix([ps.range(4).shuffle(), ps.range(9).filter(even)], weights=[1, 2], stop="never"),
        ps.mix([ps.range(30), ps.range(20)], how="random"),
        ps.mix([ps.range(10), ps.range(20)], how="random", stop="all", temperature=3),
        ps.mix([ps.range(4), ps.stream([1, 2])], weights=[1, 2], how="random", stop="repeat").map(jitter, rng=True),
        ps.mix({"a": ps.range(9), "b": ps.range(5).map(jitter, rng=True)}).batch(3, collate=list),
        ps.mix({"a": ps.range(9).batch(2), "b": ps.range(5).batch(2)}, weights={"b": 1, "a": 0}),
        ps.mix([ps.mix([ps.range(9), ps.range(9)]), ps.range(9)], weights=[2, 1], stop="all"),
        ps.mix([ps.range(9), ps.range(9)], weights=[1, 1]).shuffle(window=4).repeat(2),
        ps.mix([ps.range(6), ps.range(6)]).map(lambda x: [x] * (x % 3)).unbatch(),
        ps.zip(ps.mix([ps.range(9), ps.range(9)]), ps.mix([ps.range(9), ps.range(9)], how="random")),
        ps.mix({str(k): ps.range(k + 3) for k in range(12)}, stop="all"),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with a mix in it."""
    check_dataset(dataset, limit=45)


def test_processes_give_the_same():
    """In processes, too."""
    members = {"a": ps.range(9).map(jitter, rng=True), "b": ps.range(14).shuffle().filter(even)}
    dataset = ps.mix(members, weights={"a": 2, "b": 1}, stop="all").batch(3, collate=list)
    check_dataset(dataset, executors=(ps.Processes(2),), epochs=(0,))


# ------------------------------------------------------------------------------------------------------- proportions


@given(st.lists(st.integers(0, 1 << 40), min_size=1, max_size=9).filter(any), st.integers(1, 300))
def test_every_beginning_has_the_proportions(shares, n):
    """After any number of turns, each member's count is within 1 of its share of them."""
    turns = Turns(shares, [0] * len(shares))
    for count in range(1, n + 1):
        turns.counts[turns.next()] += 1
        for share, had in zip(shares, turns.counts, strict=True):
            assert abs(share * count - had * turns.total) <= turns.total


@given(st.lists(st.floats(0, 100), min_size=1, max_size=6).filter(lambda w: sum(w) > 1e-3), st.integers(0, 3))
def test_a_mix_has_the_proportions(weights, epoch):
    """The same of the items of a mix, of each beginning."""
    dataset = ps.mix([tagged(k, 10**6) for k in range(len(weights))], weights=weights).epoch(epoch)
    counts = collections.Counter()
    for count, (tag, number) in enumerate(itertools.islice(dataset, 100), 1):
        assert number == counts[tag]  # each member in its own order
        counts[tag] += 1
        for k, weight in enumerate(weights):
            assert abs(weight / sum(weights) * count - counts[k]) <= 1 + 1e-6


def test_drawn_proportions():
    """With how="random" the counts are those of independent draws, other ones in every epoch and for every seed."""
    members = [tagged(k, 10**6) for k in range(3)]
    dataset = ps.mix(members, weights=[1, 2, 7], how="random")
    n = 20_000
    tags = np.array([tag for tag, _ in itertools.islice(dataset, n)])
    for k, share in enumerate([0.1, 0.2, 0.7]):
        assert abs((tags == k).sum() - n * share) < 4 * np.sqrt(n * share * (1 - share))
    for lag in (1, 2, 10):
        assert abs(np.corrcoef(tags[:-lag], tags[lag:])[0, 1]) < 5 / np.sqrt(n)

    def beginning(described):
        return tuple(tag for tag, _ in itertools.islice(described, 60))

    seeded = ps.mix([ps.range(10**6).seed(5).map(Tag(0)), *members[1:]], weights=[1, 2, 7], how="random")
    assert len({beginning(d) for d in (dataset, dataset.epoch(1), seeded)}) == 3


def test_weights_are_lengths_by_default():
    """Without weights, members of known length come to their ends together."""
    found = collections.Counter(tag for tag, _ in ps.mix([tagged("a", 30), tagged("b", 10)]))
    assert found == {"a": 30, "b": 10}


def test_temperature_makes_even():
    """A high temperature makes weights nearly equal; 1 leaves them."""
    members = [tagged("a", 900), tagged("b", 100)]

    def share(temperature):
        return sum(t == "a" for t, _ in ps.mix(members, temperature=temperature).take(100))

    assert [share(1), share(2), share(1e9)] == [90, 75, 50]
    assert share(0.5) == 99


# --------------------------------------------------------------------------------------------------------------- ends


def test_first():
    """With stop="first" the epoch ends when a member that has the turn is through."""
    found = list(ps.mix([tagged("a", 3), tagged("b", 100)], weights=[1, 1]))
    assert collections.Counter(t for t, _ in found)["a"] == 3
    assert len(found) in (6, 7)


@pytest.mark.parametrize("how", ["exact", "random"])
def test_all(how):
    """With stop="all" every item of every member comes exactly once."""
    found = list(
        ps.mix([tagged("a", 3), tagged("b", 50, stream=True), tagged("c", 0)], weights=[5, 1, 1], how=how, stop="all")
    )
    assert sorted(found) == [("a", k) for k in range(3)] + [("b", k) for k in range(50)]


@pytest.mark.parametrize("how", ["exact", "random"])
def test_repeat(how):
    """With stop="repeat" members begin again, shuffled anew, until all have been through once."""
    found = list(ps.mix([tagged("a", 5, shuffle=True), tagged("b", 40)], weights=[1, 1], how=how, stop="repeat"))
    small = [x for t, x in found if t == "a"]
    assert [x for t, x in found if t == "b"] == list(range(40))
    rounds = [tuple(small[k : k + 5]) for k in range(0, len(small) - 4, 5)]
    assert all(sorted(r) == list(range(5)) for r in rounds)
    assert len(set(rounds)) > 1


def test_never():
    """With stop="never" there is no end, and every epoch is another."""
    dataset = ps.mix([tagged("a", 3, shuffle=True), tagged("b", 4, shuffle=True)], weights=[1, 2], stop="never")
    one, two = (list(itertools.islice(dataset.epoch(e), 300)) for e in (0, 1))
    assert len(one) == 300
    assert one != two


def test_members_of_weight_0_never_come():
    """A weight of 0 leaves a member out, and nobody waits for its end."""
    assert {t for t, _ in ps.mix([tagged("a", 3), tagged("b", 3)], weights=[0, 2], stop="repeat")} == {"b"}


def test_a_round_without_items_is_an_error():
    """A member that gives nothing in a whole round would be asked without end."""
    dataset = ps.mix(
        {"a": ps.range(4), "b": ps.range(4).filter(lambda x: x > 9)}, weights={"a": 1, "b": 1}, stop="never"
    )
    with pytest.raises(ArgumentError, match="whole round of member 'b' gave no item"):
        list(dataset)


# ------------------------------------------------------------------------------------------- changes between two runs


def pools(**sizes):
    """Return members by name: one shuffled, one filtered, one with draws."""
    made = {name: tagged(name, n, shuffle=True) for name, n in sizes.items()}
    return {name: d.filter(lambda x: x[1] != 3) if name == "b" else d for name, d in made.items()}


def run(dataset, count=None, state=None, workers=None):
    """Return the items of a loader and the state behind them."""
    with dataset.loader(workers=workers) as loader:
        if state is not None:
            loader.load_state_dict(json.loads(json.dumps(state)))
        items = list(itertools.islice(loader, count))
        return items, loader.state_dict()


@given(
    st.integers(0, 40),
    st.lists(st.integers(0, 5), min_size=3, max_size=3).filter(any),
    st.lists(st.integers(1, 5), min_size=3, max_size=3),
    st.sampled_from(["exact", "random"]),
    st.booleans(),
)
def test_weights_may_change(cut, before, after, how, scrambled):
    """With other weights after a resume, every item of every member still comes exactly once."""
    names = ["a", "b", "c"]
    members = pools(a=20, b=15, c=10)
    one = ps.mix(members, weights=dict(zip(names, before, strict=True)), how=how, stop="all")
    two = ps.mix(members, weights=dict(zip(names, after, strict=True)), how=how, stop="all")
    first, state = run(one, cut)
    if len(first) < cut:  # that epoch is over
        return
    rest, _ = run(two, state=state, workers=Scrambled(seed=cut) if scrambled else None)
    expected = [(t, k) for t, n in zip(names, (20, 15, 10), strict=True) for k in range(n) if (t, k) != ("b", 3)]
    assert sorted(first + rest) == expected


@given(st.integers(1, 30), st.sampled_from(["exact", "random"]))
def test_members_may_come_and_go(cut, how):
    """Those that stay go on where they were, in the same order, whoever came before them and went; new ones begin."""
    members = pools(a=20, b=15, c=10)
    first, state = run(ps.mix(members, how="exact", stop="all", weights={"a": 1, "b": 1, "c": 1}), cut)
    other = {"d": tagged("d", 7), "c": members["c"], "b": members["b"]}
    other = ps.mix(other, weights={"b": 3, "c": 1, "d": 2}, stop="all")
    rest, _ = run(other, state=state)
    for name in "bc":
        alone = [x for x in ps.mix(members, weights={"a": 1, "b": 1, "c": 1}, stop="all") if x[0] == name]
        assert [x for x in first + rest if x[0] == name] == alone
    assert [x for x in rest if x[0] == "d"] == [("d", k) for k in range(7)]
    assert not [x for x in rest if x[0] == "a"]


def test_a_changed_mix_in_batches():
    """Behind batch, map and filter, too; and what was saved after the change resumes as any state does."""
    members = pools(a=40, b=40)

    def made(a, b):
        mixed = ps.mix(members, weights={"a": a, "b": b}, stop="all")
        return mixed.filter(lambda x: x[1] != 7).map(lambda x: x).batch(4, collate=list).prefetch(2)

    first, state = run(made(1, 1), 5)
    second, later = run(made(3, 1), 4, state)
    rest, _ = run(made(3, 1), state=later)
    assert rest == run(made(3, 1), state=state)[0][4:]
    found = sorted(itertools.chain(*first, *second, *rest))
    assert found == [(t, k) for t in "ab" for k in range(40) if k != 7 and (t, k) != ("b", 3)]


def test_the_new_proportions_begin_at_the_change():
    """After a change the new proportions hold from there on; nobody catches up."""
    members = {"a": tagged("a", 1000), "b": tagged("b", 1000)}
    _, state = run(ps.mix(members, weights={"a": 9, "b": 1}), 100)
    rest, _ = run(ps.mix(members, weights={"a": 1, "b": 1}), 10, state)
    assert collections.Counter(t for t, _ in rest) == {"a": 5, "b": 5}


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda a, b: ps.mix({"a": a, "b": b}, stop="all"), "step 1 was mix.*stop='first'"),
        (lambda a, b: ps.mix({"a": a, "b": b}, how="random"), "how='exact'"),
        (lambda a, b: ps.mix({"a": a, "b": b}).map(abs), "here it is map"),
        (lambda a, b: ps.mix({"a": a.map(abs), "b": b}), "member 'a' of mix.* had other steps"),
        (lambda a, b: ps.mix({"a": b, "b": a}), "member '.' of mix.* had other steps"),
        (lambda a, b: ps.mix({"x": a, "y": b}), "had members 'a', 'b', and none of them"),
        (lambda a, b: a, "step 1 was mix"),
    ],
)
def test_other_changes_are_refused(other, words):
    """A mix with another rule, another member under a known name, or with nobody that stays, is another pipeline."""
    a, b = ps.range(30).seed(3).shuffle(), ps.range(20)
    _, state = run(ps.mix({"a": a, "b": b}), 5)
    with other(a, b).loader() as loader, pytest.raises(StateError, match=words):
        loader.load_state_dict(state)


def test_a_shared_step_does_not_change_unseen():
    """Where members share a random step, a member whose order would change with its neighbours is refused."""
    base = ps.range(30).shuffle()
    a, b = base.filter(even), base.filter(bool)
    _, state = run(ps.mix({"a": a, "b": b}, weights={"a": 1, "b": 1}), 5)
    with ps.mix({"b": b}, weights={"b": 1}).loader() as loader, pytest.raises(StateError, match="or other draws"):
        loader.load_state_dict(state)


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("step", [lambda d: d.shuffle(window=5), lambda d: d.reuse(2), lambda d: d.batch(2).unbatch()])
def test_a_change_before_a_step_that_reads_again_is_refused(step, count):
    """A step that reads items again on resuming must find the same ones: a changed mix before it is refused."""
    members = {"a": ps.range(40), "b": ps.range(40)}
    _, state = run(step(ps.mix(members, weights={"a": 1, "b": 1})), count)
    changed = step(ps.mix(members, weights={"a": 1, "b": 2}))
    with (
        changed.loader() as loader,
        pytest.raises(StateError, match=r"step 3 was mix.*weights=.*'b': 1.*here it is mix"),
    ):
        loader.load_state_dict(state)
    rest, _ = run(step(ps.mix(members, weights={"a": 1, "b": 1})), state=state)
    assert [str(x) for x in rest] == [str(x) for x in step(ps.mix(members, weights={"a": 1, "b": 1}))][count:]


@pytest.mark.parametrize(
    "garbage",
    [3, [1], {}, {"count": 1}, {"count": 1, "check": 1, "turns": [], "members": {"a": []}}, {"count": 1, "x": 2}],
    ids=repr,
)
def test_garbage_positions_are_refused(garbage):
    """What no mix has given is refused."""
    dataset = ps.mix({"a": ps.range(5), "b": ps.range(5)})
    with dataset.loader() as loader:
        state = {**loader.state_dict(), "position": garbage}
        with pytest.raises(StateError):
            loader.load_state_dict(state)


@given(st.data())
def test_spoiled_positions_are_refused_or_harmless(data):
    """A position with anything in it replaced is a StateError, at the latest when it is read, or gives items."""
    dataset = ps.mix({"a": ps.range(5), "b": ps.range(5)})
    _, state = run(dataset, 3)
    position = json.loads(json.dumps(state["position"]))
    wrong = data.draw(st.sampled_from([None, -1, 1.5, "x", [], {}, True]))
    where = data.draw(st.sampled_from(["count", "check", "turns", "members"]))
    if where == "members" and data.draw(st.booleans()):
        position["members"]["a"][data.draw(st.integers(0, 3))] = wrong
    else:
        position[where] = wrong
    with contextlib.suppress(StateError):
        run(dataset, state={**state, "position": position})


# ---------------------------------------------------------------------------------------------------------- the rest


def test_draws_within_a_member_do_not_depend_on_its_neighbours():
    """Orders and draws of a named member are the same whoever else is there, and differ between members."""
    a, b = (ps.range(50).shuffle().map(jitter, rng=True).map(Tag(name)) for name in "ab")

    def of(dataset, name):
        return [x for t, x in dataset if t == name]

    pair = ps.mix({"a": a, "b": b}, weights={"a": 1, "b": 1}, stop="all")
    assert of(pair, "b") == of(ps.mix({"b": b}, weights={"b": 1}), "b")
    assert of(pair, "a") != of(pair, "b")
    two = ps.zip(pair, ps.mix({"a": a, "b": b}, weights={"a": 1, "b": 1}, stop="all"))
    assert all(x == y for x, y in two)  # they share their members' steps


def test_errors_name_the_member():
    """An error of a member's function has its own type, and the member's item."""

    def fail(x):
        if x == 2:
            raise OSError(x)
        return x

    with pytest.raises(OSError, match="2") as caught:
        list(ps.mix([ps.range(9), ps.range(9).map(fail)]))
    assert "item 2 of map(fail), epoch 0" in caught.value.__notes__[0]


def test_on_error_counts_within_members():
    """A policy of a member leaves out its items, and the mix goes on."""

    def fail(x):
        if x == 2:
            raise OSError(x)
        return x

    found = list(ps.mix([ps.range(5).map(fail).on_error("skip"), ps.range(5)], weights=[1, 1], stop="all"))
    assert sorted(found) == sorted([0, 1, 3, 4, 0, 1, 2, 3, 4])


def test_a_loaders_policy_reaches_batches_of_members():
    """A loader's policy stands in front of each member's batches, and leaves the proportions as they are."""

    def fail(x):
        if x == 2:
            raise OSError(x)
        return x

    dataset = ps.mix([ps.range(20).map(fail).batch(2), ps.range(40).batch(2)], stop="all")
    with dataset.loader(on_error="skip") as loader:
        found = sorted(x for batch in loader for x in batch.tolist())
    assert found == sorted([*range(2), *range(3, 20), *range(40)])


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda a, b: ps.mix([]), ArgumentError, "nothing was given"),
        (lambda a, b: ps.mix([a, [1]]), ArgumentTypeError, "is not a dataset"),
        (ps.mix, ArgumentTypeError, r"mix\(\).*positional"),
        (lambda a, b: ps.mix(a), ArgumentTypeError, "in one list"),
        (lambda a, b: ps.mix(3), ArgumentTypeError, "in one list"),
        (lambda a, b: ps.mix([a, b], weights=3), ArgumentTypeError, "a weight for each"),
        (lambda a, b: ps.mix([a, b], weights=[1]), ArgumentError, "1 weights were given for 2"),
        (lambda a, b: ps.mix([a, b], weights=[1, -1]), ArgumentError, "member '1'"),
        (lambda a, b: ps.mix([a, b], weights=[1, float("nan")]), ArgumentError, "member '1'"),
        (lambda a, b: ps.mix([a, b], weights=[1, "x"]), ArgumentTypeError, "must be numbers"),
        (lambda a, b: ps.mix([a, b], weights=[0, 0]), ArgumentError, "all weights are 0"),
        (lambda a, b: ps.mix([a, b], weights={"a": 1, "b": 1}), ArgumentError, "have no names"),
        (lambda a, b: ps.mix({"a": a, "b": b}, weights={"a": 1}), ArgumentError, "Give one for each"),
        (lambda a, b: ps.mix({"a": a, "b": b}, weights=[1, 1]), ArgumentTypeError, "weights by name"),
        (lambda a, b: ps.mix({1: a, 2: b}), ArgumentTypeError, "must be words"),
        (lambda a, b: ps.mix([a, b.filter(bool)]), ArgumentError, "member '1' has no length"),
        (lambda a, b: ps.mix([a, b.repeat()]), ArgumentError, "Say weights"),
        (lambda a, b: ps.mix([a, b], how="exactly"), ArgumentError, "Did you mean 'exact'"),
        (lambda a, b: ps.mix([a, b], stop="last"), ArgumentError, "stop must be one of"),
        (lambda a, b: ps.mix([a, b], temperature=0), ArgumentError, "temperature must be a number above 0"),
        (lambda a, b: ps.mix([a, b], temperature="hot"), ArgumentError, "temperature"),
        (lambda a, b: ps.mix([a, b.take(0)], weights=[1, 1], stop="never"), ArgumentError, "member '1' is empty"),
        (lambda a, b: ps.mix([a, b], how="random").seed(1), ArgumentTypeError, "stands behind mix"),
    ],
)
def test_wrong_arguments(call, kind, words):
    """What cannot work is refused with a remedy."""
    with pytest.raises(kind, match=words):
        call(ps.range(4), ps.range(4))


def test_labels():
    """A mix is printed with its weights; a state knows it without them."""
    a, b = ps.range(4), ps.range(6)
    assert ps.mix([a, b], weights=[0.7, 0.3]).node.label() == "mix(weights=[0.7, 0.3])"
    named = ps.mix({"a": a, "b": b}, weights={"a": 1, "b": 2}, how="random", stop="all").node
    assert named.label() == "mix(weights={'a': 1, 'b': 2}, how='random', stop='all')"
    assert named.fingerprint() == "mix(how='random', stop='all')"
    assert "a=range(4)" in repr(ps.mix({"a": a, "b": b}))


@pytest.mark.parametrize(
    "behind",
    [
        lambda d: d.batch([1, 2, 3], collate=list),
        lambda d: d.batch_by(7, lambda x: 1 + x % 3, collate=list),
        lambda d: d.batch_while(lambda items, x: len(items) < 2, collate=list),
        lambda d: d.enumerate().map(lambda pair: [pair[1]]),
        lambda d: d.take_while(lambda x: True).drop_while(lambda x: False).map(lambda x: [x]),
    ],
)
@pytest.mark.parametrize("cut", [0, 1, 4])
def test_members_and_weights_change_in_front_of_steps_that_stand_between_two_items(behind, cut):
    """Behind batches of other sizes, budgets, numbers and ends, too, the members that stay lose and repeat nothing."""
    a, b, c = ps.range(100, 112), ps.range(200, 209).shuffle(), ps.range(300, 305)
    before = behind(ps.mix({"a": a, "b": b}, weights={"a": 1, "b": 2}, stop="all"))
    after = behind(ps.mix({"c": c, "b": b, "a": a}, weights={"a": 3, "b": 1, "c": 1}, stop="all"))
    with before.loader() as loader:
        head = list(itertools.islice(loader, cut))
        state = loader.state_dict()
    with after.loader() as loader:
        loader.load_state_dict(state)
        found = sorted(x for batch in [*head, *loader] for x in batch)
    assert found == [*range(100, 112), *range(200, 209), *range(300, 305)]
