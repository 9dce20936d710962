use super::*;

const NONE: [i32; 0] = [];

fn info(id: i32, parent: i32, previous: i32, next: i32, is_group: bool) -> NodeInfo {
    let some = |id: i32| (id >= 0).then_some(id);
    NodeInfo {
        id,
        parent_id: some(parent),
        previous_id: some(previous),
        next_id: some(next),
        is_group,
        is_unordered: false,
        head_id: None,
        tail_id: None,
    }
}

fn synth(id: i32, previous: i32, next: i32) -> NodeInfo {
    info(id, 1, previous, next, false)
}

fn small() -> Mirror {
    let mut mirror = Mirror::default();
    mirror.go(&info(1, 0, -1, -1, true));
    for (id, previous) in [(1000, -1), (1001, 1000), (1002, 1001)] {
        mirror.go(&synth(id, previous, -1));
    }
    mirror
}

/// The root's tree: group 1 with these synths.
fn answer(ids: &[i32]) -> QueryTreeGroup {
    let synth = |id: &i32| {
        let synthdef = "tone".to_owned();
        QueryTreeNode::Synth(QueryTreeSynth { id: *id, synthdef, controls: Vec::new() })
    };
    let group = QueryTreeGroup { id: 1, children: ids.iter().map(synth).collect() };
    QueryTreeGroup { id: 0, children: vec![QueryTreeNode::Group(group)] }
}

fn seeded(ids: &[i32]) -> Mirror {
    let mut mirror = Mirror::default();
    mirror.go(&info(1, 0, -1, -1, true));
    mirror.seed(&answer(ids));
    assert!(mirror.is_unsettled());
    mirror
}

/// All that was on its way has come, and nothing was wrong.
fn settled(mut mirror: Mirror, expected: &[i32]) {
    assert_eq!(mirror.settle(), NONE);
    assert_eq!(mirror.children(1).unwrap(), expected);
    assert!(!mirror.is_stale() && !mirror.is_unsettled());
}

#[test]
fn a_replaced_node_leaves_the_mirror_without_a_notification() {
    let mut mirror = small();
    let replaced = mirror.go(&synth(1003, 1000, 1002));
    assert_eq!(replaced, [1001]);
    assert!(!mirror.contains(1001));
    // Should a server tell its end all the same, nothing is unsettled by it.
    mirror.end(&synth(1001, -1, -1));
    assert!(!mirror.is_unsettled());
    settled(mirror, &[1000, 1003, 1002]);
}

#[test]
fn moves_ends_and_pauses_are_followed() {
    let mut mirror = small();
    mirror.moved(&synth(1002, -1, 1000));
    assert_eq!(mirror.children(1).unwrap(), [1002, 1000, 1001]);
    mirror.moved(&info(1000, 0, 1, -1, false));
    assert_eq!(mirror.children(0).unwrap(), [1, 1000]);
    assert_eq!(mirror.parentage(1001), [1, 0]);
    mirror.set_running(1001, false);
    assert!(!mirror.is_running(1001));
    mirror.end(&info(1, -1, -1, -1, true));
    assert!(!mirror.contains(1001));
    assert_eq!(mirror.tree(0).unwrap().to_string(), "NODE TREE 0 group\n    1000 \n");
    assert!(!mirror.is_unsettled() && !mirror.is_stale());
    mirror.go(&info(5, 99, -1, -1, false));
    assert!(mirror.is_unsettled());
    mirror.settle();
    assert!(mirror.is_stale(), "a parent that nobody knows was not noticed");
}

#[test]
fn a_late_start_of_what_an_answer_shows_moves_and_replaces_nothing() {
    // 1000, then 1001 behind it; the answer shows both before either is told.
    let mut mirror = seeded(&[1000, 1001]);
    assert_eq!(mirror.go(&synth(1000, -1, -1)), NONE);
    assert_eq!(mirror.children(1).unwrap(), [1000, 1001]);
    assert_eq!(mirror.go(&synth(1001, 1000, -1)), NONE);
    assert_eq!(mirror.synthdef(1001).unwrap().as_ref(), "tone");
    settled(mirror, &[1000, 1001]);
    // As before, but 1000 was moved behind 1001, which is told late, too.
    let mut mirror = seeded(&[1001, 1000]);
    mirror.go(&synth(1000, -1, -1));
    mirror.go(&synth(1001, 1000, -1));
    mirror.moved(&synth(1000, 1001, -1));
    settled(mirror, &[1001, 1000]);
}

#[test]
fn a_late_start_of_what_ended_before_an_answer_replaces_nothing() {
    // 1000, 1001, 1002 were made in a row; 1001 ended; the answer came before all of it.
    let mut mirror = seeded(&[1000, 1002]);
    mirror.go(&synth(1000, -1, -1));
    assert_eq!(mirror.go(&synth(1001, 1000, -1)), NONE);
    assert!(mirror.contains(1002), "a node of the answer was taken for a replaced one");
    mirror.go(&synth(1002, 1001, -1));
    mirror.end(&synth(1001, -1, -1));
    settled(mirror, &[1000, 1002]);
    // Its neighbour of then ended, too.
    let mut mirror = seeded(&[1002]);
    mirror.end(&synth(1000, -1, -1));
    mirror.go(&synth(1001, 1000, -1));
    mirror.end(&synth(1001, -1, -1));
    settled(mirror, &[1002]);
}

#[test]
fn a_replacement_after_an_answer_is_seen_when_all_has_been_told() {
    let mut mirror = seeded(&[1000, 1001, 1002]);
    assert_eq!(mirror.go(&synth(1003, 1000, 1002)), NONE);
    assert_eq!(mirror.settle(), [1001]);
    settled(mirror, &[1000, 1003, 1002]);
    // Whether a move is older than the answer cannot be known: it is taken, and said to be stale.
    let mut mirror = seeded(&[1000, 1001, 1002]);
    mirror.moved(&synth(1001, -1, 1000));
    mirror.go(&synth(1003, 1000, 1002));
    assert_eq!(mirror.settle(), NONE);
    assert_eq!(mirror.children(1).unwrap(), [1001, 1000, 1003, 1002]);
    assert!(mirror.is_stale());
    // Of nodes that were told of since, nothing is in doubt.
    let mut mirror = seeded(&[1000]);
    mirror.go(&synth(1001, 1000, -1));
    mirror.go(&synth(1002, 1001, -1));
    assert_eq!(mirror.go(&synth(1003, 1000, 1002)), [1001]);
    settled(mirror, &[1000, 1003, 1002]);
}

#[test]
fn an_end_that_comes_before_its_start_leaves_no_ghost() {
    let mut mirror = small();
    mirror.end(&synth(1003, -1, -1));
    assert!(mirror.is_unsettled());
    mirror.go(&synth(1003, 1002, -1));
    assert!(!mirror.contains(1003));
    // The next one of this id is a new one.
    mirror.go(&synth(1003, 1002, -1));
    settled(mirror, &[1000, 1001, 1002, 1003]);
    // So it is if this client asked for it, or the start that was awaited never came.
    let mut mirror = small();
    mirror.end(&synth(1003, -1, -1));
    mirror.expect_synth(1003, "tone");
    mirror.go(&synth(1003, 1002, -1));
    mirror.end(&synth(1004, -1, -1));
    mirror.settle();
    mirror.go(&synth(1004, 1003, -1));
    settled(mirror, &[1000, 1001, 1002, 1003, 1004]);
    // Children that end after their group are nothing new.
    let mut mirror = small();
    mirror.end(&info(1, -1, -1, -1, true));
    mirror.end(&synth(1000, -1, -1));
    mirror.go(&info(1, 0, -1, -1, true));
    mirror.go(&synth(1000, -1, -1));
    assert!(!mirror.is_unsettled());
    settled(mirror, &[1000]);
}

#[test]
fn a_move_that_comes_before_its_start_says_where_the_node_stands() {
    let mut mirror = small();
    mirror.expect_synth(1003, "tone");
    mirror.moved(&synth(1003, -1, 1000));
    mirror.go(&synth(1003, 1002, -1));
    assert_eq!(mirror.synthdef(1003).unwrap().as_ref(), "tone");
    settled(mirror, &[1003, 1000, 1001, 1002]);
    // A move that is older than the answer leaves the node where the answer shows it.
    let mut mirror = seeded(&[1002, 1000]);
    mirror.moved(&synth(1002, 1001, -1));
    assert_eq!(mirror.children(1).unwrap(), [1002, 1000]);
}

#[test]
fn the_root_stays_what_it_is() {
    let mut mirror = small();
    mirror.go(&info(0, 1, -1, -1, false));
    mirror.moved(&info(0, 1, -1, -1, true));
    mirror.end(&info(0, -1, -1, -1, true));
    assert_eq!(mirror.children(0).unwrap(), [1]);
    assert_eq!(mirror.parentage(1000), [1, 0]);
}

/// A server that has lost its mind, or is none.
#[test]
fn what_no_server_has_is_bounded() {
    // Groups in groups: as deep as an answer may be, and no deeper.
    let mut mirror = Mirror::default();
    let nested = |id: i32| info(id, id - 1, -1, -1, true);
    (1..=512).for_each(|id| drop(mirror.go(&nested(id))));
    assert_eq!(mirror.tree(0).map(|tree| tree.walk().len()), Some(512));
    (513..200_000).for_each(|id| drop(mirror.go(&nested(id))));
    assert_eq!(mirror.tree(0), None);
    assert!(mirror.tree(199_900).is_some());
    assert!(!mirror.is_stale());
    // Nodes without end.
    let mut mirror = Mirror::default();
    let unordered = |id: i32| NodeInfo { is_unordered: true, ..info(id, 0, -1, -1, false) };
    (1..MAXIMUM_NODES as i32 + 9).for_each(|id| drop(mirror.go(&unordered(id))));
    assert!(mirror.is_stale());
    assert_eq!(mirror.ids().len(), MAXIMUM_NODES);
    mirror.moved(&unordered(i32::MAX));
    assert!(!mirror.contains(i32::MAX));
    // Doubts that each hold what stands there.
    let all: Vec<i32> = (1000..5000).collect();
    let mut mirror = seeded(&all);
    (5000..6000).for_each(|id| drop(mirror.go(&synth(id, -1, -1))));
    let held: usize = mirror.doubts.iter().map(|doubt| doubt.between.len()).sum();
    assert!(held <= MAXIMUM_DOUBTS * MAXIMUM_BETWEEN && mirror.is_stale(), "{held}");
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    /// A server of one group: what it does, what it tells, and what it answers.
    #[derive(Clone, Debug)]
    enum Deed {
        Append,
        Prepend,
        Replace(usize),
        Free(usize),
        MoveToHead(usize),
        MoveToTail(usize),
    }

    fn deed() -> impl Strategy<Value = Deed> {
        prop_oneof![
            Just(Deed::Append),
            Just(Deed::Append),
            Just(Deed::Prepend),
            any::<usize>().prop_map(Deed::Replace),
            any::<usize>().prop_map(Deed::Free),
            any::<usize>().prop_map(Deed::MoveToHead),
            any::<usize>().prop_map(Deed::MoveToTail),
        ]
    }

    #[derive(Clone, Debug)]
    enum Told {
        Go(NodeInfo),
        End(NodeInfo),
        Move(NodeInfo),
    }

    struct Model {
        ids: Vec<i32>,
        next: i32,
    }

    impl Model {
        fn info(&self, at: usize) -> NodeInfo {
            let id_at = |at: Option<usize>| at.and_then(|at| self.ids.get(at)).copied();
            let (previous, next) = (id_at(at.checked_sub(1)), id_at(Some(at + 1)));
            synth(self.ids[at], previous.unwrap_or(-1), next.unwrap_or(-1))
        }

        fn perform(&mut self, deed: &Deed) -> Option<Told> {
            let count = self.ids.len();
            let place = |any: usize| (count > 0).then(|| any % count);
            let moved = |model: &mut Self, from: usize, to: usize| {
                let id = model.ids.remove(from);
                model.ids.insert(to, id);
                Told::Move(model.info(to))
            };
            match *deed {
                Deed::Append | Deed::Prepend => {
                    let at = if matches!(deed, Deed::Append) { count } else { 0 };
                    self.ids.insert(at, self.next);
                    self.next += 1;
                    Some(Told::Go(self.info(at)))
                }
                Deed::Replace(any) => {
                    let at = place(any)?;
                    self.ids[at] = self.next;
                    self.next += 1;
                    Some(Told::Go(self.info(at)))
                }
                Deed::Free(any) => {
                    let at = place(any)?;
                    let info = self.info(at);
                    self.ids.remove(at);
                    Some(Told::End(info))
                }
                Deed::MoveToHead(any) => Some(moved(self, place(any)?, 0)),
                Deed::MoveToTail(any) => Some(moved(self, place(any)?, count - 1)),
            }
        }
    }

    fn tell(mirror: &mut Mirror, told: &Told) {
        match told {
            Told::Go(info) => drop(mirror.go(info)),
            Told::End(info) => mirror.end(info),
            Told::Move(info) => mirror.moved(info),
        }
    }

    proptest! {
        /// An answer that overtakes notifications: after the next answer, the mirror is right or
        /// says that it is not.
        #[test]
        fn an_answer_that_overtakes_what_is_told_does_no_harm(
            deeds in proptest::collection::vec(deed(), 0..40),
            first in 0usize..40,
            overtaken in 0usize..12,
            later in 0usize..12,
        ) {
            let mut model = Model { ids: vec![1000, 1001, 1002], next: 1003 };
            let mut mirror = small();
            let mut on_the_way = Vec::new();
            let answered_at = first.min(deeds.len());
            let mut answered = None;
            for (index, deed) in deeds.iter().enumerate() {
                if index == answered_at {
                    answered = Some(answer(&model.ids));
                }
                on_the_way.extend(model.perform(deed));
                if index < answered_at {
                    // All but the last few are told before the answer.
                    while on_the_way.len() > overtaken {
                        tell(&mut mirror, &on_the_way.remove(0));
                    }
                }
            }
            mirror.seed(&answered.unwrap_or_else(|| answer(&model.ids)));
            let settled_at = on_the_way.len().saturating_sub(later).max(overtaken.min(on_the_way.len()));
            for (index, told) in on_the_way.iter().enumerate() {
                if index == settled_at {
                    mirror.settle();
                }
                tell(&mut mirror, told);
            }
            mirror.settle();
            prop_assert!(
                mirror.is_stale() || mirror.children(1).unwrap() == model.ids,
                "{:?} instead of {:?}", mirror.children(1), model.ids
            );
            // Whatever happened, the next answer makes it right.
            mirror.seed(&answer(&model.ids));
            mirror.settle();
            prop_assert_eq!(mirror.children(1).unwrap(), &model.ids[..]);
            prop_assert!(!mirror.is_stale());
        }

        /// In order, and without answers, it is never wrong and never in doubt.
        #[test]
        fn what_is_told_in_order_is_followed(deeds in proptest::collection::vec(deed(), 0..60)) {
            let mut model = Model { ids: vec![1000, 1001, 1002], next: 1003 };
            let mut mirror = small();
            for deed in &deeds {
                if let Some(told) = model.perform(deed) {
                    tell(&mut mirror, &told);
                }
                prop_assert_eq!(mirror.children(1).unwrap(), &model.ids[..]);
                prop_assert!(!mirror.is_unsettled() && !mirror.is_stale());
            }
        }
    }
}
