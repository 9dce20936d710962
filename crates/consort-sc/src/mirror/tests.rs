//! The mirror, notification by notification, and against a model of a server.

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

/// Group 1 with the synths 1000, 1001 and 1002, known from notifications.
fn three_synths() -> Mirror {
    let mut mirror = Mirror::default();
    mirror.node_started(&info(1, 0, -1, -1, true));
    for (id, previous) in [(1000, -1), (1001, 1000), (1002, 1001)] {
        mirror.node_started(&synth(id, previous, -1));
    }
    mirror
}

/// A reply with the root's tree: group 1 with these synths.
fn reply(ids: &[i32]) -> QueryTreeGroup {
    let synth = |id: &i32| {
        let synthdef = "tone".to_owned();
        QueryTreeNode::Synth(QueryTreeSynth { id: *id, synthdef, controls: Vec::new() })
    };
    let group = QueryTreeGroup { id: 1, children: ids.iter().map(synth).collect() };
    QueryTreeGroup { id: 0, children: vec![QueryTreeNode::Group(group)] }
}

/// A mirror after a reply that overtook the notifications of these synths.
fn seeded(ids: &[i32]) -> Mirror {
    let mut mirror = Mirror::default();
    mirror.node_started(&info(1, 0, -1, -1, true));
    mirror.seed(&reply(ids));
    assert!(mirror.needs_barrier());
    mirror
}

/// After the barrier, the mirror is in sync and group 1 has these synths.
fn assert_in_sync(mut mirror: Mirror, expected: &[i32]) {
    assert_eq!(mirror.reconcile(), NONE);
    assert_eq!(mirror.children(1).unwrap(), expected);
    assert!(!mirror.is_stale() && !mirror.needs_barrier());
}

#[test]
fn a_replaced_node_leaves_the_mirror_without_a_notification() {
    let mut mirror = three_synths();
    let replaced = mirror.node_started(&synth(1003, 1000, 1002));
    assert_eq!(replaced, [1001]);
    assert!(!mirror.contains(1001));
    // If a server sends `/n_end` for it nevertheless, no barrier is needed.
    mirror.node_ended(&synth(1001, -1, -1));
    assert!(!mirror.needs_barrier());
    assert_in_sync(mirror, &[1000, 1003, 1002]);
}

#[test]
fn moves_ends_and_pauses_are_applied() {
    let mut mirror = three_synths();
    mirror.node_moved(&synth(1002, -1, 1000));
    assert_eq!(mirror.children(1).unwrap(), [1002, 1000, 1001]);
    mirror.node_moved(&info(1000, 0, 1, -1, false));
    assert_eq!(mirror.children(0).unwrap(), [1, 1000]);
    assert_eq!(mirror.parentage(1001), [1, 0]);
    mirror.set_running(1001, false);
    assert!(!mirror.is_running(1001));
    mirror.node_ended(&info(1, -1, -1, -1, true));
    assert!(!mirror.contains(1001));
    assert_eq!(mirror.tree(0).unwrap().to_string(), "NODE TREE 0 group\n    1000 \n");
    assert!(!mirror.needs_barrier() && !mirror.is_stale());
    mirror.node_started(&info(5, 99, -1, -1, false));
    assert!(mirror.needs_barrier());
    mirror.reconcile();
    assert!(mirror.is_stale(), "an unknown parent went unnoticed");
}

#[test]
fn a_late_go_of_a_node_in_a_reply_moves_and_replaces_nothing() {
    // 1000, then 1001 after it; the reply with both arrives before either `/n_go`.
    let mut mirror = seeded(&[1000, 1001]);
    assert_eq!(mirror.node_started(&synth(1000, -1, -1)), NONE);
    assert_eq!(mirror.children(1).unwrap(), [1000, 1001]);
    assert_eq!(mirror.node_started(&synth(1001, 1000, -1)), NONE);
    assert_eq!(mirror.synthdef(1001).unwrap().as_ref(), "tone");
    assert_in_sync(mirror, &[1000, 1001]);
    // As before, but 1000 was moved after 1001, and that `/n_move` is late as well.
    let mut mirror = seeded(&[1001, 1000]);
    mirror.node_started(&synth(1000, -1, -1));
    mirror.node_started(&synth(1001, 1000, -1));
    mirror.node_moved(&synth(1000, 1001, -1));
    assert_in_sync(mirror, &[1001, 1000]);
}

#[test]
fn a_late_go_of_a_node_that_ended_before_a_reply_replaces_nothing() {
    // 1000, 1001 and 1002 were created in a row and 1001 ended; the reply overtook all of it.
    let mut mirror = seeded(&[1000, 1002]);
    mirror.node_started(&synth(1000, -1, -1));
    assert_eq!(mirror.node_started(&synth(1001, 1000, -1)), NONE);
    assert!(mirror.contains(1002), "a node in the reply was treated as replaced");
    mirror.node_started(&synth(1002, 1001, -1));
    mirror.node_ended(&synth(1001, -1, -1));
    assert_in_sync(mirror, &[1000, 1002]);
    // The neighbour that its `/n_go` names ended as well.
    let mut mirror = seeded(&[1002]);
    mirror.node_ended(&synth(1000, -1, -1));
    mirror.node_started(&synth(1001, 1000, -1));
    mirror.node_ended(&synth(1001, -1, -1));
    assert_in_sync(mirror, &[1002]);
}

#[test]
fn a_replacement_after_a_reply_is_found_at_the_barrier() {
    let mut mirror = seeded(&[1000, 1001, 1002]);
    assert_eq!(mirror.node_started(&synth(1003, 1000, 1002)), NONE);
    assert_eq!(mirror.reconcile(), [1001]);
    assert_in_sync(mirror, &[1000, 1003, 1002]);
    // Whether a move is older than the reply is unknown: it is applied and the mirror is stale.
    let mut mirror = seeded(&[1000, 1001, 1002]);
    mirror.node_moved(&synth(1001, -1, 1000));
    mirror.node_started(&synth(1003, 1000, 1002));
    assert_eq!(mirror.reconcile(), NONE);
    assert_eq!(mirror.children(1).unwrap(), [1001, 1000, 1003, 1002]);
    assert!(mirror.is_stale());
    // Nodes whose `/n_go` arrived after the reply are certain.
    let mut mirror = seeded(&[1000]);
    mirror.node_started(&synth(1001, 1000, -1));
    mirror.node_started(&synth(1002, 1001, -1));
    assert_eq!(mirror.node_started(&synth(1003, 1000, 1002)), [1001]);
    assert_in_sync(mirror, &[1000, 1003, 1002]);
}

#[test]
fn an_end_that_arrives_before_its_go_leaves_no_node() {
    let mut mirror = three_synths();
    mirror.node_ended(&synth(1003, -1, -1));
    assert!(mirror.needs_barrier());
    mirror.node_started(&synth(1003, 1002, -1));
    assert!(!mirror.contains(1003));
    // The next `/n_go` with this id means a new node.
    mirror.node_started(&synth(1003, 1002, -1));
    assert_in_sync(mirror, &[1000, 1001, 1002, 1003]);
    // The same holds if this client requested it, or if the late `/n_go` never arrived.
    let mut mirror = three_synths();
    mirror.node_ended(&synth(1003, -1, -1));
    mirror.expect_synth(1003, "tone");
    mirror.node_started(&synth(1003, 1002, -1));
    mirror.node_ended(&synth(1004, -1, -1));
    mirror.reconcile();
    mirror.node_started(&synth(1004, 1003, -1));
    assert_in_sync(mirror, &[1000, 1001, 1002, 1003, 1004]);
    // An `/n_end` of a node that went with its group changes nothing.
    let mut mirror = three_synths();
    mirror.node_ended(&info(1, -1, -1, -1, true));
    mirror.node_ended(&synth(1000, -1, -1));
    mirror.node_started(&info(1, 0, -1, -1, true));
    mirror.node_started(&synth(1000, -1, -1));
    assert!(!mirror.needs_barrier());
    assert_in_sync(mirror, &[1000]);
}

#[test]
fn a_move_that_arrives_before_its_go_gives_the_position() {
    let mut mirror = three_synths();
    mirror.expect_synth(1003, "tone");
    mirror.node_moved(&synth(1003, -1, 1000));
    mirror.node_started(&synth(1003, 1002, -1));
    assert_eq!(mirror.synthdef(1003).unwrap().as_ref(), "tone");
    assert_in_sync(mirror, &[1003, 1000, 1001, 1002]);
    // A move that is older than the reply leaves the node where the reply shows it.
    let mut mirror = seeded(&[1002, 1000]);
    mirror.node_moved(&synth(1002, 1001, -1));
    assert_eq!(mirror.children(1).unwrap(), [1002, 1000]);
}

#[test]
fn notifications_cannot_change_the_root() {
    let mut mirror = three_synths();
    mirror.node_started(&info(0, 1, -1, -1, false));
    mirror.node_moved(&info(0, 1, -1, -1, true));
    mirror.node_ended(&info(0, -1, -1, -1, true));
    assert_eq!(mirror.children(0).unwrap(), [1]);
    assert_eq!(mirror.parentage(1000), [1, 0]);
}

/// A faulty server, or a program that is not a server.
#[test]
fn trees_that_no_server_can_have_are_bounded() {
    // Groups in groups, up to the depth that a reply may have.
    let mut mirror = Mirror::default();
    let nested = |id: i32| info(id, id - 1, -1, -1, true);
    (1..=512).for_each(|id| drop(mirror.node_started(&nested(id))));
    assert_eq!(mirror.tree(0).map(|tree| tree.walk().len()), Some(512));
    (513..200_000).for_each(|id| drop(mirror.node_started(&nested(id))));
    assert_eq!(mirror.tree(0), None);
    assert!(mirror.tree(199_900).is_some());
    assert!(!mirror.is_stale());
    // More nodes than are mirrored.
    let mut mirror = Mirror::default();
    let unordered = |id: i32| NodeInfo { is_unordered: true, ..info(id, 0, -1, -1, false) };
    (1..MAX_NODES as i32 + 9).for_each(|id| drop(mirror.node_started(&unordered(id))));
    assert!(mirror.is_stale());
    assert_eq!(mirror.ids().len(), MAX_NODES);
    mirror.node_moved(&unordered(i32::MAX));
    assert!(!mirror.contains(i32::MAX));
    // Checks that each hold many nodes.
    let all: Vec<i32> = (1000..5000).collect();
    let mut mirror = seeded(&all);
    (5000..6000).for_each(|id| drop(mirror.node_started(&synth(id, -1, -1))));
    let held: usize = mirror.pending_checks.iter().map(|check| check.between.len()).sum();
    assert!(held <= MAX_PENDING_CHECKS * MAX_CHECKED_NODES && mirror.is_stale(), "{held}");
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    /// What a client may do to the one group of the model.
    #[derive(Clone, Debug)]
    enum Operation {
        Append,
        Prepend,
        Replace(usize),
        Free(usize),
        MoveToHead(usize),
        MoveToTail(usize),
    }

    fn operation() -> impl Strategy<Value = Operation> {
        prop_oneof![
            Just(Operation::Append),
            Just(Operation::Append),
            Just(Operation::Prepend),
            any::<usize>().prop_map(Operation::Replace),
            any::<usize>().prop_map(Operation::Free),
            any::<usize>().prop_map(Operation::MoveToHead),
            any::<usize>().prop_map(Operation::MoveToTail),
        ]
    }

    /// A notification of the model.
    #[derive(Clone, Debug)]
    enum Notification {
        Go(NodeInfo),
        End(NodeInfo),
        Move(NodeInfo),
    }

    /// A server with one group.
    struct Model {
        /// The nodes of the group, in order.
        ids: Vec<i32>,
        next: i32,
    }

    impl Model {
        fn info(&self, index: usize) -> NodeInfo {
            let id_at = |index: Option<usize>| index.and_then(|index| self.ids.get(index)).copied();
            let (previous, next) = (id_at(index.checked_sub(1)), id_at(Some(index + 1)));
            synth(self.ids[index], previous.unwrap_or(-1), next.unwrap_or(-1))
        }

        fn perform(&mut self, operation: &Operation) -> Option<Notification> {
            let count = self.ids.len();
            let index_of = |any: usize| (count > 0).then(|| any % count);
            let moved = |model: &mut Self, from: usize, to: usize| {
                let id = model.ids.remove(from);
                model.ids.insert(to, id);
                Notification::Move(model.info(to))
            };
            match *operation {
                Operation::Append | Operation::Prepend => {
                    let index = if matches!(operation, Operation::Append) { count } else { 0 };
                    self.ids.insert(index, self.next);
                    self.next += 1;
                    Some(Notification::Go(self.info(index)))
                }
                Operation::Replace(any) => {
                    let index = index_of(any)?;
                    self.ids[index] = self.next;
                    self.next += 1;
                    Some(Notification::Go(self.info(index)))
                }
                Operation::Free(any) => {
                    let index = index_of(any)?;
                    let info = self.info(index);
                    self.ids.remove(index);
                    Some(Notification::End(info))
                }
                Operation::MoveToHead(any) => Some(moved(self, index_of(any)?, 0)),
                Operation::MoveToTail(any) => Some(moved(self, index_of(any)?, count - 1)),
            }
        }
    }

    fn deliver(mirror: &mut Mirror, notification: &Notification) {
        match notification {
            Notification::Go(info) => drop(mirror.node_started(info)),
            Notification::End(info) => mirror.node_ended(info),
            Notification::Move(info) => mirror.node_moved(info),
        }
    }

    proptest! {
        /// A reply overtakes notifications: after the barrier, the mirror is right or stale.
        #[test]
        fn a_reply_that_overtakes_notifications_leaves_the_mirror_right_or_stale(
            operations in proptest::collection::vec(operation(), 0..40),
            first in 0usize..40,
            overtaken in 0usize..12,
            later in 0usize..12,
        ) {
            let mut model = Model { ids: vec![1000, 1001, 1002], next: 1003 };
            let mut mirror = three_synths();
            let mut in_transit = Vec::new();
            let replied_at = first.min(operations.len());
            let mut replied = None;
            for (index, operation) in operations.iter().enumerate() {
                if index == replied_at {
                    replied = Some(reply(&model.ids));
                }
                in_transit.extend(model.perform(operation));
                if index < replied_at {
                    // All but the last few arrive before the reply.
                    while in_transit.len() > overtaken {
                        deliver(&mut mirror, &in_transit.remove(0));
                    }
                }
            }
            mirror.seed(&replied.unwrap_or_else(|| reply(&model.ids)));
            let barrier_at = in_transit.len().saturating_sub(later).max(overtaken.min(in_transit.len()));
            for (index, notification) in in_transit.iter().enumerate() {
                if index == barrier_at {
                    mirror.reconcile();
                }
                deliver(&mut mirror, notification);
            }
            mirror.reconcile();
            prop_assert!(
                mirror.is_stale() || mirror.children(1).unwrap() == model.ids,
                "{:?} instead of {:?}", mirror.children(1), model.ids
            );
            // Whatever happened, the next reply makes it right.
            mirror.seed(&reply(&model.ids));
            mirror.reconcile();
            prop_assert_eq!(mirror.children(1).unwrap(), &model.ids[..]);
            prop_assert!(!mirror.is_stale());
        }

        /// Notifications in order, without replies, need no barrier and are never wrong.
        #[test]
        fn notifications_in_order_are_applied(operations in proptest::collection::vec(operation(), 0..60)) {
            let mut model = Model { ids: vec![1000, 1001, 1002], next: 1003 };
            let mut mirror = three_synths();
            for operation in &operations {
                if let Some(notification) = model.perform(operation) {
                    deliver(&mut mirror, &notification);
                }
                prop_assert_eq!(mirror.children(1).unwrap(), &model.ids[..]);
                prop_assert!(!mirror.needs_barrier() && !mirror.is_stale());
            }
        }
    }
}
